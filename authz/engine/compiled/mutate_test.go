package compiled_test

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/test/cases"
)

// mutated is one of OPA's cases with parts of its modules exchanged, dropped or
// doubled, and with other inputs. Nil where it can't be had.
func mutated(tc *cases.TestCase, d *dice) *question {
	q := &question{modules: map[string]string{}, query: tc.Query, data: ast.NewObject(), options: ast.CompileOpts{ParserOptions: ast.ParserOptions{RegoVersion: ast.RegoV1}}}
	if tc.Data != nil {
		q.data = ast.MustInterfaceToValue(*tc.Data).(ast.Object)
	}
	m := mutator{dice: d}
	var modules []*ast.Module
	for i, text := range tc.Modules {
		if strings.Contains(text, "__local") {
			return nil // a compiler's own name, which it does not check
		}
		module, err := ast.ParseModuleWithOpts(fmt.Sprintf("test-%d.rego", i), text, q.options.ParserOptions)
		if err != nil {
			return nil
		}
		modules = append(modules, module)
		m.gather(module)
	}
	for range d.IntN(4) {
		if len(modules) > 0 {
			m.change(modules[d.IntN(len(modules))])
		}
	}
	for i, module := range modules {
		text, ok := written(module)
		if !ok {
			return nil
		}
		q.modules[fmt.Sprintf("test-%d.rego", i)] = text
	}
	var in ast.Value = ast.NewObject()
	if tc.InputTerm != nil {
		in = ast.MustParseTerm(*tc.InputTerm).Value
	} else if tc.Input != nil {
		in = ast.MustInterfaceToValue(*tc.Input)
	}
	g := writer{dice: d}
	q.inputs = []ast.Value{in, m.value(in), m.value(in), g.value(3)}
	return q
}

// written is a module's text. OPA can't write some trees that no parser makes,
// such as "some" over a call with one argument: it panics.
func written(module *ast.Module) (text string, ok bool) {
	defer func() { ok = recover() == nil }()
	return module.String(), true
}

// mutator exchanges parts of modules by others that it has seen.
type mutator struct {
	*dice
	terms []*ast.Term
	exprs []*ast.Expr
}

func (m *mutator) gather(module *ast.Module) {
	for _, r := range module.Rules {
		ast.WalkTerms(r.Body, func(t *ast.Term) bool {
			m.terms = append(m.terms, t.Copy())
			return false
		})
		for _, e := range r.Body {
			m.exprs = append(m.exprs, e.Copy())
		}
	}
}

func (m *mutator) change(module *ast.Module) {
	if len(module.Rules) == 0 {
		return
	}
	r := module.Rules[m.IntN(len(module.Rules))]
	at := 0
	if len(r.Body) > 0 {
		at = m.IntN(len(r.Body))
	}
	switch m.IntN(5) {
	case 0: // an expression more
		r.Body.Append(m.exprs[m.IntN(len(m.exprs))].Copy())
	case 1: // one less
		if len(r.Body) > 1 {
			r.Body = append(r.Body[:at:at], r.Body[at+1:]...)
			for i, e := range r.Body {
				e.Index = i
			}
		}
	case 2: // another rule with the same name and body
		twin := r.Copy()
		if len(m.terms) > 0 && twin.Head.Value != nil {
			twin.Head.Value = m.terms[m.IntN(len(m.terms))].Copy()
		}
		module.Rules = append(module.Rules, twin)
	case 3: // negated, or not
		if len(r.Body) > 0 {
			r.Body[at].Negated = !r.Body[at].Negated
		}
	default: // another term somewhere
		m.replace(r)
	}
}

// replace puts another term in the place of one in a body.
func (m *mutator) replace(r *ast.Rule) {
	var places []*ast.Term
	ast.WalkTerms(r.Body, func(t *ast.Term) bool {
		places = append(places, t)
		return false
	})
	if len(places) == 0 {
		return
	}
	t := places[m.IntN(len(places))]
	if m.IntN(2) == 0 && len(m.terms) > 0 {
		t.Value = m.terms[m.IntN(len(m.terms))].Copy().Value
		return
	}
	t.Value = ast.MustParseTerm(m.one(`"a"`, "1", "0", "true", "false", "null", "[]", "{}", "2.5", `"foo"`, "input", "data")).Value
}

// value changes a value in one place.
func (m *mutator) value(v ast.Value) ast.Value {
	g := writer{dice: m.dice}
	if m.IntN(4) == 0 {
		return g.value(1)
	}
	switch v := v.(type) {
	case *ast.Array:
		if v.Len() == 0 {
			return v
		}
		out, at := ast.NewArray(), m.IntN(v.Len())
		for i := range v.Len() {
			e := v.Elem(i)
			if i == at {
				e = ast.NewTerm(m.value(e.Value))
			}
			out = out.Append(e)
		}
		return out
	case ast.Object:
		keys := v.Keys()
		if len(keys) == 0 {
			return v
		}
		out, at := ast.NewObject(), m.IntN(len(keys))
		drop := m.IntN(3) == 0
		for i, k := range keys {
			e := v.Get(k)
			if i == at {
				if drop {
					continue
				}
				e = ast.NewTerm(m.value(e.Value))
			}
			out.Insert(k, e)
		}
		return out
	}
	return v
}
