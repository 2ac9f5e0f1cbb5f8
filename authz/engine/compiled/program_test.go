package compiled_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// TestProgramsThatAreRefused say why.
func TestProgramsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ module, data, why string }{
		"a negated body": {"r := [x | some x in [1, 2, 3]; not { some y in input.ys; y == x }]", "", "not {"},
		"one that could let something pass": {
			"v.x.a := 1 if input.none\nv.y.a := 1 if input.ys\nr := \"wrong\" if not { some k, x in v }", "", "not {",
		},
		"a unification of a variable with itself":    {"r if { [1, x, 3] = [1, x, x] }", "", "twice in a ="},
		"a variable twice in a pattern":              {"r := x if { [[1, x, 3], x, 3] = [y, 2, 3] }", "", "twice in a ="},
		"a function and a document replaced at once": {"f(x) := x\nq := f(input.a)\nr if { q with f as 1 with input.a as 2 }", "", "replaces a function"},
		"an every that counts by what it is in":      {"r if { every x in input[x] { x > 1 } }", "", "every counts by"},
		"a comprehension that nobody reads":          {"r if { {x: i | some i, x in [\"a\", \"a\"]} }", "", "stands alone"},
		"a result among the arguments":               {"r := x if { min({x, 2}, x) }", "", "one of its arguments"},
		"a hidden document":                          {"r := data.system", `{"system": 1}`, "data.system"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ast.ParseModuleWithOpts("p.rego", "package p\n"+c.module, ast.ParserOptions{FutureKeywords: []string{"not"}})
			if err != nil {
				t.Fatal(err)
			}
			compiler := ast.NewCompiler()
			if compiler.Compile(map[string]*ast.Module{"p.rego": m}); compiler.Failed() {
				t.Fatal(compiler.Errors)
			}
			o := compiled.Options{Compiler: compiler, Entrypoint: ast.MustParseRef("data.p.r")}
			if c.data != "" {
				o.Data = ast.MustParseTerm(c.data).Value.(ast.Object)
			}
			_, err = compiled.New(t.Context(), o)
			var refusal *compiled.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Why, c.why) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestRulesThatReachIntoOneAnotherAreRefused, and those that lie beside one
// another are not.
func TestRulesThatReachIntoOneAnotherAreRefused(t *testing.T) {
	for rules, refused := range map[string]bool{
		"r[q].x := v if { q := \"q\"; v := {\"s\": 1} }\nr.q.x.s := 1":     true,
		"r[q] := v if { q := input.q; v := {\"s\": 1} }\nr.q.s := 1":       true,
		"r.q := {\"s\": {\"t\": 1}}\nr[q].s.t := 1 if { q := input.q }":    true,
		"r[q].x := 1 if { q := input.q }\nr.q.y.z := 2":                    false,
		"r[q].x := 1 if { q := input.q }\nr[q].y := 2 if { q := input.q }": false,
		"r[q] := 1 if { q := input.q }\nr.z := 2":                          false,
		"r[q][s] := 1 if { q := input.q; s := \"a\" }\nr.q.s := 2":         false,
		"r contains x if { some x in input.xs }\nr contains \"y\"":         false,
		"r := p.a.b\np.a contains x if { some x in input.xs }\np.b.c := 1": false,
		"r := 1\nq[x] := 1 if { x := input.q }\nq.a := 2\ns.q.a.b := 3":    false,
	} {
		c, err := ast.CompileModules(map[string]string{"p.rego": "package p\n" + rules})
		if err != nil {
			t.Errorf("%s: %v", rules, err)
			continue
		}
		_, err = compiled.New(t.Context(), compiled.Options{Compiler: c, Entrypoint: ast.MustParseRef("data.p.r")})
		refusal := (*compiled.Refusal)(nil)
		if got := errors.As(err, &refusal) && strings.Contains(refusal.Why, "gives whole"); got != refused {
			t.Errorf("%s: %v", rules, err)
		}
	}
}

// TestNegationsThatOPAPlansWronglyAreRefused, and those that it plans well are
// not.
func TestNegationsThatOPAPlansWronglyAreRefused(t *testing.T) {
	for condition, why := range map[string]string{
		"not data.p.q[input.x].b":                     "negates a reference",
		"not data.p.q[input.x]":                       "negates a reference",
		"not data.p.q[input.x][1]":                    "negates a reference",
		"not {} = {input.x: 1}":                       "negates a unification",
		"not data.p.q.a[input.x]":                     "",
		"not data.base[input.x].y":                    "",
		"not input.x = [1]":                           "",
		"not {} == {input.x: 1}":                      "negates a unification",
		"not data.p.q.b":                              "",
		"not input.x in data.p.q.a":                   "",
		`not walk(input.x, [[], 1])`:                  "negates a relation",
		`not count([1 | walk(input.x, [_, 1])]) == 1`: "",
		`every x in [1] { walk(x, [[], input.x]) }`:   "",
	} {
		compiler := ast.MustCompileModules(map[string]string{"p.rego": "package p\n\nq.a := {1}\n\nq.b if input.none\n", "r.rego": "package r\n\nr if " + condition})
		_, err := compiled.New(t.Context(), compiled.Options{Compiler: compiler, Entrypoint: ast.MustParseRef("data.r.r")})
		refusal := &compiled.Refusal{}
		if errors.As(err, &refusal) != (why != "") || !strings.Contains(refusal.Why, why) {
			t.Errorf("%s: got %v", condition, err)
		}
	}
}

// TestACallWithItsResultAsAnArgumentIsRefused: where the result is known, OPA goes
// on to the else of a rule that gives another.
func TestACallWithItsResultAsAnArgumentIsRefused(t *testing.T) {
	const why = "called with its result"
	for condition, why := range map[string]string{
		`f(101, "small")`:                               why,
		`x := "small"; f(101, x)`:                       why,
		`f(1, x); f(101, x)`:                            why,
		`y := [x | f(101, x)]; y == input.y`:            why,
		`plus(1, 2, x) with plus as data.r.g; x == 3`:   "",
		`plus(1, 2, 3) with plus as data.r.g`:           why,
		`false } else := 2 if { f(101, "small")`:        why,
		`every x in [1] { f(x, "small") }`:              why,
		`f(1, x); x == "small"`:                         "",
		`f(101) == "small"`:                             "",
		`"small" = f(101)`:                              "",
		`x := f(f(101)); x == f(input.x)`:               "",
		`f(input.x)`:                                    "",
		`y := [f(z) | some z in [1]]; f(y)`:             "",
		`h(1, 1)`:                                       why,
		`g(1, 2, 1)`:                                    "",
		`plus(1, 2, x); x == 3`:                         "",
		`x := plus(1, 2) with plus as data.r.g; x == 3`: "",
	} {
		module := "package r\n\nf(n) := \"large\" if {\n\tn > 100\n} else := \"small\"\n\ng(a, _) := a\n\ndefault h(_) := 1\n\nh(n) := 2 if n > 5\n\nr if { " + condition + " }"
		compiler := ast.MustCompileModules(map[string]string{"r.rego": module})
		_, err := compiled.New(t.Context(), compiled.Options{Compiler: compiler, Entrypoint: ast.MustParseRef("data.r.r")})
		refusal := &compiled.Refusal{}
		if errors.As(err, &refusal) != (why != "") || !strings.Contains(refusal.Why, why) {
			t.Errorf("%s: got %v", condition, err)
		}
	}
	compiler := ast.MustCompileModules(map[string]string{"r.rego": "package r\n\nf(n) := n if { n > 1 } else := 1\n"})
	for query, refused := range map[string]bool{"data.r.f(1, x)": false, "data.r.f(1, x); x = 3": true, "data.r.f(1, 1)": true} {
		_, err := compiled.New(t.Context(), compiled.Options{Compiler: compiler, Query: ast.MustParseBody(query)})
		if refusal := (*compiled.Refusal)(nil); errors.As(err, &refusal) != refused {
			t.Errorf("the query %s: got %v", query, err)
		}
	}
}

// TestAListOfWhatRulesAndDataGiveTogetherIsRefused: OPA lists the data first.
func TestAListOfWhatRulesAndDataGiveTogetherIsRefused(t *testing.T) {
	data := ast.MustParseTerm(`{"q": {"y": 1}, "base": {"a": 1}}`).Value.(ast.Object)
	for rego, why := range map[string]string{
		"[v | some v in data.q]":            "rules and data give together",
		"[k | some k, _ in data.q]":         "rules and data give together",
		"[v | data.q[input.k] = v]":         "rules and data give together",
		"[v | some k; v := data.q[k]]":      "rules and data give together",
		"[[v | some v in data.q] | 1 == 1]": "rules and data give together",
		"[v | some v in data.base]":         "",
		"[v | some v in data.q.x]":          "",
		"[v | some v in data.only]":         "",
		"{v | some v in data.q}":            "",
		"[v | q := data.q; some v in [q]]":  "",
		"[v | some v in [data.q.y, \"z\"]]": "",
	} {
		compiler := ast.MustCompileModules(map[string]string{"q.rego": "package q\n\nx := [1]\n", "only.rego": "package only\n\nx := 1\n", "r.rego": "package r\n\nr := " + rego})
		_, err := compiled.New(t.Context(), compiled.Options{Compiler: compiler, Entrypoint: ast.MustParseRef("data.r.r"), Data: data})
		refusal := &compiled.Refusal{}
		if errors.As(err, &refusal) != (why != "") || !strings.Contains(refusal.Why, why) {
			t.Errorf("%s: got %v", rego, err)
		}
		_, err = compiled.New(t.Context(), compiled.Options{Compiler: compiler, Query: ast.MustParseBody("x = " + rego), Data: data})
		if refusal = (&compiled.Refusal{}); errors.As(err, &refusal) != (why != "") || !strings.Contains(refusal.Why, why) {
			t.Errorf("as a query, %s: got %v", rego, err)
		}
	}
}

// TestAKeyThatTheBaseDocumentDoesNotHave is a question for OPA: it reads base
// documents by paths of texts.
func TestAKeyThatTheBaseDocumentDoesNotHave(t *testing.T) {
	data := ast.MustParseTerm(`{"object": {"1": "one"}, "list": ["zero", "one"]}`).Value.(ast.Object)
	for rego, asks := range map[string]bool{
		"data.object[input]":      true, // OPA: "one"
		`data.list[input.text]`:   true, // OPA: "one"
		`data.list["1"]`:          true,
		"data.object[input.text]": false,
		"data.list[input.number]": false,
		`data.list["x"]`:          false,
		"data.object.none":        false,
	} {
		p := programOf(t, compiled.Options{Data: data}, "r := "+rego)
		in := `{"text": "1", "number": 1}`
		if rego == "data.object[input]" {
			in = "1"
		}
		_, err := answer(t.Context(), p, compiled.Call{}, in)
		if asked := err != nil && !errors.Is(err, compiled.ErrUndefined); asked != asks {
			t.Errorf("%s: %v", rego, err)
		}
	}
}

// TestAnIndexMayBeWrittenOtherwise: OPA takes 1.0 and -0 for indices, and not
// 1e0.
func TestAnIndexMayBeWrittenOtherwise(t *testing.T) {
	p := programOf(t, compiled.Options{}, `r := ["zero", "one"][input]`)
	for in, want := range map[string]string{"1": `"one"`, "1.0": `"one"`, "0.00": `"zero"`, "-0": `"zero"`, "1e0": "", "1.5": "", "-1": "", "2": "", `"1"`: ""} {
		got, err := answer(t.Context(), p, compiled.Call{}, in)
		if want == "" {
			if !errors.Is(err, compiled.ErrUndefined) {
				t.Errorf("%s: %v, %v", in, got, err)
			}
		} else if err != nil || got != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
}

// TestKeysOfAnObjectThatMeet are a question for OPA, too.
func TestKeysOfAnObjectThatMeet(t *testing.T) {
	p := programOf(t, compiled.Options{}, `r := o[input] if { o := {"1": 1, input: 2, "4": 4} }`)
	for in, asks := range map[string]bool{`"1"`: true, `"4"`: true, `"2"`: false} {
		if _, err := answer(t.Context(), p, compiled.Call{}, in); (err != nil) != asks {
			t.Errorf("%s: %v", in, err)
		}
	}
	p = programOf(t, compiled.Options{}, "r.a[x] contains y if { some x, l in input; some y in l }")
	if got, err := answer(t.Context(), p, compiled.Call{}, `{"b": [1, 2], "c": [3]}`); err != nil || got != `{"a": {"b": {1, 2}, "c": {3}}}` && got != `{"b": {1, 2}, "c": {3}}` {
		t.Errorf("nested objects of sets: %s %v", got, err)
	}
}

// TestManyAtOnce evaluates one program on many goroutines.
func TestManyAtOnce(t *testing.T) {
	data := ast.MustParseTerm(`{"base": ["z"], "o": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 10}}`).Value.(ast.Object)
	p := programOf(t, compiled.Options{Data: data}, `r := {"s": {y | some y in input.xs} | {z | some z in data.base}, "o": {k: v | some k, v in data.o},
		"n": sprintf("%v %s", [input.n, regex.replace(input.s, "a+", "b")]), "g": glob.match(input.g, ["."], input.s)}`)
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for i := range 300 {
				in := fmt.Sprintf(`{"xs": ["a%d", "b%d"], "n": %d, "s": "caaat%d", "g": "c*%d"}`, g, i, i, i%3, i%2)
				want := fmt.Sprintf(`{"g": %v, "n": "%d cbt%d", "o": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 10}, "s": {"a%d", "b%d", "z"}}`,
					i%3 == i%2, i, i%3, g, i)
				if got, err := answer(context.Background(), p, compiled.Call{}, in); err != nil || got != want {
					t.Errorf("got  %s %v\nwant %s", got, err, want)
					return
				}
			}
		})
	}
	wait.Wait()
}

