package compiled_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// programOf compiles data.p.r of a module.
func programOf(t testing.TB, o compiled.Options, module string) *compiled.Program {
	t.Helper()
	c, err := ast.CompileModules(map[string]string{"p.rego": "package p\n" + module})
	if err != nil {
		t.Fatal(err)
	}
	o.Compiler, o.Entrypoint = c, ast.MustParseRef("data.p.r")
	p, err := compiled.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer evaluates a program on an input.
func answer(ctx context.Context, p *compiled.Program, c compiled.Call, in string) (string, error) {
	m := p.Begin()
	defer m.End()
	if in != "" {
		c.Input = m.FromTerm(ast.MustParseTerm(in).Value)
	}
	v, err := m.Eval(ctx, c)
	return v.String(), err
}

// endless are programs that would go on for hours, in what this package does
// itself and in OPA's built-ins.
var endless = map[string]string{
	"a scan":     "r := count([1 | some a in input; some b in input; some c in input; some d in input; some e in input; some f in input; a + b + c + d + e + f < 0])",
	"calls":      "f(x) := count([1 | some a in input; some b in input; g(a, b, x)])\ng(a, b, x) := count([1 | some c in input; some d in input; a + b + c + d + x < 0])\nr := [y | some x in input; y := f(x)]",
	"a built-in": "r := count(numbers.range(1, 100000000000))",
}

// numbers is an array of so many.
func numbers(n int) string { return fmt.Sprintf("[%s]", joined(n)) }

func joined(n int) (s string) {
	for i := range n {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprint(i)
	}
	return s
}

// soon is far less than the programs would take, and long enough for a slow
// machine.
const soon = 20 * time.Second

func TestAnEvaluationIsEndedFromOutside(t *testing.T) {
	in := numbers(100)
	for name, module := range endless {
		p := programOf(t, compiled.Options{Budget: 1 << 60}, module)
		for how, start := range map[string]func() (context.Context, context.CancelFunc, time.Duration){
			"by a time": func() (context.Context, context.CancelFunc, time.Duration) {
				ctx, cancel := context.WithCancel(t.Context())
				return ctx, cancel, 30 * time.Millisecond
			},
			"by its context": func() (context.Context, context.CancelFunc, time.Duration) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				return ctx, cancel, 0
			},
			"before it began": func() (context.Context, context.CancelFunc, time.Duration) {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				return ctx, cancel, 0
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				ctx, cancel, timeout := start()
				defer cancel()
				begun := time.Now()
				v, err := answer(ctx, p, compiled.Call{Timeout: timeout}, in)
				if !compiled.Stopped(err) || time.Since(begun) > soon {
					t.Errorf("got %s, %v after %v", v, err, time.Since(begun))
				}
			})
		}
	}
}

func TestAnEvaluationHasABudget(t *testing.T) {
	for _, name := range []string{"a scan", "calls"} {
		p := programOf(t, compiled.Options{Budget: 100_000}, endless[name])
		if v, err := answer(t.Context(), p, compiled.Call{}, numbers(100)); !errors.Is(err, compiled.ErrBudget) || !compiled.Stopped(err) {
			t.Errorf("%s: got %s, %v", name, v, err)
		}
		// The machine is as good as new.
		if v, err := answer(t.Context(), p, compiled.Call{}, "[]"); err != nil || v != map[string]string{"a scan": "0", "calls": "[]"}[name] {
			t.Errorf("%s: then %s, %v", name, v, err)
		}
	}
}

func termOf(s string) ast.Value { return ast.MustParseTerm(s).Value }
