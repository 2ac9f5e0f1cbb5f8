package decide_test

import (
	"context"
	"errors"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/decide"
)

// nothing is an opener and a recorder that must not be asked.
type nothing struct{ t *testing.T }

func (n nothing) OpenRequest(context.Context, string, string) (*authz.ApprovalRequest, error) {
	n.t.Error("a request was opened")
	return nil, nil
}

func (n nothing) Record(*authz.Outcome) { n.t.Error("something was recorded") }

// TestOtherRulesAreAskedBesideTheActiveOnes: a request is decided, something may
// change, and then other rules are asked what they would have made of it.
func TestOtherRulesAreAskedBesideTheActiveOnes(t *testing.T) {
	refuses := yes{decision: authz.Decision{Reason: "policy_denied"}}
	elsewhere := &authz.Route{Access: "organization", Permission: "p", Organizations: []string{"globex"}}
	suspend := func(w *world) { w.inventory.authorization.Suspended = true }
	for name, c := range map[string]struct {
		before    func(*world) // of the decision
		meanwhile func(*world)
		other     func(*authz.Ruleset)
		was       string
		would     string
	}{
		"as the active ones":                    {was: "allowed", would: "allowed"},
		"they refuse":                           {other: func(r *authz.Ruleset) { r.Evaluator = refuses }, was: "allowed", would: "policy_denied"},
		"they fail":                             {other: func(r *authz.Ruleset) { r.Evaluator = yes{err: errors.New("broken")} }, was: "allowed", would: "policy_error"},
		"they break off":                        {other: func(r *authz.Ruleset) { r.Evaluator = yes{panics: true} }, was: "allowed", would: "policy_error"},
		"they give a reason that is not theirs": {other: func(r *authz.Ruleset) { r.Catalogue = authz.Catalogue{} }, was: "allowed", would: "policy_error"},
		"the safety net is theirs, too":         {before: suspend, was: "token_suspended", would: "token_suspended"},
		"on the facts of the decision":          {meanwhile: suspend, was: "allowed", would: "allowed"},
		"on another organization, on those of now": {
			meanwhile: suspend, other: func(r *authz.Ruleset) { r.Router = router{elsewhere} }, was: "token_suspended", would: "token_suspended",
		},
		"on no organization any more": {other: func(r *authz.Ruleset) { r.Router = router{nil} }, was: "allowed", would: "route_unknown"},
		"on two, each again": {
			before: func(w *world) { w.route.Organizations = []string{"acme", "globex"} }, other: func(r *authz.Ruleset) { r.Evaluator = refuses }, was: "allowed", would: "policy_denied",
		},
		"refused before a policy": {before: func(w *world) { w.request.authorization = "Bearer a, Bearer b" }, other: func(r *authz.Ruleset) { r.Evaluator = refuses }, was: "credential_malformed", would: "credential_malformed"},
		"and no more": {
			before: func(w *world) { w.request.authorization = "Bearer a, Bearer b" },
			other:  func(r *authz.Ruleset) { r.Router = router{&authz.Route{Access: "unmanaged"}} }, was: "credential_malformed", would: "allowed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := sound()
			w.policy.decision.RequestApproval = true
			if c.before != nil {
				c.before(w)
			}
			o := w.decide()
			if c.meanwhile != nil {
				c.meanwhile(w)
			}
			active, other := w.ruleset(), w.ruleset()
			if c.other != nil {
				c.other(other)
			}
			p := decide.New(decide.Options{Policy: policy{active}, Inventory: w.inventory, Digester: digester{}, Opener: nothing{t}, Recorder: nothing{t}})
			defer p.Close()
			was, would := p.Beside(context.Background(), o, w.request, active, other)
			if was.Reason != c.was || would.Reason != c.would {
				t.Errorf("%s, and they would say %s; want %s and %s", was.Reason, would.Reason, c.was, c.would)
			}
			if would.Allowed != (c.would == "allowed") {
				t.Errorf("%s came with allowed %t", would.Reason, would.Allowed)
			}
		})
	}
}

// asker is a source that has to ask somebody about each secret.
type asker struct {
	decide.Sources
	asked int
}

func (a *asker) Vouched(context.Context, authz.Request) (bool, *authz.Claimed, error) {
	return false, nil, nil
}

func (a *asker) Introspected(ctx context.Context, _ credential.Secret) (*authz.Claimed, error) {
	if !authz.MayAsk(ctx) {
		return nil, errors.Join(&authz.Refusal{Reason: authz.ReasonInventoryUnavailable}, authz.ErrNotAsked)
	}
	a.asked++
	return nil, nil
}

// TestNobodyIsAskedAboutATokenToCompare: what would have to be asked is compared
// with nothing.
func TestNobodyIsAskedAboutATokenToCompare(t *testing.T) {
	w := sound()
	w.inventory.token, w.route.Organizations = nil, []string{"acme", "other"}
	a := &asker{}
	w.sources = a
	o := w.decide()
	if a.asked != 1 {
		t.Fatalf("asked %d times for the decision", a.asked)
	}
	active := w.ruleset()
	p := decide.New(decide.Options{Policy: policy{active}, Inventory: w.inventory, Digester: digester{}, Sources: a})
	defer p.Close()
	was, would := p.Beside(context.Background(), o, w.request, active, w.ruleset())
	if was.Reason != "" || would.Reason != "" || was.Allowed || would.Allowed || a.asked != 1 {
		t.Errorf("%+v, and %+v; asked %d times", was, would, a.asked)
	}
}
