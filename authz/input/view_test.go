package input_test

import (
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

// asked is a program that gives back what a query finds in its input.
func asked(t *testing.T, rule string) *compiled.Program {
	t.Helper()
	c, err := ast.CompileModules(map[string]string{"t.rego": "package t\n" + rule})
	if err != nil {
		t.Fatal(err)
	}
	p, err := compiled.New(t.Context(), compiled.Options{Compiler: c, Entrypoint: ast.MustParseRef("data.t.r")})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// seenBy evaluates a program on a view of some facts.
func seenBy(t *testing.T, p *compiled.Program, b *input.Builder, f *authz.Facts) string {
	t.Helper()
	m := p.Begin()
	defer m.End()
	var view input.View
	in, err := view.Reset(b, m, f)
	if err != nil {
		return "error: " + err.Error()
	}
	v, err := m.Eval(t.Context(), compiled.Call{Input: in})
	if err != nil {
		return err.Error()
	}
	return v.String()
}

// built is what the builder makes of the same facts.
func built(b *input.Builder, f *authz.Facts, path string) string {
	v, err := b.Value(f)
	if err != nil {
		return "error: " + err.Error()
	}
	if path == "" {
		return v.String()
	}
	for key := range strings.SplitSeq(path, "/") {
		o, ok := v.(ast.Object)
		if !ok || o.Get(ast.StringTerm(key)) == nil {
			return compiled.ErrUndefined.Error()
		}
		v = o.Get(ast.StringTerm(key)).Value
	}
	return v.String()
}

// factsOfAllKinds are sample facts with this or that gone.
func factsOfAllKinds() map[string]*authz.Facts {
	out := map[string]*authz.Facts{}
	for name, change := range map[string]func(*authz.Facts){
		"whole":           func(*authz.Facts) {},
		"no request":      func(f *authz.Facts) { f.Request = nil },
		"no token":        func(f *authz.Facts) { f.Token = nil },
		"no owner":        func(f *authz.Facts) { f.Token.Owner = nil },
		"no organization": func(f *authz.Facts) { f.Organization = nil },
		"no member":       func(f *authz.Facts) { f.Membership = nil },
		"no state":        func(f *authz.Facts) { f.Authorization = nil },
		"no approval":     func(f *authz.Facts) { f.Authorization.Request = nil },
		"no route":        func(f *authz.Facts) { f.Route = nil },
		"no resource":     func(f *authz.Facts) { f.Route.Resource = nil },
		"nothing":         func(f *authz.Facts) { *f = authz.Facts{} },
		"unscoped": func(f *authz.Facts) {
			f.Token.Kind, f.Token.Grants, f.Current, f.Effective, f.Authorization.Grants = authz.KindRead, nil, nil, nil, nil
		},
		"no grants":    func(f *authz.Facts) { f.Token.Grants, f.Current, f.Effective = nil, nil, nil },
		"never ends":   func(f *authz.Facts) { f.Token.ExpiresAt, f.Authorization.ExpiresAt = time.Time{}, time.Time{} },
		"just ended":   func(f *authz.Facts) { f.Token.ExpiresAt, f.Authorization.ExpiresAt = f.Now, f.Now },
		"dated":        func(f *authz.Facts) { f.Organization.NextTokenPolicy, f.Organization.EnforceAt = "x", f.Now },
		"dated wrong":  func(f *authz.Facts) { f.Organization.EnforceAt = f.Now },
		"settings":     func(f *authz.Facts) { f.Organization.Settings = map[string]any{"a": []any{1, "b", nil}} },
		"bad settings": func(f *authz.Facts) { f.Organization.Settings = map[string]any{"a": make(chan int)} },
		"not UTC":      func(f *authz.Facts) { f.Now = f.Now.In(time.FixedZone("x", 3600)) },
		"frozen": func(f *authz.Facts) {
			f.Organization.Settings = map[string]any{"max_token_age_days": 3}
			f.Organization.Frozen = input.FreezeOrganization(f.Organization)
			f.Current.Frozen = input.FreezeGrants(f.Current.Grants)
		},
		"frozen by another": func(f *authz.Facts) { f.Organization.Frozen, f.Current.Frozen = "not mine", 7 },
		"a bad escape": func(f *authz.Facts) {
			r := inputtest.Check()
			r.Attributes.Request.Http.Path = "/%zz"
			f.Request = inputtest.Request{CheckRequest: r}
		},
		"a bad body": func(f *authz.Facts) {
			r := inputtest.Check()
			r.Attributes.Request.Http.Body = "{"
			f.Request = inputtest.Request{CheckRequest: r}
		},
		"headers one by one": func(f *authz.Facts) {
			r := inputtest.Check()
			r.Attributes.Request.Http.Headers = nil
			r.Attributes.Request.Http.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
				{Key: "Authorization", RawValue: []byte("x")}, {Key: "accept", Value: "a"}, {Key: "accept", Value: "b"},
			}}
			f.Request = inputtest.Request{CheckRequest: r}
		},
		"an empty request": func(f *authz.Facts) {
			r := inputtest.Check()
			r.Attributes = nil
			f.Request = inputtest.Request{CheckRequest: r}
		},
	} {
		f := inputtest.Facts()
		change(f)
		out[name] = f
	}
	return out
}

