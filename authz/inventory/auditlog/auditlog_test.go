package auditlog_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

func chain(n int) []auditlog.Entry {
	log := make([]auditlog.Entry, n)
	before := ""
	for i := range log {
		log[i] = auditlog.Entry{
			Seq: int64(i + 1), Time: start.Add(time.Duration(i) * time.Second), Actor: auditlog.Actor{Kind: "socket", Name: "uid:0"},
			Action: "token.revoke", OrganizationID: "o", TokenID: fmt.Sprint("t", i), Details: []byte(`{"comment":"why"}`),
		}
		log[i].Hash = log[i].Sum(before)
		before = log[i].Hash
	}
	return log
}

// relink makes a chain anew of what is left, as who forges one would.
func relink(log []auditlog.Entry, from int) {
	before := ""
	for i := range log {
		if i >= from {
			log[i].Seq = int64(i + 1)
			log[i].Hash = log[i].Sum(before)
		}
		before = log[i].Hash
	}
}

var key = ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))

func TestWhatWasDoneToALogIsFound(t *testing.T) {
	const n = 12
	for name, c := range map[string]struct {
		forge func(log []auditlog.Entry, state *auditlog.State) []auditlog.Entry
		want  []string // kind and number
	}{
		"nothing": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry { return log }, nil},
		"details changed": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry {
			log[4].Details = []byte(`{"comment":"other"}`)
			return log
		}, []string{"changed 5"}},
		"actor changed": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry {
			log[0].Actor.Name = "uid:1"
			return log
		}, []string{"changed 1"}},
		"time changed": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry {
			log[n-1].Time = start
			return log
		}, []string{"changed 12"}},
		"changed with its hash": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry {
			log[4].Details = nil
			log[4].Hash = log[4].Sum(log[3].Hash)
			return log
		}, []string{"changed 6"}}, // "or entry 5 and its hash"
		"one removed": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry {
			return slices.Delete(log, 4, 5)
		}, []string{"removed 5"}},
		"the first removed": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry { return log[2:] }, []string{"removed 1"}},
		"two neighbours exchanged": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry {
			log[4], log[5] = log[5], log[4]
			log[4].Seq, log[5].Seq = 5, 6
			return log
		}, []string{"moved 5", "moved 6"}},
		"two far ones exchanged": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry {
			log[2], log[8] = log[8], log[2]
			log[2].Seq, log[8].Seq = 3, 9
			return log
		}, []string{"moved 3", "moved 9"}},
		"the end cut off": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry { return log[:9] }, []string{"cut_off 10", "cut_off 10"}},
		"the end cut off, and the counter with it": {func(log []auditlog.Entry, state *auditlog.State) []auditlog.Entry {
			state.Seq, state.Hash = 9, log[8].Hash
			return log[:9]
		}, []string{"cut_off 10"}},
		"all of it": {func(_ []auditlog.Entry, state *auditlog.State) []auditlog.Entry {
			state.Seq, state.Hash = 0, ""
			return nil
		}, []string{"cut_off 1", "cut_off 1"}},
		"one added": {func(log []auditlog.Entry, _ *auditlog.State) []auditlog.Entry {
			e := log[n-1]
			e.Seq++
			e.Hash = e.Sum(log[n-1].Hash)
			return append(log, e)
		}, []string{"changed 13"}},
		"one removed and the chain made anew": {func(log []auditlog.Entry, state *auditlog.State) []auditlog.Entry {
			log = slices.Delete(log, 4, 5)
			relink(log, 4)
			state.Seq, state.Hash = int64(len(log)), log[len(log)-1].Hash
			return log
		}, []string{"rewritten 7", "rewritten 10", "cut_off 12"}},
		"a head forged": {func(log []auditlog.Entry, state *auditlog.State) []auditlog.Entry {
			state.Heads[0].Hash = log[1].Hash
			return log
		}, []string{"forged 7"}},
	} {
		t.Run(name, func(t *testing.T) {
			log := chain(n)
			state := auditlog.State{Seq: n, Hash: log[n-1].Hash, Heads: []auditlog.Head{
				auditlog.Sign(key, 7, log[6].Hash, start), auditlog.Sign(key, 10, log[9].Hash, start), auditlog.Sign(key, n, log[n-1].Hash, start),
			}}
			log = c.forge(log, &state)
			v := auditlog.NewVerifier(state.Heads, auditlog.PublicKey(key))
			for _, e := range log {
				v.Add(e)
			}
			r := v.Finish(state, true)
			var got []string
			for _, p := range r.Problems {
				got = append(got, fmt.Sprintf("%s %d", p.Kind, p.Seq))
			}
			if name == "the end cut off" || name == "the end cut off, and the counter with it" || name == "all of it" {
				got, c.want = slices.Compact(got), slices.Compact(c.want)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %v; want %v\n%+v", got, c.want, r.Problems)
			}
			if c.want == nil && r.Signed != n {
				t.Errorf("signed up to %d", r.Signed)
			}
		})
	}
}

func TestAHeadOfAnUnknownKeyProvesNothing(t *testing.T) {
	log := chain(3)
	other := ed25519.NewKeyFromSeed([]byte("another key another key another "))
	v := auditlog.NewVerifier([]auditlog.Head{auditlog.Sign(other, 3, log[2].Hash, start)}, auditlog.PublicKey(key))
	for _, e := range log {
		v.Add(e)
	}
	if r := v.Finish(auditlog.State{Seq: 3, Hash: log[2].Hash}, true); r.Signed != 0 || len(r.Problems) > 0 {
		t.Errorf("%+v", r)
	}
}

// TestTheHashIsWhatIsDocumented keeps logs verifiable that were written before:
// it is what sha256sum gives for
//
//	\n[1,1767323045678,"socket","uid:0","token.revoke","o","t0","{\"comment\":\"why\"}"]
func TestTheHashIsWhatIsDocumented(t *testing.T) {
	if got := chain(1)[0].Hash; got != "f26132d5483214c848b7d9a8c6a36b9b8f6be7a6b7aeabe14358b90a6f4f2664" {
		t.Errorf("%s", got)
	}
}
