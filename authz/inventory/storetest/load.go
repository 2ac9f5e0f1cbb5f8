package storetest

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// records gathers what is loaded: a row is the store's again once it was handed
// over.
type records struct{ inventory.Records }

func keep[T any](list *[]*T, row *T) error {
	copied := *row
	*list = append(*list, &copied)
	return nil
}

func (r *records) Organization(o *inventory.Organization) error   { return keep(&r.Organizations, o) }
func (r *records) User(u *inventory.User) error                   { return keep(&r.Users, u) }
func (r *records) Period(p *inventory.Period) error               { return keep(&r.Periods, p) }
func (r *records) Token(t *inventory.Token) error                 { return keep(&r.Tokens, t) }
func (r *records) Authorization(a *inventory.Authorization) error { return keep(&r.Authorizations, a) }
func (r *records) Request(q *inventory.Request) error             { return keep(&r.Requests, q) }

func load(ctx context.Context, s Store) (*inventory.Records, int64, error) {
	var r records
	change, err := s.LoadEach(ctx, &r)
	return &r.Records, change, err
}

// loadingGivesWhatTheChangesGive: a row is read in one form from the whole
// inventory and in another from the change log.
func loadingGivesWhatTheChangesGive(t *testing.T, o Open) {
	s := open(t, o)
	token := acme(t, s)
	for i, name := range []string{"plain", `quo"ted\'s`, "tab\tand\nline", "größe 🔑", " "} {
		c := issue("bob", byte(10+i))
		c.DisplayName, c.Global, c.ExpiresAt = name, []string{"discussion.write"}, time.Now().Add(time.Hour)
		do(t, s, c)
		c = unscoped("alice", authz.KindRead, byte(20+i))
		c.DisplayName, c.Last4 = name, ""
		do(t, s, c)
	}
	do(t, s, inventory.Deny{Organization: "acme", Token: token.ID, Reason: `says "no"`})
	more := []authz.Grant{{Entity: authz.Entity{Type: authz.TypeOrganization, Name: "acme"}, Permissions: []string{"repo.content.read", "discussion.write"}}}
	do(t, s, inventory.UpdateToken{Token: token.ID, Grants: &more}) // its second request
	do(t, s, inventory.Approve{Organization: "acme", Token: do(t, s, issue("bob", 40)).Token.ID})
	do(t, s, inventory.DeleteToken{Token: do(t, s, issue("bob", 41)).Token.ID})
	do(t, s, inventory.DisableToken{Token: do(t, s, issue("bob", 42)).Token.ID})
	loaded, last, err := load(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	followed, change, gap, err := s.Changes(context.Background(), 0)
	if err != nil || gap || change != last {
		t.Fatalf("the changes up to %d: gap %t, %v; loaded up to %d", change, gap, err, last)
	}
	followed.Tokens = slices.DeleteFunc(followed.Tokens, func(t *inventory.Token) bool { return t.Deleted })
	same(t, loaded.Organizations, followed.Organizations, func(o *inventory.Organization) string { return o.ID })
	same(t, loaded.Users, followed.Users, func(u *inventory.User) string { return u.ID })
	same(t, loaded.Periods, followed.Periods, func(p *inventory.Period) string { return p.UserID + p.Since.String() })
	// What decisions never read is not loaded.
	same(t, loaded.Tokens, followed.Tokens, func(t *inventory.Token) string {
		t.Purpose, t.Contact = "", ""
		return t.ID
	})
	same(t, loaded.Authorizations, followed.Authorizations, func(a *inventory.Authorization) string {
		a.ChangedBy = ""
		return a.TokenID + a.OrganizationID
	})
	same(t, loaded.Requests, followed.Requests, func(q *inventory.Request) string {
		*q = inventory.Request{ID: q.ID, TokenID: q.TokenID, OrganizationID: q.OrganizationID, Round: q.Round, State: q.State, Grants: q.Grants, OpenedAt: q.OpenedAt}
		return q.ID
	})
	if !slices.ContainsFunc(loaded.Requests, func(q *inventory.Request) bool { return q.Round == 1 }) {
		t.Error("no second request was loaded")
	}
	if len(loaded.Tokens) != 13 || len(loaded.Authorizations) < 2 || len(loaded.Requests) < 8 {
		t.Errorf("%d tokens, %d authorizations and %d requests were loaded", len(loaded.Tokens), len(loaded.Authorizations), len(loaded.Requests))
	}
}

// same compares rows by their keys.
func same[T any](t *testing.T, loaded, followed []*T, key func(*T) string) {
	t.Helper()
	by := map[string]*T{}
	for _, row := range loaded {
		by[key(row)] = row
	}
	if len(by) != len(followed) {
		t.Errorf("%d rows of type %T were loaded, and %d followed", len(by), *new(T), len(followed))
	}
	for _, row := range followed {
		if k := key(row); !reflect.DeepEqual(by[k], row) {
			t.Errorf("%s:\nloaded   %+v\nfollowed %+v", k, by[k], row)
		}
	}
}

// anImportHandsOverWhatItWrote: the same that the change log gives, of tokens
// that are new, described anew, come back, or wait for an approval.
func anImportHandsOverWhatItWrote(t *testing.T, o Open) {
	var last int64
	var handed *inventory.Records
	s := openWith(t, o, Options{Imported: func(_, change int64, r *inventory.Records) { last, handed = change, r }})
	acme(t, s)
	list := inventory.ImportTokens{}
	for i := range 20 {
		in := inventory.ImportToken{Digest: authz.Digest{9, byte(i)}, Owner: "bob", DisplayName: "Imported \u00e9", Kind: authz.KindRead, CreatedAt: time.Now().Add(-time.Hour), Global: []string{"discussion.write"}}
		if i%2 == 0 {
			in.Kind, in.Grants, in.Global, in.CreatedAt, in.ExpiresAt = authz.KindFineGrained, acmeGrant, nil, time.Time{}, time.Now().Add(time.Hour)
		}
		list.Tokens = append(list.Tokens, in)
	}
	compare := func() {
		t.Helper()
		read, number, gap, err := s.Changes(context.Background(), last-1)
		if err != nil || gap || number != last {
			t.Fatalf("the changes up to %d, %d were handed over: gap %t, %v", number, last, gap, err)
		}
		same(t, read.Tokens, handed.Tokens, func(t *inventory.Token) string { return t.ID })
		same(t, read.Authorizations, handed.Authorizations, func(a *inventory.Authorization) string { return a.TokenID + a.OrganizationID })
		latest := map[string]*inventory.Request{} // the last one of a pair counts
		for _, q := range handed.Requests {
			latest[q.TokenID+q.OrganizationID] = q
		}
		same(t, read.Requests, slices.Collect(maps.Values(latest)), func(q *inventory.Request) string { return q.TokenID + q.OrganizationID })
		if len(handed.Organizations)+len(handed.Users)+len(handed.Periods) > 0 {
			t.Errorf("more than tokens was handed over: %+v", handed)
		}
	}
	do(t, s, list)
	compare()
	if len(handed.Tokens) != 20 || len(handed.Requests) != 10 {
		t.Errorf("%d tokens and %d requests were handed over", len(handed.Tokens), len(handed.Requests))
	}
	do(t, s, inventory.DeleteToken{Token: handed.Tokens[0].ID})
	do(t, s, inventory.Deny{Organization: "acme", Token: handed.Tokens[2].ID, Reason: "no"})
	do(t, s, inventory.Approve{Organization: "acme", Token: handed.Tokens[4].ID})
	for i := range list.Tokens {
		in := &list.Tokens[i]
		switch {
		case i%3 == 0:
			in.DisplayName = "described anew"
		case i%2 == 0:
			in.Grants = []authz.Grant{{Entity: acmeGrant[0].Entity, Permissions: []string{"repo.write", "discussion.write"}}}
		}
	}
	do(t, s, list)
	compare()
	before := last
	do(t, s, list) // nothing is new: it is written that it was imported
	if compare(); last != before+1 || len(handed.Tokens) != 0 {
		t.Errorf("importing the same once more handed over change %d after %d, with %d tokens", last, before, len(handed.Tokens))
	}
}
