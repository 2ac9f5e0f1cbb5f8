package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// whatALifeCycleLeaves: former secrets, earlier versions, aliases, votes and
// what was said are there for the next command, and for another store.
func whatALifeCycleLeaves(t *testing.T, o Open) {
	s := open(t, o)
	token := acme(t, s)
	ctx := context.Background()
	do(t, s, inventory.RotateToken{Token: token.ID, Digest: authz.Digest{77}, Last4: "new1", Overlap: time.Hour})
	row := do(t, s, inventory.UpdateToken{Token: token.ID, Purpose: &[]string{"builds"}[0], Grants: &acmeGrant}).Token
	if row.RotatedAt == nil || row.OldSecretUntil == nil || row.Purpose != "builds" {
		t.Errorf("rotated and updated: %+v", row)
	}
	var invalid *inventory.Invalid
	if _, err := s.Do(ctx, operator, inventory.RotateToken{Token: token.ID, Digest: authz.Digest{1}}); !errors.As(err, &invalid) {
		t.Errorf("back to a former secret: %v", err)
	}
	wider := []authz.Grant{{Entity: acmeGrant[0].Entity, Permissions: []string{"org.write", "repo.content.read", "repo.write"}}}
	do(t, s, inventory.UpdateToken{Token: token.ID, Grants: &wider})
	var conflict *inventory.Conflict
	_, err := s.Do(ctx, operator, inventory.Approve{Organization: "acme", Token: token.ID, Version: token.Version})
	if !errors.As(err, &conflict) || len(conflict.Differences) != 1 || conflict.Differences[0].Present != "org.write on organization acme" || conflict.Token == nil {
		t.Errorf("approving what was reviewed before: %v %+v", err, conflict)
	}
	do(t, s, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"four_eyes": true}})
	do(t, s, inventory.CommentRequest{Organization: "acme", Token: token.ID, Comment: "hm"})
	do(t, s, inventory.Approve{Organization: "acme", Token: token.ID})
	do(t, s, inventory.RenameOrganization{Organization: "acme", Name: "acme-labs"})
	other := open(t, o)
	rows, _, err := other.Approvals(ctx, "acme", "open", inventory.Page{})
	if err != nil || len(rows) != 1 {
		t.Fatalf("by the old name: %v %v", rows, err)
	}
	q := rows[0]
	if q.Organization != "acme-labs" || q.Needs != 2 || len(q.Votes) != 1 || len(q.Notes) != 2 || len(q.Grants) != 1 || q.Grants[0].Entity.Name != "acme-labs" {
		t.Errorf("another store shows %+v", q)
	}
	second := inventory.Actor{Kind: "console", Name: "alice"}
	if r, err := other.Do(ctx, second, inventory.Approve{Organization: "acme", Token: token.ID, Version: q.Version, Request: q.ID}); err != nil || r.Token.Authorization.Status != "approved" {
		t.Errorf("the second vote: %+v %v", r.Token, err)
	}
	if _, err := s.Do(ctx, operator, inventory.CreateOrganization{Name: "acme"}); !errors.As(err, &conflict) {
		t.Errorf("the old name is free: %v", err)
	}
}