// countedCalls is how often test.counted was called, whose result is its argument.
var countedCalls int

// withCounted registers test.counted. OPA is told of it before it compiles.
var withCounted = sync.OnceFunc(func() {
	rego.RegisterBuiltin1(&rego.Function{Name: "test.counted", Decl: types.NewFunction(types.Args(types.A), types.A)},
		func(_ rego.BuiltinContext, op *ast.Term) (*ast.Term, error) {
			countedCalls++
			return op, nil
		})
})

// TestACallIsMadeOncePerEvaluation for the same arguments, as often as it is come
// by: what a machine remembers of one evaluation it has forgotten in the next.
func TestACallIsMadeOncePerEvaluation(t *testing.T) {
	withCounted()
	const scan = `r := [y | some x in input; y := test.counted(x)]`
	for name, c := range map[string]struct {
		rules, input string
		calls        int
	}{
		"in a scan":                           {scan, `["a", "b", "a", "b", "a"]`, 2},
		"in a function":                       {"r := [f(input[0]), f(input[1]), f(input[2])]\nf(x) := test.counted(x)", `["a", "b", "a"]`, 2},
		"a number and its text are two":       {scan, `[1, "1", 1, "1"]`, 2},
		"so are two writings of a number":     {scan, `[1, 1.0, 1, 1.0]`, 2},
		"what may be written to is not known": {scan, `[["a"], ["a"]]`, 2},
		"of twenty, sixteen are known again":  {scan, numbers(20)[:len(numbers(20))-1] + ", " + numbers(20)[1:], 16 + 2*4},
	} {
		t.Run(name, func(t *testing.T) {
			p := programOf(t, compiled.Options{}, c.rules)
			for range 3 {
				countedCalls = 0
				if got, err := answer(t.Context(), p, compiled.Call{}, c.input); err != nil || got != c.input || countedCalls != c.calls {
					t.Errorf("got %s %v by %d calls, want %s by %d", got, err, countedCalls, c.input, c.calls)
				}
			}
		})
	}
}

