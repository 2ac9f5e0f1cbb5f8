package engine

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
)

// words are what a policy speaks of: its constants and the names of its
// packages. Inputs that are made of them reach its rules.
type words struct {
	*rand.Rand
	texts   []string
	numbers []json.Number
}

// rehearsalTime is the time of all that is made up.
var rehearsalTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func wordsOf(c *ast.Compiler, r *rand.Rand) *words {
	texts, numbers := map[string]bool{}, map[json.Number]bool{}
	for _, m := range c.Modules {
		for _, part := range m.Package.Path[1:] {
			if s, ok := part.Value.(ast.String); ok {
				texts[string(s)] = true
			}
		}
		ast.WalkTerms(m, func(t *ast.Term) bool {
			switch v := t.Value.(type) {
			case ast.String:
				texts[string(v)] = true
			case ast.Number:
				numbers[json.Number(v)] = true
			}
			return false
		})
	}
	w := &words{Rand: r}
	for s := range texts {
		w.texts = append(w.texts, s)
	}
	for n := range numbers {
		w.numbers = append(w.numbers, n)
	}
	slices.Sort(w.texts) // the same choices each time
	slices.Sort(w.numbers)
	return w
}

// pick is one of the given, or now and then any word.
func (w *words) pick(list ...string) string {
	if len(w.texts) > 0 && w.IntN(6) == 0 {
		return w.word()
	}
	return list[w.IntN(len(list))]
}

func (w *words) word() string {
	if len(w.texts) == 0 {
		return ""
	}
	return w.texts[w.IntN(len(w.texts))]
}

func (w *words) chance(of int) bool { return w.IntN(of) == 0 }

// policies are likely names of token policies.
func (w *words) policy() string {
	return w.pick("allow_user_access_tokens", "only_fine_grained_tokens", "do_not_require_administrator_approval", "require_administrator_approval", w.word(), w.word())
}

// facts makes facts up.
func (w *words) facts() *authz.Facts {
	now := rehearsalTime
	end := func() time.Time {
		return []time.Time{{}, now.Add(time.Hour), now.Add(time.Hour), now, now.Add(-time.Hour)}[w.IntN(5)]
	}
	grants := w.grants()
	f := &authz.Facts{
		Request: rehearsedRequest{w.pick("GET", "GET", "POST", "DELETE")}, Now: now,
		Client:     authz.Client{Address: "192.0.2.7", Network: "192.0.2.0/24"},
		Credential: authz.CredentialFacts{State: authz.CredentialPresent, Scheme: w.pick(authz.SchemeBearer, authz.SchemeBasic)},
		Route: &authz.Route{
			Pattern: "/api/{organization}", Access: w.pick(authz.AccessOrganization, authz.AccessOrganization, authz.AccessAuthenticated, authz.AccessPublic, authz.AccessUnmanaged),
			Permission: w.pick("repo.content.read", "repo.write"), Organizations: []string{"acme"},
			Resource: &authz.Resource{Type: w.pick("model", "dataset"), Name: "acme/m", Visibility: w.pick("", "public", "private")},
		},
		Token: &authz.Token{
			ID: "t1", DisplayName: "ci", Last4: "CDEF", Kind: w.pick(authz.KindRead, authz.KindWrite, authz.KindFineGrained, authz.KindFineGrained), Source: "issued",
			Owner: &authz.Owner{ID: "u1", Name: "bob", Type: w.pick("user", "service_account")}, CreatedAt: now.Add(-24 * time.Hour * time.Duration(w.IntN(400))),
			ExpiresAt: end(), Grants: grants, Global: []string{w.word()},
		},
		Organization: &authz.Organization{
			ID: "o1", Name: "acme", Type: w.pick(authz.TypeOrganization, authz.TypeOrganization, authz.TypeUser), TokenPolicy: w.policy(),
			Enforcement: w.pick(authz.Enforce, authz.Enforce, authz.Observe), ManagedBy: "api",
		},
		Membership: &authz.Membership{Role: w.pick("admin", "write", "contributor", "read", "no_access"), Since: now.Add(-time.Hour)},
		Authorization: &authz.Authorization{
			State:  w.pick(authz.StateNone, authz.StateApproved, authz.StateApproved, authz.StateDenied, authz.StateRevoked),
			Grants: w.grants(), ExpiresAt: end(), Suspended: w.chance(8), AdminCreated: w.chance(3),
		},
		Current: grants, Effective: w.grants(),
	}
	w.vary(f)
	return f
}

// vary takes facts away, and adds what is rare.
func (w *words) vary(f *authz.Facts) {
	if w.chance(4) {
		f.Organization.NextTokenPolicy, f.Organization.EnforceAt = w.policy(), f.Now.Add(time.Hour)
	}
	if w.chance(4) {
		f.Organization.Settings = map[string]any{w.word(): w.word(), "max_token_age_days": w.IntN(3), "public_read": w.pick("refuse", "anonymous")}
	}
	if f.Token.Kind != authz.KindFineGrained {
		f.Token.Grants, f.Current, f.Effective = nil, nil, nil
	}
	for _, drop := range []func(){
		func() { f.Token, f.Authorization, f.Current, f.Effective = nil, nil, nil, nil },
		func() { f.Credential = authz.CredentialFacts{State: authz.CredentialMissing} },
		func() { f.Credential.Disabled = true },
		func() { f.Organization = nil },
		func() { f.Membership = nil },
		func() { f.Authorization = nil },
		func() { f.Route = nil },
		func() { f.Client = authz.Client{} },
	} {
		if w.chance(12) {
			drop()
		}
	}
}

func (w *words) grants() *authz.GrantSet {
	set := &authz.GrantSet{}
	for range w.IntN(3) {
		set.Grants = append(set.Grants, authz.Grant{
			Entity:      authz.Entity{Type: w.pick("organization", "model", "user"), ID: w.pick("o1", ""), Name: w.pick("acme", "acme/m"), Namespace: "o1"},
			Permissions: []string{w.pick("repo.content.read", "repo.write"), w.word()},
		})
	}
	return set
}

// rehearsedRequest is the request of made-up facts.
type rehearsedRequest struct{ method string }

func (r rehearsedRequest) Method() string                  { return r.method }
func (rehearsedRequest) Path() string                      { return "/api/models/acme/m?a=1" }
func (rehearsedRequest) Host() string                      { return "hub.invalid" }
func (rehearsedRequest) Scheme() string                    { return "https" }
func (rehearsedRequest) Protocol() string                  { return "HTTP/1.1" }
func (rehearsedRequest) ID() string                        { return "1" }
func (rehearsedRequest) Body() authz.Body                  { return authz.Body{} }
func (rehearsedRequest) Extension(k string) (string, bool) { return k, k != "" }
func (rehearsedRequest) Source() authz.Peer                { return authz.Peer{Address: "192.0.2.7", Port: 1} }
func (rehearsedRequest) Destination() authz.Peer           { return authz.Peer{Principal: "p"} }

func (rehearsedRequest) Header(name string) (string, int) {
	if name == "user-agent" || name == "x-request-id" {
		return "rehearsal", 1
	}
	return "", 0
}

func (rehearsedRequest) EachHeader(yield func(name, value string) bool) {
	_ = yield("user-agent", "rehearsal") && yield("x-request-id", "rehearsal")
}

func (r rehearsedRequest) Attributes() (map[string]any, error) {
	return map[string]any{"request": map[string]any{"http": map[string]any{
		"method": r.method, "path": r.Path(), "headers": map[string]any{"user-agent": "rehearsal", "x-request-id": "rehearsal"},
	}}}, nil
}
