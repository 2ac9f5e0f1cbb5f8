package unary

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Call is one request to a method, and the context of its handler: it ends when the
// handler has returned, when its time is up (grpc-timeout), when the caller takes it
// back and when the connection ends. Its values are the connection's, peer.Peer
// among them.
type Call struct {
	conn     *conn
	id       uint32
	path     string
	deadline time.Time // zero: none
	refusal  *refusal  // of what is no call of a method here
	incoming

	state atomic.Int32
	batch *batch // in which it is answered
	// The connection's lock holds what is below.
	began    bool   // the answer's header block is written
	over     bool   // nothing more is written
	finished bool   // the handler has nothing more to say
	orphan   bool   // taken back before
	sendLeft int64  // what the other end takes on this stream
	rest     []byte // of the answer, which it does not take yet
	trailers []byte // after the rest; nil while more may come
	last     bool   // no trailers come after the rest

	mu     sync.Mutex
	ended  bool            // the context has
	ctx    context.Context // made when somebody waits for it
	cancel context.CancelFunc
}

var _ context.Context = (*Call)(nil)

// What a call's question is at.
const (
	idle     = iota
	stepping // a step is under way
	blocked  // one has said that it waits, and others do not wait for it
)

// Block says that the step under way is going to wait, or to take long: the questions
// that came with this one are answered meanwhile, and the connection is read on. The
// first call counts, and none where no step is under way.
func (c *Call) Block() {
	if c.state.CompareAndSwap(stepping, blocked) {
		rest := c.batch.without(c, 0)
		c.batch = nil
		go c.conn.serve(rest)
	}
}

// Deadline implements [context.Context].
func (c *Call) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done implements [context.Context].
func (c *Call) Done() <-chan struct{} { return c.waited().Done() }

// Err implements [context.Context].
func (c *Call) Err() error {
	c.mu.Lock()
	ctx, ended := c.ctx, c.ended
	c.mu.Unlock()
	switch {
	case ctx != nil:
		return ctx.Err()
	case ended:
		return context.Canceled
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return c.conn.ctx.Err()
}

// Value implements [context.Context].
func (c *Call) Value(key any) any {
	if key == (authz.BlockingKey{}) {
		return c
	}
	return c.conn.ctx.Value(key)
}

// waited is a context of which one can be told when it ends: most handlers never ask.
func (c *Call) waited() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		if c.deadline.IsZero() {
			c.ctx, c.cancel = context.WithCancel(c.conn.ctx)
		} else {
			c.ctx, c.cancel = context.WithDeadline(c.conn.ctx, c.deadline)
		}
		if c.ended {
			c.cancel()
		}
	}
	return c.ctx
}

// end ends the context.
func (c *Call) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}