// TestABuiltinIsAskedOnce for the same in one evaluation, and again in the next.
func TestABuiltinIsAskedOnce(t *testing.T) {
	p := programOf(t, compiled.Options{}, `r := [time.parse_rfc3339_ns(input) == time.parse_rfc3339_ns(input), time.parse_rfc3339_ns("no"), 1]`)
	if _, err := answer(t.Context(), p, compiled.Call{}, `"2026-01-02T03:04:05Z"`); !errors.Is(err, compiled.ErrUndefined) {
		t.Error(err)
	}
	p = programOf(t, compiled.Options{}, `r := [time.parse_rfc3339_ns(input), time.parse_rfc3339_ns(input)]`)
	for in, want := range map[string]string{`"1970-01-01T00:00:01Z"`: "[1000000000, 1000000000]", `"1970-01-01T00:00:02Z"`: "[2000000000, 2000000000]"} {
		if got, err := answer(t.Context(), p, compiled.Call{}, in); err != nil || got != want {
			t.Errorf("%s: got %s %v", in, got, err)
		}
	}
}

func TestTheClockIsTheCallers(t *testing.T) {
	p := programOf(t, compiled.Options{}, "r := time.now_ns()")
	if got, err := answer(t.Context(), p, compiled.Call{Now: time.Unix(7, 0)}, ""); err != nil || got != "7000000000" {
		t.Error(got, err)
	}
}

