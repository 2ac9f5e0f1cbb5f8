package bundles

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// probe evaluates samples: every token policy with each kind of token and
// state, and requests without this or that fact. Each must end in time with a
// decision whose reason is declared.
func (o *Options) probe(ctx context.Context, rules *authz.Ruleset) error {
	var refusal *authz.Refusal
	if _, err := rules.Router.Route(request{}); err != nil && !errors.As(err, &refusal) {
		return fmt.Errorf("probe of the routes: %w", err)
	}
	for _, s := range samples(rules.Policies) {
		limited, cancel := context.WithTimeout(ctx, o.ProbeTimeout)
		before := allocated()
		d, err := rules.Evaluator.Evaluate(limited, s.facts)
		took := allocated() - before
		cancel()
		if err != nil {
			return fmt.Errorf("probe with %s: %w", s.name, err)
		}
		if took > o.ProbeMemory {
			return fmt.Errorf("probe with %s: the evaluation took %d MiB of memory; %d are the bound", s.name, took>>20, o.ProbeMemory>>20)
		}
		if d.Reason == "" {
			continue
		}
		entry := rules.Catalogue.Get(d.Reason)
		if entry == nil || authz.BuiltinReasons[d.Reason] != nil {
			return fmt.Errorf("probe with %s: the reason %q is not declared in the catalogue", s.name, d.Reason)
		}
		if entry.Allow != d.Allowed {
			return fmt.Errorf("probe with %s: the reason %q came with allowed %t", s.name, d.Reason, d.Allowed)
		}
	}
	return nil
}

// allocated is what the process has allocated so far. Requests that are
// answered meanwhile count too; the bound is far above what they need.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

type sample struct {
	name  string
	facts *authz.Facts
}

func samples(policies []authz.TokenPolicy) []sample {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	present := authz.CredentialFacts{State: authz.CredentialPresent, Scheme: authz.SchemeBearer}
	missing := authz.CredentialFacts{State: authz.CredentialMissing}
	route := &authz.Route{
		Pattern: "/api/models/{organization}/{name}", Access: authz.AccessOrganization, Permission: "repo.content.read",
		Organizations: []string{"probe"}, Resource: &authz.Resource{Type: "model", Name: "probe/model"},
	}
	out := []sample{
		{"no route", &authz.Facts{Request: request{}, Now: now, Credential: missing}},
		{"an unmanaged route", &authz.Facts{Request: request{}, Now: now, Route: &authz.Route{Pattern: "/healthz", Access: authz.AccessUnmanaged}}},
		{"no credential", &authz.Facts{Request: request{}, Now: now, Credential: missing, Route: route}},
		{"an unknown token", &authz.Facts{Request: request{}, Now: now, Credential: present, Route: route}},
	}
	grants := &authz.GrantSet{Grants: []authz.Grant{{
		Entity: authz.Entity{Type: "organization", ID: "o", Name: "probe", Namespace: "o"}, Permissions: []string{"repo.content.read"},
	}}}
	for _, p := range policies {
		for _, kind := range []string{authz.KindRead, authz.KindFineGrained} {
			for _, state := range []string{authz.StateNone, authz.StateApproved, authz.StateDenied, authz.StateRevoked} {
				f := &authz.Facts{
					Request: request{}, Now: now, Credential: present, Route: route,
					Token:         &authz.Token{ID: "t", DisplayName: "probe", Kind: kind, Owner: &authz.Owner{ID: "u", Name: "probe", Type: "user"}, Source: "issued", CreatedAt: now.Add(-time.Hour)},
					Organization:  &authz.Organization{ID: "o", Name: "probe", Type: authz.TypeOrganization, TokenPolicy: p.Name, Enforcement: authz.Enforce},
					Membership:    &authz.Membership{Role: "write", Since: now.Add(-24 * time.Hour)},
					Authorization: &authz.Authorization{State: state},
				}
				if kind == authz.KindFineGrained {
					f.Token.Grants, f.Current, f.Effective = grants, grants, grants
				}
				out = append(out, sample{fmt.Sprintf("a %s token, %s, under %s", kind, state, p.Name), f})
			}
		}
	}
	return out
}

// request is the request of a sample.
type request struct{}

func (request) Method() string                       { return "GET" }
func (request) Path() string                         { return "/api/models/probe/model" }
func (request) Host() string                         { return "probe.invalid" }
func (request) Scheme() string                       { return "https" }
func (request) Protocol() string                     { return "HTTP/1.1" }
func (request) ID() string                           { return "probe" }
func (request) Header(string) (string, int)          { return "", 0 }
func (request) EachHeader(func(string, string) bool) {}
func (request) Body() authz.Body                     { return authz.Body{} }
func (request) Extension(string) (string, bool)      { return "", false }
func (request) Source() authz.Peer                   { return authz.Peer{Address: "192.0.2.1"} }
func (request) Destination() authz.Peer              { return authz.Peer{} }
func (request) Attributes() (map[string]any, error) {
	return map[string]any{"request": map[string]any{"http": map[string]any{"method": "GET", "path": "/api/models/probe/model", "headers": map[string]any{}}}}, nil
}
