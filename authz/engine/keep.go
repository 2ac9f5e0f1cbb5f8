package engine

import (
	"encoding/json"
	"hash/maphash"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// A decision outlives the request whose bytes its texts may be, so it has
// texts of its own. Nearly all decisions give the same few reasons, alone or
// in the same few lists: those are kept, and given again.

// keeper keeps texts and lists of them, up to a number.
type keeper struct {
	seed  maphash.Seed
	mu    sync.Mutex // of those who add
	texts atomic.Pointer[map[string]string]
	lists atomic.Pointer[map[uint64][]string]
}

// mostKept bounds each of the two tables, longestKept a text in them.
const (
	mostKept    = 1024
	longestKept = 64
)

var kept = newKeeper()

func newKeeper() *keeper {
	k := &keeper{seed: maphash.MakeSeed()}
	k.texts.Store(&map[string]string{})
	k.lists.Store(&map[uint64][]string{})
	return k
}

// text returns a text of its own.
func (k *keeper) text(s string) string {
	if s == "" {
		return ""
	}
	known := *k.texts.Load()
	if mine, ok := known[s]; ok {
		return mine
	}
	mine := strings.Clone(s)
	if len(known) < mostKept && len(mine) <= longestKept {
		k.mu.Lock()
		defer k.mu.Unlock()
		more := maps.Clone(*k.texts.Load())
		more[mine] = mine
		k.texts.Store(&more)
	}
	return mine
}

// list returns a list of strings of its own. It has no room to grow, so that
// appending to it copies it.
func (k *keeper) list(elems []compiled.Value) []string {
	if len(elems) == 0 {
		return []string{}
	}
	var h maphash.Hash
	h.SetSeed(k.seed)
	for _, e := range elems {
		_, _ = h.WriteString(e.Str())
		_ = h.WriteByte(0)
	}
	sum := h.Sum64()
	known := *k.lists.Load()
	if mine, ok := known[sum]; ok && equalTexts(mine, elems) {
		return mine
	}
	mine := make([]string, len(elems))
	small := true
	for i, e := range elems {
		mine[i] = k.text(e.Str())
		small = small && len(mine[i]) <= longestKept
	}
	if len(known) < mostKept && small && len(mine) <= longestKept {
		k.mu.Lock()
		defer k.mu.Unlock()
		more := maps.Clone(*k.lists.Load())
		more[sum] = mine
		k.lists.Store(&more)
	}
	return mine
}

func equalTexts(a []string, b []compiled.Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i].Str() {
			return false
		}
	}
	return true
}

// own copies the texts of a plain JSON value.
func own(v any) any {
	switch v := v.(type) {
	case string:
		return kept.text(v)
	case json.Number:
		return json.Number(strings.Clone(string(v)))
	case []any:
		for i := range v {
			v[i] = own(v[i])
		}
	case map[string]any:
		mine := make(map[string]any, len(v))
		for key, x := range v {
			mine[kept.text(key)] = own(x)
		}
		return mine
	}
	return v
}
