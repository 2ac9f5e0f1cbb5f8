//go:build linux

package main

import (
	"bytes"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// TestThePaceFollowsFromWhatIsAlive: about the same amount of garbage, within
// bounds.
func TestThePaceFollowsFromWhatIsAlive(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 1 << 20: 400, 6 << 20: 400, 12 << 20: 200, 24 << 20: 100, 96 << 20: 25, 1 << 30: 15} {
		if got := gcPercent(live, 24<<20); got != want {
			t.Errorf("%d MB alive: %d %%, want %d %%", live>>20, got, want)
		}
	}
}

// TestMoreGarbageGathersWhileTokensAreImported, and no longer.
func TestMoreGarbageGathersWhileTokensAreImported(t *testing.T) {
	m := newMemory(t.Context(), slog.New(slog.DiscardHandler))
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	runtime.GC()
	m.pace()
	usual := m.percent
	m.busy(garbageOfImport)
	m.pace()
	if m.percent < 2*usual && m.percent != mostGCPercent {
		t.Errorf("while tokens are imported: %d %%, before %d %%", m.percent, usual)
	}
	m.hurry.Store(1) // it ended long ago
	m.pace()
	if m.percent > 2*usual || m.hurry.Load() != 0 {
		t.Errorf("after an import: %d %%, before %d %%", m.percent, usual)
	}
}

// TestOnlyTheBinarysOwnCodeIsReleased: what is written, and other files, stays;
// and the process goes on.
func TestOnlyTheBinarysOwnCodeIsReleased(t *testing.T) {
	for line, want := range map[string]bool{
		"00400000-0171c000 r-xp 00000000 08:01 17 /usr/bin/patrol\n":  true,
		"0171c000-03086000 r--p 0131c000 08:01 17 /usr/bin/patrol\n":  true,
		"03086000-03200000 rw-p 02c86000 08:01 17 /usr/bin/patrol\n":  false,
		"7f2449f50000-7f244a050000 r--p 00000000 08:01 9 /lib/x.so\n": false,
		"7f2449f50000-7f244a050000 r--p 00000000 00:00 0 \n":          false,
		"nonsense\n": false,
	} {
		if _, _, ok := codeOf([]byte(line), "/usr/bin/patrol"); ok != want {
			t.Errorf("%q: %t, want %t", line, ok, want)
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range bytes.Lines(maps) {
		if from, to, ok := codeOf(line, self); ok && to > from {
			found++
		}
	}
	if found == 0 {
		t.Error("the binary's own code was not found")
	}
	releaseCode()
	if strings.Repeat("on", 2) != "onon" {
		t.Error("the process does not go on")
	}
}
