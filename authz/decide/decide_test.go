package decide_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/decide"
)

// yes is a policy that allows whatever it is asked, or does what it is told.
type yes struct {
	decision authz.Decision
	err      error
	panics   bool
}

func (yes) Name() string { return "yes" }

func (y yes) Evaluate(context.Context, *authz.Facts) (authz.Decision, error) {
	if y.panics {
		panic("broken policy")
	}
	return y.decision, y.err
}

type router struct{ route *authz.Route }

func (r router) Route(authz.Request) (*authz.Route, error) { return r.route, nil }

type policy struct{ rules *authz.Ruleset }

func (p policy) Ruleset() *authz.Ruleset { return p.rules }

// inventory is one token in one organization.
type inventory struct {
	token, former *authz.Token
	formerUntil   time.Time
	organization  *authz.Organization
	authorization authz.Authorization
	asOf          time.Time
	current       []authz.Grant // as a snapshot makes it of the token's grants
}

func (i *inventory) Snapshot() decide.Snapshot               { return i }
func (i *inventory) Organization(string) *authz.Organization { return i.organization }
func (i *inventory) Membership(*authz.Organization, *authz.Owner) *authz.Membership {
	return &authz.Membership{Role: "write"}
}
func (i *inventory) AsOf() time.Time { return i.asOf }
func (i *inventory) Access(t *authz.Token, _ *authz.Organization, a *authz.Access) {
	*a = authz.Access{Authorization: i.authorization}
	if i.current != nil {
		a.Current, a.Effective = t.Grants, t.Grants
	}
}

func (i *inventory) Token(_ authz.Digest, t *authz.Token) bool {
	if i.token != nil {
		*t = *i.token
	}
	return i.token != nil
}

func (i *inventory) Former(d authz.Digest, t *authz.Token) (time.Time, bool) {
	if i.former == nil {
		return time.Time{}, false
	}
	*t = *i.former
	return i.formerUntil, true
}

type digester struct{}

func (digester) Secret(credential.Secret) authz.Digest { return authz.Digest{1} }

type request struct{ authorization, path string }

func (r request) Header(name string) (string, int) {
	if name == "authorization" && r.authorization != "" {
		return r.authorization, 1
	}
	return "", 0
}
func (request) Method() string                       { return "GET" }
func (r request) Path() string                       { return "/x" + r.path }
func (request) Host() string                         { return "" }
func (request) Scheme() string                       { return "" }
func (request) Protocol() string                     { return "" }
func (request) ID() string                           { return "" }
func (request) EachHeader(func(string, string) bool) {}
func (request) Body() authz.Body                     { return authz.Body{} }
func (request) Extension(string) (string, bool)      { return "", false }
func (request) Source() authz.Peer                   { return authz.Peer{} }
func (request) Destination() authz.Peer              { return authz.Peer{} }
func (request) Attributes() (map[string]any, error)  { return nil, nil }

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is a request that everything speaks for.
type world struct {
	policy    yes
	inventory *inventory
	route     *authz.Route
	request   request
	rules     bool
	sources   decide.Sources
}

func sound() *world {
	return &world{
		policy: yes{decision: authz.Decision{Allowed: true, Reason: "allowed"}}, rules: true,
		inventory: &inventory{
			token:         &authz.Token{ID: "t", Kind: "read", Owner: &authz.Owner{ID: "u", Name: "bob"}},
			organization:  &authz.Organization{ID: "o", Name: "acme", Type: "organization", Enforcement: "enforce"},
			authorization: authz.Authorization{State: "none"}, asOf: now,
		},
		route: &authz.Route{Access: "organization", Permission: "p", Organizations: []string{"acme"}}, request: request{authorization: "Bearer x"},
	}
}

func (w *world) ruleset() *authz.Ruleset {
	var rules *authz.Ruleset
	if w.rules {
		rules = &authz.Ruleset{Evaluator: w.policy, Router: router{w.route}, Catalogue: authz.Catalogue{}}
		for _, code := range []string{"route_unknown", "credential_missing", "token_unknown", "token_expired", "token_revoked", "token_suspended", "policy_denied"} {
			rules.Catalogue[code] = &authz.Reason{Code: code, HTTPStatus: 403, GRPCStatus: 7}
		}
		for _, code := range []string{"allowed", "observed", "anonymous"} {
			rules.Catalogue[code] = &authz.Reason{Code: code, Allow: true}
		}
	}
	return rules
}

func (w *world) decide() *authz.Outcome {
	p := decide.New(decide.Options{Sources: w.sources, Policy: policy{w.ruleset()}, Inventory: w.inventory, Digester: digester{}, Clock: func() time.Time { return now }})
	defer p.Close()
	return p.Decide(context.Background(), w.request)
}

