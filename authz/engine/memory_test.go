//go:build !race

// With the race detector, pools forget what they keep, at random.

package engine_test

import (
	"testing"

	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

// TestADecisionTakesNoMemory once it was made before.
func TestADecisionTakesNoMemory(t *testing.T) {
	e := evaluator(t, baseOptions(t, engine.Options{}))
	f := inputtest.Facts()
	f.Organization.Frozen = input.FreezeOrganization(f.Organization)
	f.Current.Frozen = input.FreezeGrants(f.Current.Grants)
	evaluate := func() {
		if d, err := e.Evaluate(t.Context(), f); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
	}
	evaluate()
	if n := testing.AllocsPerRun(200, evaluate); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
