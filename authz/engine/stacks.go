package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/patrol-authz/patrol/authz"
)

// OPA's interpreter calls itself deeply: 30 KB of stack and more for the base
// bundle. A goroutine begins with less, copies its stack each time it has to
// grow, and loses half of it at each collection that finds it idle: a seventh
// of an evaluation's time. So a few goroutines are held ready for evaluations,
// whose stacks are grown and stay so. Those that serve connections stay small.

const (
	// held is the part of a holder's stack that is in use while it waits. Go's
	// collector halves a stack of which less than a quarter is in use.
	held = 40 << 10
	// grown is how deep a holder's stack is made before it first waits.
	grown = 80 << 10
	// holders is how many there are for each processor. An evaluation seldom
	// waits for anything, so that more would hold memory and nothing else.
	holders = 2
)

// work is an evaluation for a holder.
type work struct {
	ctx  context.Context //nolint:containedctx // of this one call
	do   func(context.Context) error
	done chan error
}

var works = sync.Pool{New: func() any { return &work{done: make(chan error, 1)} }}

// waiting hands works to the holders, which live as long as the process.
var waiting = sync.OnceValue(func() chan *work {
	c := make(chan *work)
	for range holders * runtime.GOMAXPROCS(0) {
		go hold(c)
	}
	return c
})

// onGrownStack calls do on a holder's stack, or on the caller's own where all
// holders are at work. It returns when do has; a panic in it is an error.
func onGrownStack(ctx context.Context, do func(context.Context) error) error {
	authz.Blocking(ctx)
	w := works.Get().(*work)
	w.ctx, w.do = ctx, do
	select {
	case waiting() <- w:
	default:
		w.run()
	}
	err := <-w.done
	w.ctx, w.do = nil, nil
	works.Put(w)
	return err
}

func (w *work) run() {
	var err error
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic while evaluating: %v", cause)
		}
		w.done <- err
	}()
	err = w.do(w.ctx)
}

// hold does what comes. The room on its stack is what keeps the stack.
//
//go:noinline
func hold(c <-chan *work) {
	var room [held]byte
	grow(&room)
	for w := range c {
		w.run()
	}
	touch(&room)
}

// grow makes the stack so deep that evaluations need not.
//
//go:noinline
func grow(room *[held]byte) {
	var more [grown - held]byte
	more[len(more)-1] = room[0]
	touch(&more)
}

//go:noinline
func touch[T any](*T) {}
