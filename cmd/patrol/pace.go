package main

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
)

// The heap may grow by headroom between two collections, whatever is live, but
// no further than by maxPercent of it. Go's default, to double, collects a small
// heap over and over and lets a large one grow without need.
const (
	headroom   = 40 << 20
	minPercent = 50
	maxPercent = 400
)

// paceCollection sets the collector's pace by what is live, anew after each
// collection, and bounds the memory by the control group's limit. What the
// environment says (GOGC, GOMEMLIMIT) stands. Go itself counts the processors
// that the control group grants (GOMAXPROCS).
func paceCollection() (stop func()) {
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit := memoryLimit("/"); limit > 0 {
			debug.SetMemoryLimit(limit / 10 * 9) // the rest is for what Go does not count
		}
	}
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	p := &pace{percent: 100}
	p.set()
	p.again()
	return func() { p.stopped.Store(true) }
}

type pace struct {
	percent int
	stopped atomic.Bool
}

// again has the pace set after the next collection: a cleanup runs when an
// object that nothing holds was collected.
func (p *pace) again() {
	runtime.AddCleanup(new([64]byte), func(p *pace) {
		if !p.stopped.Load() {
			p.set()
			p.again()
		}
	}, p)
}

// set changes the pace where it is off by more than a fifth: each change stops
// all goroutines for a moment.
func (p *pace) set() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	want := percentFor(sample[0].Value.Uint64())
	if off := want - p.percent; off*off*25 > p.percent*p.percent {
		p.percent = want
		debug.SetGCPercent(want)
	}
}

func percentFor(live uint64) int {
	return int(min(maxPercent, max(minPercent, headroom*100/max(live, 1)))) //nolint:gosec // Bounded.
}

// memoryLimit is the least memory limit of this process's control groups (v2),
// in bytes; 0 where there is none. root is where the file system begins.
func memoryLimit(root string) (least int64) {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for ; ; path = filepath.Dir(path) {
			value, err := os.ReadFile(filepath.Join(root, "sys/fs/cgroup", path, "memory.max"))
			if err == nil {
				limit, err := strconv.ParseInt(strings.TrimSpace(string(value)), 10, 64)
				if err == nil && (least == 0 || limit < least) {
					least = limit
				}
			}
			if path == "/" || path == "." || path == "" {
				break
			}
		}
	}
	return least
}