// panicking is a host's object that fails.
type panicking struct{}

func (panicking) Get(string) compiled.Value               { panic("broken") }
func (panicking) Fill(func(key string, v compiled.Value)) { panic("broken") }

// TestAPanicIsAnError, and its machine is never seen again.
func TestAPanicIsAnError(t *testing.T) {
	p := programOf(t, compiled.Options{}, "r := input.a")
	for range 50 { // a pool gives mostly, and not always, what it took last
		m := p.Begin()
		v, err := m.Eval(t.Context(), compiled.Call{Input: m.Lazy(panicking{})})
		if !errors.Is(err, compiled.ErrPanic) || v.Defined() || compiled.Stopped(err) {
			t.Errorf("got %v, %v", v, err)
		}
		m.End()
		next := p.Begin()
		if next == m {
			t.Fatal("the machine is used again")
		}
		next.End()
		if got, err := answer(t.Context(), p, compiled.Call{}, `{"a": 1}`); err != nil || got != "1" {
			t.Error(got, err)
		}
	}
}

// TestNothingIsLeftOfAnEvaluation in a machine that is used again.
func TestNothingIsLeftOfAnEvaluation(t *testing.T) {
	p := programOf(t, compiled.Options{}, "r := x if { x := object.union({\"a\": input.a}, {k: v | some k, v in input.o}) }\nq := 1")
	for i := range 50 {
		in := fmt.Sprintf(`{"a": %d, "o": {"k%d": %d}}`, i, i, i)
		if i%5 == 4 {
			in = `{"o": 1}`
		}
		got, err := answer(t.Context(), p, compiled.Call{}, in)
		switch want := fmt.Sprintf(`{"a": %d, "k%d": %d}`, i, i, i); {
		case i%5 == 4 && !errors.Is(err, compiled.ErrUndefined), i%5 != 4 && (err != nil || got != want):
			t.Errorf("%d: %s %v", i, got, err)
		}
	}
}

