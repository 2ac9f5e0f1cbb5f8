//go:build !race

// With the race detector, pools forget what they keep, at random.

package input_test

import (
	"testing"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

// TestAViewTakesNoMemory where the policy reads facts that are ready.
func TestAViewTakesNoMemory(t *testing.T) {
	p := asked(t, `r := [input.token.kind, input.organization.name, input.route.resource.type, input.authorization.current, input.now]`)
	f := inputtest.Facts()
	b := input.New(input.Options{Fields: input.Paths("token", "organization", "route", "authorization", "now")})
	f.Organization.Frozen = input.FreezeOrganization(f.Organization)
	f.Current.Frozen = input.FreezeGrants(f.Current.Grants)
	var view input.View
	evaluate := func() {
		m := p.Begin()
		defer m.End()
		in, err := view.Reset(b, m, f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Eval(t.Context(), compiled.Call{Input: in}); err != nil {
			t.Fatal(err)
		}
	}
	evaluate()
	if n := testing.AllocsPerRun(100, evaluate); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
