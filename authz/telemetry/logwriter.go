package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// LogWriter hands lines to another writer beside those who log: where nobody
// reads them, as of a pipe that is full, lines are lost and nobody waits.
type LogWriter struct {
	out   io.Writer
	lines chan []byte
	done  chan struct{}
	lost  atomic.Int64

	mu     sync.RWMutex
	closed bool
}

// waitingLines are the most that wait for a writer that is slow.
const waitingLines = 1024

// NewLogWriter begins to write; Close ends it.
func NewLogWriter(out io.Writer) *LogWriter {
	w := &LogWriter{out: out, lines: make(chan []byte, waitingLines), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for l := range w.lines {
			if _, err := w.out.Write(l); err != nil {
				w.lost.Add(1)
			}
		}
	}()
	return w
}

// Write takes a line. It never waits and never fails.
func (w *LogWriter) Write(line []byte) (int, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		w.lost.Add(1)
		return len(line), nil
	}
	select {
	case w.lines <- bytes.Clone(line):
	default:
		w.lost.Add(1)
	}
	return len(line), nil
}

// Lost is how many lines were not written.
func (w *LogWriter) Lost() int64 { return w.lost.Load() }

// Close writes what waits, while the context lasts.
func (w *LogWriter) Close(ctx context.Context) error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.lines)
	}
	w.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the log takes no lines: %w", ctx.Err())
	}
}