// TestTheViewIsTheDocument: read whole, and at each path, as far as the policy
// reads it.
func TestTheViewIsTheDocument(t *testing.T) {
	paths := []string{
		"", "attributes", "attributes/request/http", "attributes/request/http/method", "attributes/request/http/path",
		"attributes/request/http/host", "attributes/request/http/scheme", "attributes/request/http/protocol", "attributes/request/http/id",
		"attributes/request/http/headers", "attributes/request/http/headers/user-agent", "attributes/request/http/headers/authorization",
		"attributes/request/http/headers/x-api-key", "attributes/request/http/headers/accept", "attributes/request/http/headers/Accept",
		"attributes/request/http/headers/none", "attributes/request/http/size", "attributes/source/principal",
		"attributes/source/address/socketAddress/portValue", "attributes/source/address", "attributes/destination/principal",
		"attributes/destination/address/socketAddress/address", "attributes/contextExtensions/team", "attributes/contextExtensions/none",
		"attributes/contextExtensions", "parsed_path", "parsed_query", "parsed_query/full", "parsed_body", "parsed_body/type", "truncated_body",
		"version", "version/ext_authz", "source_principal", "destination_principal", "token", "token/id", "token/kind", "token/owner",
		"token/owner/name", "token/grants", "token/global", "token/age_seconds", "token/remaining_seconds", "token/expired", "token/created_at",
		"token/nothing", "organization", "organization/token_policy", "organization/next_token_policy", "organization/enforce_at",
		"organization/settings", "organization/settings/public_read", "membership", "membership/role", "membership/since", "authorization",
		"authorization/current", "authorization/effective", "authorization/grants", "authorization/request", "authorization/request/state",
		"authorization/expired", "authorization/suspended", "route", "route/resource", "route/resource/type", "route/organizations",
		"route/pattern", "client", "client/network", "credential", "credential/scheme", "credential/disabled", "patrol", "patrol/version",
		"now", "nothing",
	}
	for _, path := range paths {
		ref := "input"
		for key := range strings.SplitSeq(path, "/") {
			if key != "" {
				ref += `["` + key + `"]`
			}
		}
		p := asked(t, "r := "+ref)
		for name, f := range factsOfAllKinds() {
			for kind, b := range map[string]*input.Builder{
				"whole":  input.New(input.Options{CredentialHeaders: []string{"x-api-key"}}),
				"pruned": input.New(input.Options{Fields: input.Paths(path)}),
			} {
				if got, want := seenBy(t, p, b, f), built(b, f, path); got != want {
					t.Errorf("%s of %s, %s:\nview  %s\nbuilt %s", ref, name, kind, got, want)
				}
			}
		}
	}
}
