package storetest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

func aForgottenChangeIsAGap(t *testing.T, o Open) {
	var now atomic.Int64
	now.Store(time.Now().UnixMilli())
	s := openWith(t, o, Options{Retention: time.Hour, Clock: func() time.Time { return time.UnixMilli(now.Load()) }})
	acme(t, s)
	ctx := context.Background()
	if _, last, gap, err := s.Changes(ctx, 0); err != nil || gap || last != 4 {
		t.Fatalf("all is there: last %d, gap %v, %v", last, gap, err)
	}
	now.Add(time.Hour.Milliseconds() - 1000)
	do(t, s, inventory.CreateOrganization{Name: "soon"})
	if _, _, gap, _ := s.Changes(ctx, 0); gap {
		t.Fatal("changes were forgotten before their time")
	}
	now.Add(2000)
	do(t, s, inventory.CreateOrganization{Name: "later"})
	for after, wantGap := range map[int64]bool{0: true, 3: true, 4: false, 5: false, 6: false, 7: true} {
		_, last, gap, err := s.Changes(ctx, after)
		if err != nil || gap != wantGap || last != 6 {
			t.Errorf("after %d: last %d, gap %v, %v", after, last, gap, err)
		}
	}
	if r, last, gap, err := s.Changes(ctx, 6); r != nil || last != 6 || gap || err != nil {
		t.Errorf("nothing changed: %v %d %v %v", r, last, gap, err)
	}
}

// A change that lists more rows than are looked at is forgotten whole, and
// hinders no other one.
func aLongChangeIsForgottenWhole(t *testing.T, o Open) {
	var now atomic.Int64
	now.Store(time.Now().UnixMilli())
	s := openWith(t, o, Options{Retention: time.Hour, Clock: func() time.Time { return time.UnixMilli(now.Load()) }})
	acme(t, s)
	list := make([]inventory.ImportToken, 500)
	for i := range list {
		list[i] = inventory.ImportToken{Digest: authz.Digest{6, byte(i), byte(i >> 8)}, Owner: "bob", DisplayName: "token", Kind: authz.KindFineGrained, Grants: acmeGrant}
	}
	do(t, s, inventory.ImportTokens{Tokens: list}) // each with a request
	long := change(t, s)
	now.Add(time.Minute.Milliseconds())
	do(t, s, inventory.CreateOrganization{Name: "young"})
	now.Add(time.Hour.Milliseconds() - 1000) // the import is too old, and the one behind it is not
	for _, name := range []string{"one", "two"} {
		do(t, s, inventory.CreateOrganization{Name: name})
	}
	for after, wantGap := range map[int64]bool{0: true, long - 1: true, long: false, long + 1: false} {
		if _, _, gap, err := s.Changes(context.Background(), after); err != nil || gap != wantGap {
			t.Errorf("after %d: gap %v, %v", after-long, gap, err)
		}
	}
}

func tooManyChangesAreAGap(t *testing.T, o Open) {
	s := open(t, o)
	acme(t, s)
	before := change(t, s)
	list := make([]inventory.ImportToken, 31_000)
	for i := range list {
		list[i] = inventory.ImportToken{Digest: authz.Digest{5, byte(i), byte(i >> 8)}, Owner: "bob", DisplayName: "token", Kind: authz.KindRead}
	}
	do(t, s, inventory.ImportTokens{Tokens: list})
	if _, last, gap, err := s.Changes(context.Background(), before); err != nil || !gap || last != before+1 {
		t.Errorf("last %d, gap %v, %v", last, gap, err)
	}
	r, last, err := load(context.Background(), s)
	if err != nil || last != before+1 || len(r.Tokens) != 31_001 {
		t.Fatalf("loaded %d tokens at %d, %v", len(r.Tokens), last, err)
	}
	do(t, s, inventory.CreateOrganization{Name: "later"})
	if r, _, gap, err := s.Changes(context.Background(), last); err != nil || gap || len(r.Organizations) != 1 {
		t.Errorf("after the gap: gap %v, %v", gap, err)
	}
}
