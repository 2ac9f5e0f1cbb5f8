package main

import (
	"testing"
)

// inside refuses whoever asks from beyond a network.
var inside = map[string]string{
	".manifest":    `{"roots": ["local"], "revision": "inside"}`,
	"local/a.rego": "package local\n\ndeny if not startswith(input.client.address, \"10.0.0.\")\n",
}

// TestACallerOfTheAPIsDoesNotChooseTheirAddress: what is trusted before Envoy says
// nothing of patrol's own APIs, and what is trusted before them is counted from the
// right, where the proxy writes.
func TestACallerOfTheAPIsDoesNotChooseTheirAddress(t *testing.T) {
	for _, c := range []struct {
		what      string
		hops      int
		forwarded string
		status    int
	}{
		{"no proxy is trusted", 0, "", 403},
		{"no proxy is trusted, and one claims an address", 0, "10.0.0.5", 403},
		{"no proxy is trusted, and two claim one", 0, "10.0.0.5, 203.0.113.9", 403},
		{"one is trusted, and sends nothing", 1, "", 403},
		{"one is trusted, which says where the caller is", 1, "10.0.0.5", 200},
		{"one is trusted, before which the caller claims an address", 1, "10.0.0.5, 203.0.113.9", 403},
		{"one is trusted, which believes another, from the network", 1, "203.0.113.9, 10.0.0.5", 200},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := startBureau(t, func(f *Config) {
				f.Policy.Bundles, f.Policy.TrustedHops, f.Admin.TrustedHops = []string{overlay(t, inside)}, 1, c.hops
				f.SCIM.Organizations = []SCIMOrganizationConfig{{Organization: acme, DefaultRole: "read"}}
			})
			b.issue("directory", "alice", []string{"org.scim.write"}, acme)
			var headers []string
			if c.forwarded != "" {
				headers = []string{"X-Forwarded-For", c.forwarded}
			}
			for caller, path := range map[string]string{"reader": "/api/organizations/acme/settings/tokens", "directory": "/scim/v2/acme/Users"} {
				if a := b.call(caller, "GET", path, nil, headers...); a.status != c.status {
					t.Errorf("%s %s: %d %s", path, headers, a.status, a.body)
				}
			}
			// Behind Envoy, which appends the connection's own address, it is as before.
			q := &testCase{}
			q.Request.Method, q.Request.Path = "GET", "/api/models/globex/m"
			for forwarded, reason := range map[string]string{"10.0.0.5, 192.0.2.7": "allowed", "10.0.0.5, 203.0.113.9, 192.0.2.7": "policy_denied"} {
				q.Request.Headers = [][2]string{{"authorization", "Bearer {member}"}, {"x-forwarded-for", forwarded}}
				if got := serverTier(t, b.world)(t, q).Reason; got != reason {
					t.Errorf("behind Envoy, %s: %s, want %s", forwarded, got, reason)
				}
			}
		})
	}
}