// TestTheSafetyNetOverrulesAPolicyThatAllowsEverything: whatever Rego says.
func TestTheSafetyNetOverrulesAPolicyThatAllowsEverything(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		reason string
	}{
		"nothing is wrong":           {func(*world) {}, "allowed"},
		"no route":                   {func(w *world) { w.route = nil }, "route_unknown"},
		"no credential":              {func(w *world) { w.request = request{} }, "credential_missing"},
		"an unknown token":           {func(w *world) { w.inventory.token = nil }, "token_unknown"},
		"a disabled token":           {func(w *world) { w.inventory.token.Disabled = true }, "token_unknown"},
		"an expired token":           {func(w *world) { w.inventory.token.ExpiresAt = now }, "token_expired"},
		"a token before its end":     {func(w *world) { w.inventory.token.ExpiresAt = now.Add(time.Second) }, "allowed"},
		"a revoked token":            {func(w *world) { w.inventory.authorization.State = "revoked" }, "token_revoked"},
		"a suspended token":          {func(w *world) { w.inventory.authorization.Suspended = true }, "token_suspended"},
		"observe, an unknown token":  {func(w *world) { w.observe(); w.inventory.token = nil }, "observed"},
		"observe, a disabled token":  {func(w *world) { w.observe(); w.inventory.token.Disabled = true }, "token_unknown"},
		"observe, a revoked token":   {func(w *world) { w.observe(); w.inventory.authorization.State = "revoked" }, "token_revoked"},
		"observe, a suspended token": {func(w *world) { w.observe(); w.inventory.authorization.Suspended = true }, "token_suspended"},
		"anonymous, and not public": {func(w *world) {
			w.policy.decision = authz.Decision{Allowed: true, Reason: "anonymous", Anonymous: true}
		}, "credential_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := sound()
			c.change(w)
			o := w.decide()
			if o.Decision.Reason != c.reason || o.Decision.Allowed != (o.Reason != nil && o.Reason.Allow) {
				t.Errorf("got %s (allowed %t), want %s", o.Decision.Reason, o.Decision.Allowed, c.reason)
			}
			if !o.Decision.Allowed && o.Conflict == "" {
				t.Error("the conflict is not told")
			}
		})
	}
}

func (w *world) observe() {
	w.inventory.organization.Enforcement = "observe"
	w.policy.decision.Reason = "observed"
}

// TestWhatFailsIsNeverAnAllow: errors, panics, and answers that are none.
func TestWhatFailsIsNeverAnAllow(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		reason string
	}{
		"no bundle":                     {func(w *world) { w.rules = false }, "policy_error"},
		"an error":                      {func(w *world) { w.policy.err = errors.New("broken") }, "policy_error"},
		"a panic":                       {func(w *world) { w.policy.panics = true }, "policy_error"},
		"an undeclared reason":          {func(w *world) { w.policy.decision.Reason = "made_up" }, "policy_error"},
		"a reason of Go's own":          {func(w *world) { w.policy.decision.Reason = "overloaded" }, "policy_error"},
		"an allow by a refusal":         {func(w *world) { w.policy.decision.Reason = "policy_denied" }, "policy_error"},
		"a refusal by an allow":         {func(w *world) { w.policy.decision = authz.Decision{Reason: "allowed"} }, "policy_error"},
		"a boolean no":                  {func(w *world) { w.policy.decision = authz.Decision{} }, "policy_denied"},
		"facts that are too old":        {func(w *world) { w.inventory.asOf = now.Add(-61 * time.Second) }, "inventory_unavailable"},
		"a credential that is doubtful": {func(w *world) { w.request = request{authorization: "Bearer a,b"} }, "credential_malformed"},
		"a request that cannot be shown": {func(w *world) {
			w.policy.err = &authz.Refusal{Reason: "request_malformed", Detail: "its body"}
		}, "request_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := sound()
			c.change(w)
			o := w.decide()
			if o.Decision.Allowed || o.Decision.Reason != c.reason || o.Reason == nil {
				t.Errorf("got %s (allowed %t), want %s", o.Decision.Reason, o.Decision.Allowed, c.reason)
			}
		})
	}
}

// TestAnOutcomeShowsWhatRecordersNeed: tokens that the facts do not show, and
// each organization of a request.
func TestAnOutcomeShowsWhatRecordersNeed(t *testing.T) {
	shown := func(change func(*world)) *authz.Outcome {
		w := sound()
		change(w)
		return w.decide()
	}
	if o := shown(func(*world) {}); o.Unknown != (authz.Digest{}) || o.Disabled != nil || o.Leaked != nil || o.Others != nil {
		t.Errorf("of a sound request it shows %+v", o)
	}
	if o := shown(func(w *world) { w.inventory.token = nil }); o.Unknown != (authz.Digest{1}) {
		t.Errorf("the unknown digest is %x", o.Unknown)
	}
	if o := shown(func(w *world) { w.inventory.token.Disabled = true }); o.Disabled == nil || o.Disabled.ID != "t" || o.Facts.Token != nil || o.Unknown != (authz.Digest{}) {
		t.Errorf("the disabled token is %+v", o.Disabled)
	}
	leak := func(w *world) { w.request.path = "?access_token=abc" }
	if o := shown(leak); o.Leaked == nil || o.Leaked.ID != "t" || o.Decision.Allowed {
		t.Errorf("the leaked token is %+v", o.Leaked)
	}
	if o := shown(func(w *world) { leak(w); w.inventory.token = nil }); o.Leaked != nil {
		t.Errorf("an unknown token leaked: %+v", o.Leaked)
	}
	if o := shown(func(w *world) { w.route.Organizations = []string{"acme", "acme"} }); len(o.Others) != 1 || o.Others[0].Organization.ID != "o" {
		t.Errorf("the others are %+v", o.Others)
	}
	if o := shown(func(w *world) {
		w.route.Organizations, w.inventory.authorization.State = []string{"acme", "acme"}, "revoked"
	}); o.Others != nil || o.Decision.Allowed {
		t.Errorf("of a refusal the others are %+v", o.Others)
	}
}
