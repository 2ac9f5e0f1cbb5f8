package storetest

import (
	"context"
	"slices"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// reachIsOfEachOrganization: a token is shown as each organization that lists it
// sees it, with its own grants and decision alone.
func reachIsOfEachOrganization(t *testing.T, o Open) {
	s := open(t, o)
	pending := acme(t, s)
	for _, name := range []string{"globex", "initech"} {
		do(t, s, inventory.CreateOrganization{Name: name})
	}
	do(t, s, inventory.AddMember{Organization: "globex", User: "bob", Role: "read"})
	both := issue("bob", 2)
	both.Grants = slices.Concat(acmeGrant, []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "globex"}, Permissions: []string{"org.read"}}})
	shared := do(t, s, both).Token
	read := do(t, s, unscoped("bob", authz.KindRead, 3)).Token
	own := issue("bob", 4)
	own.Grants = []authz.Grant{{Entity: authz.Entity{Type: "user", Name: "bob"}, Permissions: []string{"repo.write"}}}
	alone := do(t, s, own).Token
	gone := do(t, s, issue("bob", 5)).Token
	do(t, s, inventory.DeleteToken{Token: gone.ID})
	do(t, s, inventory.Deny{Organization: "acme", Token: shared.ID, Version: 1, Reason: "no"})

	rows, err := s.Reach(context.Background(), []string{pending.ID, shared.ID, read.ID, alone.ID, gone.ID})
	if err != nil {
		t.Fatal(err)
	}
	type place struct{ organization, token, status, permission string }
	var got []place
	for i := range rows {
		p := place{rows[i].Organization, rows[i].ID, rows[i].Authorization.Status, ""}
		if len(rows[i].Grants) > 0 {
			p.permission = rows[i].Grants[0].Permissions[0]
		}
		got = append(got, p)
	}
	first := acmeGrant[0].Permissions
	permission := slices.Min(first)
	want := []place{
		{"acme", pending.ID, "pending", permission},
		{"acme", shared.ID, "denied", permission},
		{"acme", read.ID, "none", ""},
		{"globex", shared.ID, "none", "org.read"},
		{"globex", read.ID, "none", ""},
	}
	if !slices.Equal(got, want) {
		t.Errorf("they reach\n%+v, want\n%+v", got, want)
	}
	if rows, err := s.Reach(context.Background(), nil); err != nil || len(rows) > 0 {
		t.Errorf("no tokens reach %+v, %v", rows, err)
	}
}
