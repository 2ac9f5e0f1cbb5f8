package snapshot_test

import (
	"runtime"
	"testing"
)

// mostPerToken bounds what a token takes in memory, in bytes, beyond what it shares
// with others: names of organizations and users, and sets of grants. A million
// tokens are some 200 MB, then.
const mostPerToken = 200

// TestATokenTakesLittleMemory, told by how much more 20,000 take than none.
func TestATokenTakesLittleMemory(t *testing.T) {
	const tokens = 20_000
	takes := func(e estate) int64 {
		before := int64(heap())
		f := follow(t, e)
		after := int64(heap())
		if n := f.Snapshot().Tokens(); n != e.tokens {
			t.Fatalf("there are %d tokens, not %d", n, e.tokens)
		}
		runtime.KeepAlive(f)
		return after - before
	}
	shared := takes(estate{tokens: len(bases)}) // one token each
	if per := float64(takes(estate{tokens: len(bases) + tokens})-shared) / tokens; per > mostPerToken {
		t.Errorf("a token takes %.0f bytes, more than %d", per, mostPerToken)
	} else {
		t.Logf("a token takes %.0f bytes", per)
	}
}
