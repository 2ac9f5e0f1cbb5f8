package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// garbage is what may gather on the heap between two collections, in bytes.
	// A collection costs what it has to look through, and a snapshot's tokens
	// hold no pointers: so it costs about the same with a million tokens as with
	// none, and a fixed amount between two is a fixed price. Go's own pace, as
	// much again as is alive, would double the memory of a large inventory.
	garbage = 30 << 20
	// garbageOfImport is that while many tokens are imported, which leave much beside
	// an inventory that grows, and garbageOfBundle while a large bundle is tried.
	garbageOfImport = 256 << 20
	garbageOfBundle = 96 << 20
	// leastGCPercent and mostGCPercent bound what follows from it.
	leastGCPercent = 15
	mostGCPercent  = 400
	// limited is the part of a container's memory that Go may take: SQLite's
	// and the binary's own pages come on top.
	limited = 0.8
)

// memory paces the process's garbage collection; nil leaves it to Go.
type memory struct {
	fixed bool          // the operator's pace
	hurry atomic.Int64  // until when much garbage may gather, in Unix nanoseconds
	room  atomic.Uint64 // and how much, in bytes

	mu      sync.Mutex
	percent int
	live    []metrics.Sample
}

// newMemory sets Go's memory limit from the container's, and begins pacing.
// What the operator set with GOMEMLIMIT or GOGC stays.
func newMemory(ctx context.Context, log *slog.Logger) *memory {
	_, err := memlimit.Set(memlimit.WithProvider(memlimit.FromCgroup), memlimit.WithRatio(limited), memlimit.WithRefreshInterval(ctx, time.Minute))
	if err != nil && !errors.Is(err, memlimit.ErrNoLimit) && !errors.Is(err, memlimit.ErrNoCgroup) {
		log.Warn("the container's memory limit cannot be read; set GOMEMLIMIT", "error", err)
	}
	return &memory{fixed: os.Getenv("GOGC") != "", percent: 100, live: []metrics.Sample{
		// Go paces by all that a collection begins with: stacks and globals, too.
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}}
}

// pace sets the pace from what was alive after the last collection.
func (m *memory) pace() {
	if m == nil || m.fixed {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	metrics.Read(m.live)
	alive := uint64(0)
	for _, s := range m.live {
		alive += s.Value.Uint64()
	}
	room := uint64(garbage)
	switch until := m.hurry.Load(); {
	case until == 0:
	case time.Now().UnixNano() < until:
		room = m.room.Load()
	case m.hurry.CompareAndSwap(until, 0):
		debug.FreeOSMemory() // what was left
	}
	want := gcPercent(alive, room)
	if change := want - m.percent; change*8 > m.percent || -change*8 > m.percent {
		debug.SetGCPercent(want)
		m.percent = want
	}
}

func gcPercent(live, room uint64) int {
	if live == 0 {
		return 100 // nothing was collected yet
	}
	return int(min(max(room*100/live, leastGCPercent), mostGCPercent))
}

// busy lets so much garbage gather for a while, in bytes; its memory is given back
// after.
func (m *memory) busy(room uint64) {
	if m == nil || m.fixed {
		return
	}
	m.room.Store(room)
	if m.hurry.Swap(time.Now().Add(10*time.Second).UnixNano()) == 0 {
		m.pace() // at once: it may be over before the next time
	}
}

// settle gives back what starting alone needed: half of the heap is what
// loading left behind.
func (m *memory) settle() {
	if m == nil {
		return
	}
	debug.FreeOSMemory()
	m.pace()
	releaseCode()
}
