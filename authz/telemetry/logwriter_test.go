package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/telemetry"
)

// stuck is a log that nobody reads, until free is closed.
type stuck struct {
	free chan struct{}
	out  bytes.Buffer
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.free
	return s.out.Write(b)
}

// TestALogThatNobodyReadsKeepsNobodyWaiting: who logs goes on, the end of the
// process does, and what was lost is counted.
func TestALogThatNobodyReadsKeepsNobodyWaiting(t *testing.T) {
	s := &stuck{free: make(chan struct{})}
	w := telemetry.NewLogWriter(s)
	log := slog.New(slog.NewTextHandler(w, nil))
	for range 2000 {
		log.Info("a line")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Close(over); err == nil {
		t.Error("lines that wait are called written")
	}
	close(s.free)
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// One is with the writer while 1,024 wait.
	if written := int64(strings.Count(s.out.String(), "\n")); written < 1024 || written > 1026 || written+w.Lost() != 2000 {
		t.Errorf("%d lines, %d lost", written, w.Lost())
	}
}

// TestLinesAreWrittenInOrderAndWhole to the last one, if there is time; after the
// end they are lost, and counted.
func TestLinesAreWrittenInOrderAndWhole(t *testing.T) {
	var out, want bytes.Buffer
	w := telemetry.NewLogWriter(&out)
	for i := range 1000 {
		fmt.Fprintf(w, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out.String() != want.String() || w.Lost() != 0 {
		t.Errorf("%d bytes of %d, %d lost", out.Len(), want.Len(), w.Lost())
	}
	fmt.Fprintln(w, "after the end")
	if w.Lost() != 1 {
		t.Errorf("%d lost after the end", w.Lost())
	}
}
