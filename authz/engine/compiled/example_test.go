package compiled_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// A policy is compiled once and evaluated for each request; what the compiler
// refuses, or fails on, is OPA's interpreter's to evaluate.
func Example() {
	policy := ast.MustCompileModules(map[string]string{"policy.rego": `package example

default decision := {"allowed": false, "reason": "not_a_member"}

decision := {"allowed": true, "reason": "member"} if {
	input.method in data.methods[input.role]
}`})
	data := ast.MustInterfaceToValue(map[string]any{"methods": map[string]any{"reader": []any{"GET", "HEAD"}}}).(ast.Object)

	program, err := compiled.New(context.Background(), compiled.Options{
		Compiler: policy, Data: data, Entrypoint: ast.MustParseRef("data.example.decision"),
	})
	if refusal := (*compiled.Refusal)(nil); errors.As(err, &refusal) {
		fmt.Println("the interpreter has to serve:", refusal.Why)
		return
	} else if err != nil {
		fmt.Println(err)
		return
	}
	for _, method := range []string{"GET", "POST"} {
		decide(program, method)
	}
	// Output:
	// GET: allowed true, member
	// POST: allowed false, not_a_member
}

func decide(program *compiled.Program, method string) {
	m := program.Begin()
	defer m.End() // what Eval returned is read before
	v, err := m.Eval(context.Background(), compiled.Call{Input: m.Lazy(request{"role": "reader", "method": method})})
	if err != nil {
		fmt.Println("the interpreter is to be asked:", err)
		return
	}
	fmt.Printf("%s: allowed %t, %s\n", method, v.Get("allowed").IsTrue(), v.Get("reason").Str())
}

// request is an input that is not built before a policy asks for its members.
type request map[string]string

func (r request) Get(key string) compiled.Value {
	if text, there := r[key]; there {
		return compiled.Text(text)
	}
	return compiled.Value{}
}

func (r request) Fill(put func(key string, v compiled.Value)) {
	for key, text := range r {
		put(key, compiled.Text(text))
	}
}