// TestAVariableTwiceInAValueIsCompiled: only patterns on both sides are in doubt.
func TestAVariableTwiceInAValueIsCompiled(t *testing.T) {
	for rules, want := range map[string]string{
		"r := y if { x := input.a; y := {\"a\": x, \"b\": [x, x]} }": `{"a": 1, "b": [1, 1]}`,
		"r := x if { [x, x] = input.b }":                             "2",
	} {
		if got, err := answer(t.Context(), programOf(t, compiled.Options{}, rules), compiled.Call{}, `{"a": 1, "b": [2, 2]}`); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", rules, got, err, want)
		}
	}
}

// TestTheFirstOfEqualResultsStays, as it was written.
func TestTheFirstOfEqualResultsStays(t *testing.T) {
	for rules, want := range map[string]string{
		"r := 1 if input.a\nr := 1.0 if input.b":                "1",
		"r := 1.0 if input.a\nr := 1 if input.b":                "1.0",
		"r := f(1)\nf(x) := 2.0 if input.a\nf(x) := 2 if x > 0": "2.0",
	} {
		if got, err := answer(t.Context(), programOf(t, compiled.Options{}, rules), compiled.Call{}, `{"a": true, "b": true}`); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", rules, got, err, want)
		}
	}
}

// TestEvaluationsAtOnceShareConstants: with the race detector, that what they
// share is not written to.
func TestEvaluationsAtOnceShareConstants(t *testing.T) {
	p := programOf(t, compiled.Options{}, `
cfg := {"d": ["/"], "l": [3, 1, 2]}

r := [glob.match(input.p, cfg.d, input.x), sort(cfg.l), object.union(cfg, {"x": 1})]`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				got, err := answer(t.Context(), p, compiled.Call{}, `{"p": "a/*", "x": "a/b"}`)
				if err != nil || !strings.HasPrefix(got, "[true, [1, 2, 3]") {
					t.Error(got, err)
				}
			}
		})
	}
	all.Wait()
}
