package inventory_test

import (
	"errors"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
)

func seen(grants ...authz.Grant) inventory.SeeToken {
	return inventory.SeeToken{Source: authz.SourceJWT, Digest: authz.Digest{9}, Owner: "bob", DisplayName: "ci", Kind: authz.KindFineGrained, Grants: grants}
}

func TestATokenMadeElsewhereIsPendingAsAnyOther(t *testing.T) {
	l := inventorytest.NewLab(t)
	l.Must(operator, seen(on("acme", "repo.write")))
	token := l.Tokens[l.Digests[authz.Digest{9}]]
	wantState(t, l, token, "none", "open")
	if token.Source != "jwt" || l.Asked(token, "acme").OpenedBy != "hit" || !token.ExpiresAt.IsZero() {
		t.Errorf("%+v", token)
	}
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: token.Version})
	wantState(t, l, token, "approved", "decided")

	// With less, or the same, nothing changes.
	for _, again := range []inventory.SeeToken{seen(on("acme", "repo.write")), seen()} {
		if change := l.Must(operator, again); change.Audit != nil {
			t.Errorf("seen with %v: %+v", again.Grants, change.Audit)
		}
	}
	// With more, that is asked for, and what was approved stays.
	l.Must(operator, seen(on("acme", "org.write"), on("nowhere", "repo.write")))
	token = l.Tokens[token.ID]
	wantState(t, l, token, "approved", "open")
	if got := token.Grants[0].Permissions; len(token.Grants) != 1 || len(got) != 2 || l.Decided(token, "acme").Grants[0].Permissions[0] != "repo.write" {
		t.Errorf("it is known with %v, approved with %v", token.Grants, l.Decided(token, "acme").Grants)
	}
	// Revoked is revoked, however it is seen.
	l.Must(person("alice"), inventory.RevokeToken{Organization: "acme", Token: token.ID})
	l.Must(operator, seen(on("acme", "repo.content.read")))
	wantState(t, l, l.Tokens[token.ID], "revoked", "withdrawn")
}

func TestATokenMadeElsewhereIsNeverAdminCreated(t *testing.T) {
	l := inventorytest.NewLab(t)
	c := seen(on("acme", "repo.write"))
	c.Owner = "alice" // an administrator
	l.Must(operator, c)
	token := l.Tokens[l.Digests[authz.Digest{9}]]
	wantState(t, l, token, "none", "open")
}

func TestWhatIsNotSeen(t *testing.T) {
	change := func(f func(*inventory.SeeToken)) inventory.SeeToken {
		c := seen(on("acme", "repo.write"))
		f(&c)
		return c
	}
	l := inventorytest.NewLab(t)
	l.Must(operator, seen(on("acme", "repo.write")))
	id := l.Digests[authz.Digest{9}]
	grants := []authz.Grant{on("acme", "org.write")}
	global := []string{"patrol.operate"}
	for name, c := range map[string]inventory.Command{
		"of an owner whom nobody knows": change(func(c *inventory.SeeToken) { c.Owner = "nobody"; c.Digest = authz.Digest{1} }),
		"of another owner":              change(func(c *inventory.SeeToken) { c.Owner = "alice" }),
		"of another source":             change(func(c *inventory.SeeToken) { c.Source = authz.SourceIntrospection }),
		"as if it were issued":          change(func(c *inventory.SeeToken) { c.Source = authz.SourceIssued }),
		"of no kind":                    change(func(c *inventory.SeeToken) { c.Kind = "admin" }),
		"an unscoped one with grants":   change(func(c *inventory.SeeToken) { c.Kind = authz.KindWrite }),
		"without an identity":           change(func(c *inventory.SeeToken) { c.Digest = authz.Digest{} }),
		"without a name":                change(func(c *inventory.SeeToken) { c.DisplayName = "" }),
		"rotated":                       inventory.RotateToken{Token: id, Digest: authz.Digest{7}},
		"given other grants":            inventory.UpdateToken{Token: id, Grants: &grants},
		"made an operator's":            inventory.UpdateToken{Token: id, Global: &global},
	} {
		var invalid *inventory.Invalid
		if _, err := inventory.Apply(l, l.Policies, operator, c, l.Now); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.Must(operator, inventory.DeleteToken{Token: id})
	var forbidden *inventory.Forbidden
	if _, err := inventory.Apply(l, l.Policies, operator, seen(on("acme", "repo.write")), l.Now); !errors.As(err, &forbidden) {
		t.Errorf("a deleted one comes back: %v", err)
	}
}

func TestTheKindOfATokenMadeElsewhereFollowsIt(t *testing.T) {
	l := inventorytest.NewLab(t)
	l.Must(operator, seen(on("acme", "repo.write")))
	id := l.Digests[authz.Digest{9}]
	unscoped := seen()
	unscoped.Kind = authz.KindRead
	l.Must(operator, unscoped)
	if token := l.Tokens[id]; token.Kind != "read" || token.Grants != nil || token.Version != 2 {
		t.Errorf("%+v", token)
	}
	wantState(t, l, l.Tokens[id], "none", "withdrawn")
}

// TestATextThatHoldsASecretIsRefused, in whatever field, and as a name that
// another source tells.
func TestATextThatHoldsASecretIsRefused(t *testing.T) {
	l := inventorytest.NewLab(t)
	secret := credential.Generate().Reveal()
	l.Must(operator, seen(on("acme", "repo.write")))
	token := l.Tokens[l.Digests[authz.Digest{9}]]
	named := seen(on("acme", "repo.write"))
	named.DisplayName = "ci " + secret
	for field, c := range map[string]inventory.Command{
		"comment":      inventory.RevokeToken{Organization: "acme", Token: token.ID, Comment: "it is (" + secret + ")"},
		"reason":       inventory.Deny{Organization: "acme", Token: token.ID, Version: 1, Reason: secret},
		"purpose":      inventory.AskAgain{Organization: "acme", Token: token.ID, Purpose: "x" + secret + "y"},
		"display_name": named,
	} {
		_, err := l.Do(operator, c)
		var invalid *inventory.Invalid
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	l.Must(operator, inventory.RevokeToken{Organization: "acme", Token: token.ID, Comment: secret[:len(secret)-1]}) // which is none
}
