package engine_test

import (
	"path"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

// trap fails the evaluation of whoever asks a policy for its reasons.
const trap = `
reasons contains "policy_denied" if trapped > 0

trapped := 1 if input.token

trapped := 2 if input.token

requires_approval := false
`

// trappedBase are options with the base bundle, in which each token policy but
// one fails where it is evaluated.
func trappedBase(t *testing.T, sound string) engine.Options {
	t.Helper()
	modules, data := baseBundle(t)
	traps := 0
	for name := range modules {
		folder := path.Dir(name)
		if path.Base(name) == "policy.rego" && path.Base(path.Dir(folder)) == "policies" && path.Base(folder) != sound {
			traps++
			modules[name] = ast.MustParseModule("package patrol.policies." + path.Base(folder) + trap)
		}
	}
	if traps != 3 {
		t.Fatalf("%d policies are trapped, not 3", traps)
	}
	return bundleOptions(t, modules, data, engine.Options{})
}

// TestADatedPolicyIsEvaluatedOnlyWhereADateIsSet: every policy but the one in
// force fails where it is evaluated. Without a date nothing fails; with one, the
// policy that is dated does, and so it was asked.
func TestADatedPolicyIsEvaluatedOnlyWhereADateIsSet(t *testing.T) {
	all := []string{"allow_user_access_tokens", "only_fine_grained_tokens", "do_not_require_administrator_approval", "require_administrator_approval"}
	for _, present := range all {
		o := trappedBase(t, present)
		topdown, err := engine.NewTopdown(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		left := 0 // to the interpreter, since the compiled policy failed
		o.Watch = engine.NewWatch(engine.WatchOptions{Fallback: func(string) { left++ }})
		compiled := evaluator(t, o)
		if compiled.Name() != "compiled" {
			t.Fatalf("evaluated by %s: %s", compiled.Name(), compiled.Why())
		}
		for name, e := range map[string]authz.Evaluator{"topdown": topdown, "compiled": compiled} {
			left = 0
			ask := func(next string) (authz.Decision, error) {
				f := inputtest.Facts()
				f.Organization.TokenPolicy, f.Organization.NextTokenPolicy, f.Organization.EnforceAt = present, next, time.Time{}
				if next != "" {
					f.Organization.EnforceAt = f.Now.Add(time.Hour)
				}
				f.Organization.Frozen = nil
				return e.Evaluate(t.Context(), f)
			}
			if d, err := ask(""); err != nil || !d.Allowed || left > 0 {
				t.Errorf("%s, %s without a date: %+v, %v; %d left to the interpreter", name, present, d, err, left)
			}
			for _, next := range all {
				if d, err := ask(next); (err != nil) == (next == present) {
					t.Errorf("%s, %s with %s dated: %+v, %v", name, present, next, d, err)
				}
			}
		}
	}
}
