package main

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/credential"
)

// TestAnImportedTokenIsFoundByItsSecret: by the API as SHA-256 of the secret, in
// either case of its hex digits, or as the keyed digest (HMAC-SHA256) under which
// it was discovered; then its secret is sent to ext_authz.
func TestAnImportedTokenIsFoundByItsSecret(t *testing.T) {
	w := startApp(t, nil)
	w.people(t)
	if err := w.api(t).Do(t.Context(), "POST", "/api/organizations", map[string]any{"name": "open-lab", "token_policy": "allow_user_access_tokens"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.api(t).Do(t.Context(), "PUT", "/api/organizations/open-lab/members/bob", map[string]any{"role": "write"}, nil); err != nil {
		t.Fatal(err)
	}
	conn := w.overSocket(t)
	for name, digests := range map[string]func(secret credential.Secret) (sha, keyed string){
		"SHA-256": func(s credential.Secret) (string, string) {
			sum := sha256.Sum256([]byte(s.Reveal()))
			return hex.EncodeToString(sum[:]), ""
		},
		"the keyed digest": func(s credential.Secret) (string, string) {
			sum := w.digester.Secret(s)
			return "", hex.EncodeToString(sum[:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			secret, other := credential.Generate(), credential.Generate()
			reason := func(s credential.Secret) string {
				t.Helper()
				r := checkWith(t, conn, "/api/models/open-lab/model", s)
				got := r.GetDynamicMetadata().GetFields()["reason"].GetStringValue()
				if allowed := r.GetOkResponse() != nil; allowed != (got == "allowed") {
					t.Errorf("%s is answered with allowed %t", got, allowed)
				}
				return got
			}
			if got := reason(secret); got != "token_unknown" {
				t.Errorf("before the import: %s", got)
			}
			token := admin.ImportedToken{Owner: "bob", DisplayName: "imported by " + name, Kind: authz.KindRead, Last4: secret.Last4()}
			token.SHA256, token.Digest = digests(secret)
			if err := w.api(t).Do(t.Context(), "POST", "/api/tokens/import", admin.Import{Tokens: []admin.ImportedToken{token}}, nil); err != nil {
				t.Fatal(err)
			}
			if got := reason(secret); got != "allowed" {
				t.Errorf("its secret: %s", got)
			}
			if got := reason(other); got != "token_unknown" {
				t.Errorf("another's secret: %s", got)
			}
		})
	}
}
