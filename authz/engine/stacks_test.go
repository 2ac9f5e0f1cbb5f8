package engine

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// deep uses n KB of stack.
//
//go:noinline
func deep(n int) {
	var room [1024]byte
	touch(&room)
	if n > 0 {
		deep(n - 1)
	}
}

// moved says whether the stack was elsewhere after so many KB of it were used.
//
//go:noinline
func moved(n int) bool {
	var here byte
	before := uintptr(unsafe.Pointer(&here))
	deep(n)
	return uintptr(unsafe.Pointer(&here)) != before
}

// TestAHoldersStackIsNeverMoved: neither grown again nor halved by a collection.
func TestAHoldersStackIsNeverMoved(t *testing.T) {
	moves := 0
	for range 50 {
		if err := onGrownStack(t.Context(), func(context.Context) error {
			if moved(38) {
				moves++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
	}
	if moves > 2 { // by works that came before the first holder waited
		t.Errorf("a stack was moved %d times in 50 works", moves)
	}
}

// TestEachWorkIsDone, however many come at once, with its own context and error.
func TestEachWorkIsDone(t *testing.T) {
	type key struct{}
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			saw := -1
			err := onGrownStack(context.WithValue(t.Context(), key{}, i), func(ctx context.Context) error {
				if saw = ctx.Value(key{}).(int); saw%3 == 0 {
					panic(saw)
				}
				return ctx.Err()
			})
			if saw != i || (err != nil) != (i%3 == 0) || err != nil && !strings.Contains(err.Error(), "panic") {
				t.Errorf("%d: %d, %v", i, saw, err)
			}
		})
	}
	all.Wait()
}
