package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/credential"
)

// officeHours is a fifth token policy: a folder, and nothing else to touch.
var officeHours = map[string]string{
	"local/policies/office_hours/policy.rego": `# METADATA
# title: Office hours
# description: Read and write tokens from 9 to 17 only, UTC.
# custom:
#   unscoped: Authorized from 9 to 17
#   fine_grained: Authorized at any time
package local.policies.office_hours

reasons contains "token_type_not_allowed" if {
	input.token.kind in {"read", "write"}
	[hour, _, _] := time.clock(time.parse_rfc3339_ns(input.now))
	not hour in numbers.range(9, 16)
}
`,
	"local/policies/office_hours/policy_test.rego": `package local.policies.office_hours_test

import data.local.policies.office_hours

test_at_night if office_hours.reasons == {"token_type_not_allowed"} with input as {"token": {"kind": "read"}, "now": "2026-11-24T22:00:00Z"}

test_at_noon if office_hours.reasons == set() with input as {"token": {"kind": "read"}, "now": "2026-11-24T12:00:00Z"}
`,
}

// TestAFifthPolicyDecides: an organization takes it through the API, requests
// are decided by it, and its METADATA is what people see of it.
func TestAFifthPolicyDecides(t *testing.T) {
	dir := overlay(t, officeHours)
	w := startApp(t, func(c *Config) { c.Policy.Bundles = []string{dir} })
	api := w.api(t)
	do := func(method, path string, in, out any) {
		t.Helper()
		if err := api.Do(t.Context(), method, path, in, out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	do("POST", "/api/organizations", admin.NewOrganization{Name: "acme", TokenPolicy: "only_fine_grained_tokens"}, nil)
	do("PUT", "/api/organizations/acme/members/bob", admin.NewMember{Role: "write"}, nil)
	secrets := map[string]credential.Secret{}
	for kind, in := range map[string]admin.NewToken{"read": {Kind: "read"}, "fine-grained": {Kind: "fine-grained", Grants: []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.content.read"}}}}} {
		var issued admin.IssuedToken
		in.Owner, in.DisplayName = "bob", kind
		do("POST", "/api/tokens", in, &issued)
		secrets[kind] = credential.NewSecret(issued.Secret)
	}
	conn := w.overSocket(t)
	at := func(hour int, kind string) *authv3.CheckResponse {
		t.Helper()
		tomorrow := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		w.after(t, time.Until(tomorrow.Add(time.Duration(hour)*time.Hour+time.Minute)))
		return checkWith(t, conn, "/api/models/acme/model", secrets[kind])
	}
	reason := func(r *authv3.CheckResponse) string {
		return r.GetDynamicMetadata().GetFields()["reason"].GetStringValue()
	}
	if r := at(0, "read"); reason(r) != "token_type_not_allowed" {
		t.Errorf("before it is taken: %s", reason(r))
	}
	do("PUT", "/api/organizations/acme/settings/token-policy", admin.PolicyChange{TokenPolicy: "office_hours"}, nil)
	for _, c := range []struct {
		hour      int
		kind      string
		want      string
		mayBeUsed bool
	}{
		{8, "read", "token_type_not_allowed", false},
		{9, "read", "allowed", true},
		{16, "read", "allowed", true},
		{17, "read", "token_type_not_allowed", false},
		{22, "fine-grained", "allowed", true},
	} {
		r := at(c.hour, c.kind)
		if reason(r) != c.want || (r.GetOkResponse() != nil) != c.mayBeUsed || (r.GetStatus().GetCode() == 0) != c.mayBeUsed {
			t.Errorf("a %s token at %d: %s, want %s", c.kind, c.hour, reason(r), c.want)
		}
		if got := r.GetDynamicMetadata().GetFields()["policy"].GetStringValue(); got != "office_hours" {
			t.Errorf("decided by %q", got)
		}
	}
	binary := filepath.Join(t.TempDir(), "patrol")
	build(t, "cmd/patrol", binary)
	command := patrolBinary{binary, w.Config.DataDir}
	list := command.expect(t, 0, "office_hours", "policy", "list")
	if !regexp.MustCompile(`(?m)^office_hours +Authorized from 9 to 17 +Authorized at any time +Office hours$`).MatchString(list) || strings.Count(list, "\n") != 6 {
		t.Errorf("the list of policies:\n%s", list)
	}
	command.expect(t, 0, "2 passed, 0 failed, coverage 100.0 %", "policy", "test", dir)
	command.expect(t, 0, "office_hours", "org", "show", "acme")
}
