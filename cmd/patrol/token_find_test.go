package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestASecretFindsItsToken by its SHA-256, also after it was rotated away; the
// secret itself is taken nowhere.
func TestASecretFindsItsToken(t *testing.T) {
	b := startBureau(t)
	id, secret := b.ids["reader"], b.secrets["reader"]
	find := func(s credential.Secret) (answered, string) {
		sum := sha256.Sum256([]byte(s.Reveal()))
		a := b.call("socket", "POST", "/api/tokens/find", map[string]any{"sha256": strings.ToUpper(hex.EncodeToString(sum[:]))})
		return a, string(a.body)
	}
	if a, body := find(secret); a.status != http.StatusOK || !strings.Contains(body, id) || strings.Contains(body, `"former"`) {
		t.Errorf("%d %s", a.status, body)
	}
	next := credential.Generate()
	b.do(t, inventory.RotateToken{Token: id, Digest: b.digester.Secret(next), Last4: next.Last4(), Overlap: time.Hour})
	if a, body := find(secret); a.status != http.StatusOK || !strings.Contains(body, id) || !strings.Contains(body, `"former":true`) {
		t.Errorf("a secret that was rotated away: %d %s", a.status, body)
	}
	if a, body := find(next); a.status != http.StatusOK || !strings.Contains(body, id) || strings.Contains(body, `"former"`) {
		t.Errorf("the new one: %d %s", a.status, body)
	}
	b.do(t, inventory.DeleteToken{Token: id})
	for name, s := range map[string]credential.Secret{"a deleted one": next, "one of nobody": credential.Generate()} {
		if a, body := find(s); a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, a.status, body)
		}
	}
	for _, body := range []map[string]any{{}, {"sha256": "x"}, {"sha256": secret.Reveal()}, {"secret": "x"}} {
		a := b.call("socket", "POST", "/api/tokens/find", body)
		if p := a.problem(t); a.status != http.StatusUnprocessableEntity || len(p.Errors) == 0 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	before := b.lastChange().Seq
	find(secret)
	if b.lastChange().Seq != before {
		t.Error("looking changed something")
	}
}
