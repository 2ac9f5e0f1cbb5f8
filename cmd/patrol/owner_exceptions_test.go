package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestWhatTheBundleDecidesIsTold to owners and administrators: an exception of the
// overlay lets bob's tokens in, and nobody is told that they are refused.
func TestWhatTheBundleDecidesIsTold(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "local/exceptions/data.json")
	text := `{"bobs": {"owner": "sec", "ticket": "T-1", "until": "2099-01-01T00:00:00Z", "owners": ["bob"], "reasons": ["approval_pending", "token_type_not_allowed"]}}`
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := &mailServer{}
	port, _ := server.start(t, "127.0.0.1:0")
	w := startApp(t, func(c *Config) {
		c.Admin.Listen, c.Policy.Bundles = "127.0.0.1:0", []string{dir}
		c.Mail = MailConfig{From: "patrol@example.com", SMTP: SMTPConfig{Host: "127.0.0.1", Port: port, TLS: "none"}}
		someProvider(c)
	})
	w.people(t)
	fine := w.issueFor(t, "nightly")
	secret := credential.Generate()
	laptop := w.do(t, inventory.IssueToken{Owner: "bob", DisplayName: "laptop", Kind: authz.KindWrite, Digest: w.digester.Secret(secret), Last4: secret.Last4()}).Token.ID
	if reason := w.ask(t, "GET", "/api/models/acme/model", secret.Reveal(), "q-1"); reason != "exception" {
		t.Fatalf("its request is answered %q", reason)
	}
	base := "http://" + w.Config.Admin.Listen
	for _, c := range []struct{ what, path, user, says string }{
		{"the owner's page of the one that waits", "/tokens/" + fine + "?organization=acme", "bob", "It works all the same by an exception in the policy."},
		{"of the one that the policy is against", "/tokens/" + laptop + "?organization=acme", "bob", "does not authorize write, unscoped tokens. An exception in the policy lets it in."},
		{"the own tokens", "/me", "bob", "works by an exception"},
		{"the administrators' listing", "/organizations/acme/tokens?kind=write", "alice", "allowed by an exception"},
		{"their page of it", "/organizations/acme/tokens/" + laptop, "alice", "allowed by an exception (token type not allowed)"},
	} {
		if status, _, body := ask(t, "GET", base+c.path, nil, w.sessionOf(t, c.user)); status != 200 || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d, without %q:\n%s", c.what, status, c.says, body)
		}
	}
	server.subjects(t, 2)
	for _, to := range []string{"alice", "bob"} {
		text, _ := mailParts(t, server.about(t, to, "nightly"))
		if !strings.Contains(text, "An exception in the policy lets it in there all the same.") || strings.Contains(text, "is refused there") {
			t.Errorf("the mail to %s:\n%s", to, text)
		}
	}
	row, err := w.api(t).OrganizationToken(t.Context(), "acme", laptop)
	if s := row.Standing; err != nil || !s.Allowed || s.Reason != "exception" || len(s.Reasons) != 1 || s.Asks || s.Tried != 2 {
		t.Errorf("it stands %+v, %v", s, err)
	}
}
