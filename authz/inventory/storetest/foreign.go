package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// aTokenMadeElsewhereIsSeen: the record that a first use makes is there for the
// next command and for another store, and a deleted one does not come back.
func aTokenMadeElsewhereIsSeen(t *testing.T, o Open) {
	s := open(t, o)
	acme(t, s)
	ctx := context.Background()
	see := inventory.SeeToken{Source: authz.SourceJWT, Digest: authz.Digest{88}, Owner: "bob", DisplayName: "ci of acme", Kind: authz.KindFineGrained, Grants: acmeGrant}
	id := do(t, s, see).Token.ID
	if r := do(t, s, see); r.Changed || r.Token.ID != id {
		t.Errorf("seen again: %+v", r)
	}
	other := open(t, o)
	row, err := other.Token(ctx, "acme", id)
	if err != nil || row.Source != "jwt" || row.Authorization.Status != "pending" || row.Authorization.Request.OpenedBy != "hit" || row.ExpiresAt != nil {
		t.Errorf("another store shows %+v, %v", row, err)
	}
	do(t, s, inventory.DeleteToken{Token: id})
	var forbidden *inventory.Forbidden
	if _, err := s.Do(ctx, operator, see); !errors.As(err, &forbidden) {
		t.Errorf("a deleted one: %v", err)
	}
}
