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

// elsewhere are sources that say what the test tells them.
type elsewhere struct {
	vouched, introspected *authz.Claimed
	present               bool
	err, asked, recordErr error
	refused               bool
	made                  func()
	recorded              int
}

func (e *elsewhere) Vouched(context.Context, authz.Request) (bool, *authz.Claimed, error) {
	return e.present, e.vouched, e.err
}

func (e *elsewhere) Introspected(context.Context, credential.Secret) (*authz.Claimed, error) {
	return e.introspected, e.asked
}

func (e *elsewhere) Record(context.Context, *authz.Claimed, bool) (bool, error) {
	e.recorded++
	if e.made != nil {
		e.made()
	}
	return !e.refused && e.recordErr == nil, e.recordErr
}

var write = []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write"}}}

func claimed() *authz.Claimed {
	return &authz.Claimed{Source: authz.SourceJWT, Owner: "bob", Kind: authz.KindFineGrained, Grants: write, ExpiresAt: now.Add(time.Hour)}
}

// record is the record of the claimed token.
func record() *authz.Token {
	return &authz.Token{
		ID: "j", Source: authz.SourceJWT, Kind: authz.KindFineGrained, Owner: &authz.Owner{ID: "u", Name: "bob"}, Global: []string{"patrol.operate"},
		Grants: authz.NewGrantSet([]authz.Grant{{Entity: authz.Entity{Type: "organization", ID: "o", Name: "acme", Namespace: "o"}, Permissions: []string{"repo.write"}}}),
	}
}

func (w *world) decideWith(s *elsewhere) *authz.Outcome {
	w.sources = s
	return w.decide()
}

// TestWhatIsNotKnownOfATokenOfElsewhereAllowsNothing, though the policy would
// allow everything.
func TestWhatIsNotKnownOfATokenOfElsewhereAllowsNothing(t *testing.T) {
	unavailable := &authz.Refusal{Reason: authz.ReasonInventoryUnavailable}
	for name, c := range map[string]struct {
		change   func(*world, *elsewhere)
		reason   string
		recorded int
	}{
		"it has a record": {func(*world, *elsewhere) {}, "allowed", 0},
		"it gets one": {func(w *world, e *elsewhere) {
			w.inventory.token = nil
			e.made = func() { w.inventory.token = record() }
		}, "allowed", 1},
		"it gets one that is not here yet":  {func(w *world, _ *elsewhere) { w.inventory.token = nil }, "inventory_unavailable", 1},
		"it gets none":                      {func(w *world, e *elsewhere) { w.inventory.token = nil; e.refused = true }, "token_unknown", 1},
		"its record can't be made":          {func(w *world, e *elsewhere) { w.inventory.token = nil; e.recordErr = unavailable }, "inventory_unavailable", 1},
		"its record can't be made, somehow": {func(w *world, e *elsewhere) { w.inventory.token = nil; e.recordErr = errors.New("broken") }, "policy_error", 1},
		"its record can't be widened":       {func(w *world, e *elsewhere) { w.inventory.token.Grants = nil; e.recordErr = unavailable }, "allowed", 1},
		"its record is of another kind":     {func(w *world, e *elsewhere) { e.vouched.Kind, e.vouched.Grants = authz.KindWrite, nil }, "inventory_unavailable", 1},
		"its record comes to show its kind": {func(w *world, e *elsewhere) {
			e.vouched.Kind, e.vouched.Grants = authz.KindWrite, nil
			e.made = func() { w.inventory.token.Kind = authz.KindWrite }
		}, "allowed", 1},
		"its claims are none that are taken":   {func(_ *world, e *elsewhere) { e.vouched = nil }, "token_unknown", 0},
		"its claims can't be read":             {func(_ *world, e *elsewhere) { e.err = unavailable }, "inventory_unavailable", 0},
		"its claims can't be mapped":           {func(_ *world, e *elsewhere) { e.err = errors.New("broken") }, "policy_error", 0},
		"another credential is there":          {func(w *world, _ *elsewhere) { w.request.authorization = "Bearer x" }, "credential_malformed", 0},
		"its record is somebody else's":        {func(w *world, _ *elsewhere) { w.inventory.token.Owner.Name = "eve" }, "token_unknown", 0},
		"its record is nobody's":               {func(w *world, _ *elsewhere) { w.inventory.token.Owner = nil }, "token_unknown", 0},
		"its record is of another source":      {func(w *world, _ *elsewhere) { w.inventory.token.Source = authz.SourceImported }, "token_unknown", 0},
		"its record is disabled":               {func(w *world, _ *elsewhere) { w.inventory.token.Disabled = true }, "token_unknown", 0},
		"disabled, where all are let through":  {func(w *world, _ *elsewhere) { w.inventory.token.Disabled = true; w.observe() }, "token_unknown", 0},
		"somebody else's, where all are let":   {func(w *world, _ *elsewhere) { w.inventory.token.Owner.Name = "eve"; w.observe() }, "token_unknown", 0},
		"it is revoked":                        {func(w *world, _ *elsewhere) { w.inventory.authorization.State = "revoked" }, "token_revoked", 0},
		"its claims have ended":                {func(_ *world, e *elsewhere) { e.vouched.ExpiresAt = now }, "token_expired", 0},
		"its record has ended, its claims not": {func(w *world, _ *elsewhere) { w.inventory.token.ExpiresAt = now.Add(-time.Hour) }, "token_expired", 0},
		"the facts are too old":                {func(w *world, _ *elsewhere) { w.inventory.asOf = now.Add(-time.Hour) }, "inventory_unavailable", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, e := sound(), &elsewhere{present: true, vouched: claimed()}
			w.inventory.token, w.request.authorization = record(), ""
			c.change(w, e)
			o := w.decideWith(e)
			if o.Decision.Reason != c.reason && !(c.reason == "allowed" && o.Decision.Allowed) || e.recorded != c.recorded {
				t.Errorf("%s (%v), recorded %d times; want %s, %d", o.Decision.Reason, o.Err, e.recorded, c.reason, c.recorded)
			}
			if o.Decision.Allowed && o.Facts.Token != nil && (o.Facts.Token.Global != nil || o.Facts.Token.ID != "j") {
				t.Errorf("the token is %+v", o.Facts.Token)
			}
		})
	}
}

