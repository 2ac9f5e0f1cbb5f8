package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// everyCommand carries out each command once, and again where that changes
// nothing: each change is one number and one audit entry.
func everyCommand(t *testing.T, o Open) {
	s := open(t, o)
	token := acme(t, s)
	second := do(t, s, unscoped("alice", authz.KindWrite, 2)).Token
	next := time.Now().Add(24 * time.Hour)
	for _, step := range []struct {
		command inventory.Command
		again   bool // a second time it changes nothing
	}{
		{inventory.CreateOrganization{Name: "empty", Settings: map[string]any{"public_read": "refuse"}}, false},
		{inventory.SetPolicy{Organization: "empty", TokenPolicy: "only_fine_grained_tokens", EnforceAt: next}, true},
		{inventory.SetPolicy{Organization: "empty", ClearNext: true}, true},
		{inventory.SetPolicy{Organization: "empty", Enforcement: authz.Observe}, true},
		{inventory.DeleteOrganization{Organization: "empty"}, false},
		{inventory.AddMember{Organization: "acme", User: "carol", Role: "read", Email: "carol@example.com"}, true},
		{inventory.AddMember{Organization: "acme", User: "carol", Role: "write"}, true},
		{inventory.RemoveMember{Organization: "acme", User: "carol"}, false},
		{inventory.Approve{Organization: "acme", Token: token.ID, Version: token.Version, Until: next}, true},
		{inventory.SuspendToken{Organization: "acme", Token: token.ID, Comment: "why"}, true},
		{inventory.ResumeToken{Organization: "acme", Token: token.ID}, true},
		{inventory.DisableToken{Token: second.ID}, true},
		{inventory.EnableToken{Token: second.ID}, true},
		{inventory.Deny{Organization: "acme", Token: token.ID, Version: token.Version, Reason: "no"}, true},
		{inventory.RevokeToken{Organization: "acme", Token: token.ID}, true},
		{inventory.DeleteToken{Token: second.ID}, false},
		{inventory.ImportTokens{Tokens: []inventory.ImportToken{{Digest: authz.Digest{7}, Owner: "bob", DisplayName: "old", Kind: authz.KindRead}}}, false},
	} {
		before, entries := change(t, s), len(audit(t, s))
		if r := do(t, s, step.command); !r.Changed {
			t.Errorf("%s changed nothing", step.command.Action())
		}
		if got := change(t, s); got != before+1 {
			t.Errorf("%s took %d numbers", step.command.Action(), got-before)
		}
		list := audit(t, s)
		if len(list) != entries+1 || list[0].Action != step.command.Action() || list[0].Actor != operator {
			t.Errorf("%s left the audit %+v", step.command.Action(), list[0])
		}
		if !step.again {
			continue
		}
		if r := do(t, s, step.command); r.Changed || change(t, s) != before+1 {
			t.Errorf("%s, a second time, changed something", step.command.Action())
		}
	}
	chained(t, s, change(t, s))
	used, err := s.PoliciesInUse(context.Background())
	slices.Sort(used)
	if err != nil || !slices.Equal(used, []string{"require_administrator_approval"}) {
		t.Errorf("policies in use: %v, %v", used, err)
	}
}

func aRequestIsOpenedAndDecided(t *testing.T, o Open) {
	s := open(t, o)
	token := acme(t, s)
	ctx := context.Background()
	if got := status(t, s, token.ID); got != "pending" {
		t.Fatalf("after issue: %s", got)
	}
	approve := inventory.Approve{Organization: "acme", Token: token.ID, Version: token.Version + 1}
	var conflict *inventory.Conflict
	if _, err := s.Do(ctx, operator, approve); !errors.As(err, &conflict) || conflict.Token == nil {
		t.Fatalf("approving another version: %v", err)
	}
	approve.Version = token.Version
	do(t, s, approve)
	if got := status(t, s, token.ID); got != "approved" {
		t.Fatalf("after approval: %s", got)
	}
	do(t, s, inventory.Deny{Organization: "acme", Token: token.ID, Version: token.Version, Reason: "no"})
	if r := do(t, s, inventory.OpenRequest{Organization: do(t, s, inventory.SetPolicy{Organization: "acme"}).Organization.ID, Token: token.ID}); r.Approval != nil && r.Approval.State == "open" {
		t.Fatal("a denied token's hit opened a request")
	}
	do(t, s, inventory.RevokeToken{Organization: "acme", Token: token.ID})
	if _, err := s.Do(ctx, operator, approve); !errors.As(err, &conflict) {
		t.Fatalf("approving a revoked token: %v", err)
	}
	list, _, err := s.Audit(ctx, "acme", inventory.Page{})
	if err != nil || len(list) < 5 || list[0].Action != "token.revoke" || list[0].Organization != "acme" {
		t.Fatalf("audit: %v %v", list, err)
	}
}

