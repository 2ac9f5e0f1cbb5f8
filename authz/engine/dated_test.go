package engine_test

import (
	"path"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
	"github.com/patrol-authz/patrol/rego"
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
	loader, err := bundle.NewFSLoader(rego.Base())
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.NewCustomReader(loader).WithProcessAnnotations(true).Read()
	if err != nil {
		t.Fatal(err)
	}
	modules, traps := map[string]*ast.Module{}, 0
	for _, m := range b.Modules {
		modules[m.Path] = m.Parsed
		folder := path.Dir(m.Path)
		if path.Base(m.Path) == "policy.rego" && path.Base(path.Dir(folder)) == "policies" && path.Base(folder) != sound {
			traps++
			modules[m.Path] = ast.MustParseModule("package patrol.policies." + path.Base(folder) + trap)
		}
	}
	if traps != 3 {
		t.Fatalf("%d policies are trapped, not 3", traps)
	}
	compiler := ast.NewCompiler()
	if compiler.Compile(modules); compiler.Failed() {
		t.Fatal(compiler.Errors)
	}
	return engine.Options{Compiler: compiler, Store: inmem.NewFromObjectWithOpts(b.Data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false)), Schema: rego.Schema()}
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
