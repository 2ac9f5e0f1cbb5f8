package engine_test

import (
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
	"github.com/patrol-authz/patrol/rego"
)

func evaluator(t testing.TB, o engine.Options) *engine.Evaluator {
	t.Helper()
	e, err := engine.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// compiledPolicy is an evaluator of a policy of package patrol.authz.
func compiledPolicy(t testing.TB, o engine.Options, module string) *engine.Evaluator {
	t.Helper()
	c := ast.NewCompiler()
	m, err := ast.ParseModuleWithOpts("p.rego", "package patrol.authz\n"+module, ast.ParserOptions{FutureKeywords: []string{"not"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Compile(map[string]*ast.Module{"p.rego": m}); c.Failed() {
		t.Fatal(c.Errors)
	}
	o.Compiler, o.Store, o.Schema = c, inmem.New(), rego.Schema()
	return evaluator(t, o)
}

func TestWhichEvaluatorServesAndWhy(t *testing.T) {
	for name, c := range map[string]struct{ rego, why string }{
		"plain":                {`decision := input.token.kind == "read"`, ""},
		"reads the request":    {`decision := startswith(input.attributes.request.http.path, "/api")`, ""},
		"reads the whole":      {`decision := {"allowed": count(input) > 3}`, ""},
		"reads the clock":      {`decision := time.now_ns() > 0`, ""},
		"asks the network":     {`decision := http.send({"method": "get", "url": "http://x.invalid"}).status_code == 200`, "http.send"},
		"negates a body":       {"decision if not { input.a; input.b }", "negates a body"},
		"is never defined":     {`decision if input.nothing`, ""},
		"fails, for some":      {"decision := true\ndecision := false if input.token.kind == \"read\"", ""},
		"takes too long":       {`decision := count(numbers.range(1, 100000000000)) == 0`, "too long"},
		"is not what it needs": {`decision := "yes"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := compiledPolicy(t, engine.Options{}, c.rego)
			if (e.Name() == "compiled") != (c.why == "") || !strings.Contains(e.Why(), c.why) || (e.Why() == "") != (c.why == "") {
				t.Errorf("%s: %q", e.Name(), e.Why())
			}
		})
	}
}

// TestWhatFailsIsAskedOfOPA, whose answer it is: here an error in its words.
func TestWhatFailsIsAskedOfOPA(t *testing.T) {
	causes := map[string]int{}
	w := engine.NewWatch(engine.WatchOptions{Fallback: func(cause string) { causes[cause]++ }})
	defer w.Close()
	e := compiledPolicy(t, engine.Options{Watch: w}, "decision := true\ndecision := false if input.token.kind == \"fine-grained\"")
	d, err := e.Evaluate(t.Context(), inputtest.Facts())
	if err == nil || d.Allowed || !strings.Contains(err.Error(), "p.rego:3: eval_conflict_error") {
		t.Errorf("got %+v, %v", d, err)
	}
	if causes["conflict"] != 1 || e.Name() != "compiled" {
		t.Errorf("fallbacks %v, %s", causes, e.Name())
	}
}

// TestABuiltinThatPanicsIsAnError, of both evaluators. OPA's own does, over a
// constraint whose name is no string.
func TestABuiltinThatPanicsIsAnError(t *testing.T) {
	causes := map[string]int{}
	w := engine.NewWatch(engine.WatchOptions{Fallback: func(cause string) { causes[cause]++ }})
	defer w.Close()
	e := compiledPolicy(t, engine.Options{Watch: w}, `decision := io.jwt.decode_verify(input.token.id, {input.token: 1})[0]`)
	if d, err := e.Evaluate(t.Context(), inputtest.Facts()); err == nil || d.Allowed || causes["panic"] != 1 {
		t.Errorf("got %+v, %v; fallbacks %v; %s", d, err, causes, e.Why())
	}
}