func aDeletedTokenComesBackAsItWasDecidedOn(t *testing.T, o Open) {
	s := open(t, o)
	token := acme(t, s)
	do(t, s, inventory.RevokeToken{Organization: "acme", Token: token.ID})
	do(t, s, inventory.DeleteToken{Token: token.ID})
	do(t, s, inventory.ImportTokens{Tokens: []inventory.ImportToken{
		{Digest: authz.Digest{1}, Owner: "bob", DisplayName: "again", Kind: authz.KindFineGrained, Grants: acmeGrant},
		{Digest: authz.Digest{2}, Owner: "bob", DisplayName: "new", Kind: authz.KindFineGrained, Grants: acmeGrant},
	}})
	if got := status(t, s, token.ID); got != "revoked" {
		t.Fatalf("imported again: %s", got)
	}
	if n := len(tokens(t, s, "acme", inventory.TokenFilter{Status: "all"})); n != 2 {
		t.Fatalf("%d tokens are listed", n)
	}
}

func leavingEndsApprovals(t *testing.T, o Open) {
	s := open(t, o)
	token := acme(t, s)
	do(t, s, inventory.Approve{Organization: "acme", Token: token.ID})
	do(t, s, inventory.RemoveMember{Organization: "acme", User: "bob"})
	if got := status(t, s, token.ID); got != "none" {
		t.Fatalf("after leaving: %s", got)
	}
	r := do(t, s, inventory.AddMember{Organization: "acme", User: "bob", Role: "write"})
	do(t, s, inventory.OpenRequest{Organization: r.Organization.ID, Token: token.ID})
	if got := status(t, s, token.ID); got != "pending" {
		t.Fatalf("back, after a hit: %s", got)
	}
}

func anImportIsAllOrNothing(t *testing.T, o Open) {
	s := open(t, o)
	acme(t, s)
	list := make([]inventory.ImportToken, 600)
	for i := range list {
		list[i] = inventory.ImportToken{
			Digest: authz.Digest{5, byte(i), byte(i >> 8)}, Owner: "bob", DisplayName: "token", Kind: authz.KindFineGrained, Grants: acmeGrant,
		}
	}
	list[599].Kind = "magic"
	before := change(t, s)
	_, err := s.Do(context.Background(), operator, inventory.ImportTokens{Tokens: list})
	var invalid *inventory.Invalid
	if !errors.As(err, &invalid) || invalid.Field != "tokens[599].kind" || change(t, s) != before {
		t.Fatalf("a bad line: %v", err)
	}
	list[599].Kind = authz.KindRead
	list[599].Grants = nil
	if r := do(t, s, inventory.ImportTokens{Tokens: list}); r.Imported != 600 {
		t.Errorf("imported %d", r.Imported)
	}
	if n := len(tokens(t, s, "acme", inventory.TokenFilter{Status: "pending"})); n != 600 { // 599 and bob's first
		t.Errorf("%d are pending", n)
	}
	// A second time they take the new description, under their old ids.
	for i := range list {
		list[i].DisplayName = "renamed"
	}
	do(t, s, inventory.ImportTokens{Tokens: list})
	if n := len(tokens(t, s, "", inventory.TokenFilter{Query: "RENAMED"})); n != 600 {
		t.Errorf("%d are renamed", n)
	}
	if n := len(tokens(t, s, "", inventory.TokenFilter{})); n != 601 {
		t.Errorf("%d tokens in all", n)
	}
}