// TestOnlyUnknownSecretsAreIntrospected: what the inventory knows, it says itself.
func TestOnlyUnknownSecretsAreIntrospected(t *testing.T) {
	w, e := sound(), &elsewhere{asked: errors.New("asked")}
	if o := w.decideWith(e); !o.Decision.Allowed || o.Facts.Token.ID != "t" {
		t.Errorf("a known one: %+v %v", o.Decision, o.Err)
	}
	w.route = nil
	w.inventory.token = nil
	if o := w.decideWith(e); o.Decision.Reason != "route_unknown" {
		t.Errorf("on no route: %+v %v", o.Decision, o.Err)
	}
	w = sound()
	w.inventory.token = nil
	if o := w.decideWith(e); o.Decision.Allowed || o.Decision.Reason != "policy_error" {
		t.Errorf("an unknown one: %+v", o.Decision)
	}
}

// TestWhatMayBeUsedIsWhatIsClaimedAndWhatWasApproved: neither alone.
func TestWhatMayBeUsedIsWhatIsClaimedAndWhatWasApproved(t *testing.T) {
	on := func(permissions ...string) []authz.Grant {
		return []authz.Grant{{Entity: authz.Entity{Type: "organization", ID: "o", Name: "acme", Namespace: "o"}, Permissions: permissions}}
	}
	w, e := sound(), &elsewhere{present: true, vouched: claimed()}
	w.request.authorization = ""
	w.inventory.token = record()
	e.vouched.Grants = []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "ACME"}, Permissions: []string{"repo.write", "job.write"}}}
	w.inventory.authorization = authz.Authorization{State: authz.StateApproved, Grants: authz.NewGrantSet(on("repo.write", "org.write"))}
	w.inventory.current = on("repo.write")
	o := w.decideWith(e)
	if got := o.Facts.Effective.All(); len(got) != 1 || len(got[0].Permissions) != 1 || got[0].Permissions[0] != "repo.write" {
		t.Errorf("effective: %+v", got)
	}
	if got := o.Facts.Current.All(); len(got) != 1 || len(got[0].Permissions) != 2 {
		t.Errorf("current: %+v", got)
	}
}

var _ decide.Sources = (*elsewhere)(nil)
