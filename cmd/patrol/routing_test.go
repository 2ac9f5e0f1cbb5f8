package main

import (
	"context"
	"path/filepath"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// What a request is about, by an overlay's rule, by the table, and by Envoy's
// context_extensions, through the running server.
func TestTheThreeSourcesOfRoutes(t *testing.T) {
	dir := overlay(t, map[string]string{"local/routing/route.rego": `package local.routing

route := {"organizations": [tenant], "permission": "repo.content.read"} if {
	input.parsed_path[0] == "tenant"
	tenant := input.attributes.request.http.headers["x-tenant"]
}

route := "broken" if input.parsed_path[0] == "broken"
`})
	w := startApp(t, func(c *Config) {
		c.Policy.Bundles, c.Policy.ContextExtensions = []string{dir}, []string{"organization", "permission"}
	})
	if w.Bundles.Ruleset() == nil {
		t.Fatalf("%+v", w.Bundles.Status())
	}
	w.populate(t, filepath.Join(casesDir, "world.json"))
	client := authv3.NewAuthorizationClient(w.client(t))
	tenant := func(name string) [2]string { return [2]string{"x-tenant", name} }
	for _, c := range []struct {
		name, path, want string
		header           [2]string
		extensions       map[string]string
	}{
		{"the rule", "/tenant/x/y/z", "approval_pending", tenant("acme"), nil},
		{"the rule, another organization", "/tenant/x/y/z", "allowed", tenant("open-lab"), nil},
		{"the rule says nothing", "/tenant/x/y/z", "route_unknown", [2]string{"x-other", "acme"}, nil},
		{"the rule is broken", "/broken", "policy_error", tenant("acme"), nil},
		{"the table", "/api/models/acme/model", "approval_pending", tenant("open-lab"), nil},
		{"extensions", "/a/b/c/d", "approval_pending", tenant("x"), map[string]string{"organization": "acme", "permission": "repo.content.read"}},
		{"extensions that agree", "/api/models/acme/model", "approval_pending", tenant("x"), map[string]string{"organization": "acme"}},
		{"extensions that contradict the table", "/api/models/acme/model", "route_unknown", tenant("x"), map[string]string{"organization": "open-lab"}},
		{"extensions that contradict the rule", "/tenant/x/y/z", "route_unknown", tenant("acme"), map[string]string{"organization": "open-lab"}},
		{"a key that is not believed", "/a/b/c/d", "route_unknown", tenant("x"), map[string]string{"team": "acme", "permission": "repo.content.read"}},
	} {
		r := get(c.path, [2]string{"authorization", "Bearer {bob_fine}"}, c.header).checkRequest(w)
		r.GetAttributes().ContextExtensions = c.extensions
		answer, err := client.Check(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.GetDynamicMetadata().GetFields()["reason"].GetStringValue(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
