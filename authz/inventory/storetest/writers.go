package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// manyWritersLoseNothing lets two stores write to one database at once.
func manyWritersLoseNothing(t *testing.T, o Open) {
	stores := []Store{open(t, o), open(t, o)}
	var wait sync.WaitGroup
	for w := range 6 {
		wait.Go(func() {
			for i := range 10 {
				if _, err := stores[w%2].Do(context.Background(), operator, inventory.CreateOrganization{Name: fmt.Sprintf("org-%d-%d", w, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	rows, _, err := stores[0].Organizations(context.Background(), inventory.Page{Limit: 100})
	if err != nil || len(rows) != 60 {
		t.Fatalf("%d organizations, %v", len(rows), err)
	}
	if n := change(t, stores[1]); n != 60 {
		t.Fatalf("the counter stands at %d", n)
	}
	list := audit(t, stores[1])
	for i, a := range list {
		if a.Seq != int64(len(list)-i) {
			t.Fatalf("the audit has a gap at %d", a.Seq)
		}
	}
	chained(t, stores[0], 60)
	// Of two who decide on one state, one is told what the other did.
	token := acme(t, stores[0])
	results := make([]error, 2)
	for i := range stores {
		wait.Go(func() {
			_, results[i] = stores[i].Do(context.Background(), operator, inventory.IfVersion{Command: inventory.DeleteToken{Token: token.ID}, Version: token.Version})
		})
	}
	wait.Wait()
	var gone *inventory.NotFound
	if (results[0] == nil) == (results[1] == nil) || !errors.As(errors.Join(results...), &gone) {
		t.Errorf("both deleted one token: %v", results)
	}
}

// aFollowerMissesNothing holds what is read change by change, while many write,
// against what is there in the end: a number that is committed late, after a
// greater one was read, would be missed.
func aFollowerMissesNothing(t *testing.T, o Open) {
	stores := []Store{open(t, o), open(t, o)}
	reader := open(t, o)
	acme(t, stores[0])
	seen, after, err := load(context.Background(), reader)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]int64{}
	take := func(r *inventory.Records) {
		for _, t := range r.Tokens {
			versions[t.ID] = t.Version
		}
	}
	take(seen)
	follow := func() bool {
		r, last, gap, err := reader.Changes(context.Background(), after)
		if err != nil || gap {
			t.Errorf("gap %v, %v", gap, err)
			return false
		}
		if r != nil {
			take(r)
		}
		if last < after {
			t.Errorf("the numbers went from %d to %d", after, last)
		}
		after = last
		return true
	}
	done := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		for follow() {
			select {
			case <-done:
				follow()
				return
			default:
			}
		}
	})
	writeMuch(t, stores)
	close(done)
	following.Wait()
	r, last, err := load(context.Background(), reader)
	if err != nil || last != after || len(r.Tokens) != len(versions) {
		t.Fatalf("followed to %d with %d tokens; there are %d at %d, %v", after, len(versions), len(r.Tokens), last, err)
	}
	for _, token := range r.Tokens {
		if versions[token.ID] != token.Version {
			t.Errorf("the token %s was followed to version %d, and is at %d", token.ID, versions[token.ID], token.Version)
		}
	}
}

// writeMuch has four writers issue tokens and disable them, at two stores.
func writeMuch(t *testing.T, stores []Store) {
	t.Helper()
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 15 {
				id := do(t, stores[w%2], inventory.IssueToken{
					Owner: "bob", DisplayName: "t", Kind: authz.KindFineGrained, Grants: acmeGrant, Digest: authz.Digest{10, byte(w), byte(i)},
				}).Token.ID
				do(t, stores[(w+1)%2], inventory.DisableToken{Token: id})
			}
		})
	}
	writers.Wait()
}

// aCancelledWriteLeavesNoPart breaks writes off at random moments.
func aCancelledWriteLeavesNoPart(t *testing.T, o Open) {
	s := open(t, o)
	acme(t, s)
	began := time.Now()
	do(t, s, issue("bob", 2))
	usual := time.Since(began)
	broken := 0
	for i := range 60 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.Int64N(int64(2*usual))))
		c := inventory.IssueToken{Owner: "bob", DisplayName: "t", Kind: authz.KindFineGrained, Grants: acmeGrant, Digest: authz.Digest{20, byte(i)}}
		if _, err := s.Do(ctx, operator, c); err != nil {
			broken++
		}
		cancel()
	}
	t.Logf("%d of 60 were broken off", broken)
	r, last, err := load(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	// Each token is one change, one audit entry and one request.
	const before = 3 // what acme needs beside its token
	if n := int64(len(r.Tokens)) + before; last != n || int64(len(audit(t, s))) != n || len(r.Requests) != len(r.Tokens) {
		t.Errorf("%d tokens, %d requests, %d audit entries, %d changes", len(r.Tokens), len(r.Requests), len(audit(t, s)), last)
	}
	chained(t, s, last)
	if len(r.Tokens) < 2+60-broken {
		t.Errorf("an acknowledged token is missing: %d are there, %d were broken off", len(r.Tokens), broken)
	}
}

// otherWritersAreToldOf holds that a store hears of another's change, by hint
// or by looking.
func otherWritersAreToldOf(t *testing.T, o Open) {
	told := make(chan struct{}, 100)
	reader := openWith(t, o, Options{Changed: func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}})
	writer := open(t, o)
	do(t, writer, inventory.CreateOrganization{Name: "acme"})
	for deadline := time.Now().Add(20 * time.Second); ; {
		r, last, _, err := reader.Changes(context.Background(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if last == 1 && len(r.Organizations) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the change is not seen")
		}
		select {
		case <-told:
		case <-time.After(250 * time.Millisecond):
		}
	}
}
