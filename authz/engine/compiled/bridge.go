package compiled

import (
	"crypto/rand"
	"errors"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// bridged calls a built-in with arguments and stores the result.
type bridged func(m *Machine, f []Value, args []Value, to int) int

// bridge calls OPA's own function, with terms. What it answers, or that it
// answered nothing, is remembered for the rest of the evaluation where it
// depends on nothing but its arguments.
func (p *Program) bridge(name string, decl *ir.BuiltinFunc) bridged {
	function := topdown.GetBuiltin(name)
	if b := p.extra[name]; b != nil {
		function = b.Func
	}
	if function == nil {
		refuse("the built-in %s has no implementation", name)
	}
	b := ast.BuiltinMap[name]
	k := kindOfBuiltin{void: decl.Decl.Result() == nil, relation: b != nil && b.Relation}
	keep := b != nil && !b.Nondeterministic && !k.void
	id := p.nextBuiltin
	p.nextBuiltin++
	return func(m *Machine, f []Value, args []Value, to int) int {
		if keep {
			if r := m.recollect(id, args); r != nil {
				f[to] = r.value
				return whether(r.value.Defined())
			}
		}
		v, err := m.ask(function, args, k)
		if err != nil {
			m.err = err
			return failed
		}
		if keep {
			m.remember(id, args, v)
		}
		f[to] = v
		return whether(v.Defined())
	}
}

// kindOfBuiltin says what becomes of a built-in's outputs: a relation's are
// gathered in an array, those of one without a result are true.
type kindOfBuiltin struct{ void, relation bool }

// ask calls OPA's function. An error that it may give leaves the call
// undefined, as in OPA; one that ends the evaluation is returned.
func (m *Machine) ask(function topdown.BuiltinFunc, args []Value, k kindOfBuiltin) (Value, error) {
	terms := make([]*ast.Term, len(args), len(args)+1)
	for i := range args {
		terms[i] = term(args[i])
	}
	var out Value
	if k.relation {
		out = arrayValue(m.newArray(0))
	}
	err := function(m.builtinContext(), terms, func(t *ast.Term) error {
		switch {
		case k.void:
			out = True
		case k.relation:
			a := out.array()
			a.elems = m.push(a.elems, m.FromTerm(t.Value))
		default:
			out = m.FromTerm(t.Value)
		}
		return nil
	})
	if err == nil {
		return out, nil
	}
	if halt := (topdown.Halt{}); errors.As(err, &halt) {
		return Value{}, halt.Err
	}
	m.builtinErrs = append(m.builtinErrs, err)
	return Value{}, nil
}

// builtinContext is what OPA's functions get beside their arguments. It is
// made at the first use in an evaluation.
func (m *Machine) builtinContext() topdown.BuiltinContext {
	if m.builtinsMade {
		return m.builtins
	}
	now := m.now
	if now.IsZero() {
		now = time.Now()
	}
	m.builtins = topdown.BuiltinContext{
		Context:                     m.ctx,
		Metrics:                     metrics.New(),
		Seed:                        rand.Reader,
		Time:                        ast.NewTerm(ast.Number(Integer(now.UnixNano()).numberText())),
		Cancel:                      m.canceller(),
		Runtime:                     m.program.options.Runtime,
		Cache:                       builtins.Cache{},
		InterQueryBuiltinCache:      m.program.options.QueryCache,
		InterQueryBuiltinValueCache: m.program.options.ValueCache,
		Capabilities:                capabilities,
		PrintHook:                   m.program.options.Print,
	}
	m.builtinsMade = true
	return m.builtins
}

// capabilities are those of the linked OPA.
var capabilities = ast.CapabilitiesForThisVersion()
