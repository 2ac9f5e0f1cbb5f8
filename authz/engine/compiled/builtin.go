package compiled

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// A native function takes the plain case of a built-in: arguments of the types
// that are meant, and nothing odd about them. For anything else it returns
// false, and OPA's own function is asked, so that errors and corner cases are
// always OPA's. An undefined value with true means undefined.
type native func(m *Machine, args []Value) (Value, bool)

// maxArguments is more than any of OPA's built-ins takes.
const maxArguments = 8

// callBuiltin compiles a call of a built-in function.
func (c *compiler) callBuiltin(name string, args []operand, to int) op {
	decl := c.p.declared[name]
	if decl == nil {
		refuse("the function %s is not known", name)
	}
	if len(args) > maxArguments {
		refuse("%s takes %d arguments", name, len(args))
	}
	if b := ast.BuiltinMap[name]; b != nil && b.Nondeterministic {
		c.p.nondeterministic[name] = true
	}
	bridge := c.p.bridge(name, decl)
	if o := operator(name, args, to); o != nil {
		c.p.stats.Native[name]++
		return o
	}
	make := natives[name]
	if make == nil {
		c.p.stats.Bridged[name]++
		return func(m *Machine, f []Value) int {
			top := m.top
			a := m.arguments(f, args)
			r := bridge(m, f, a, to)
			m.top = top
			return r
		}
	}
	c.p.stats.Native[name]++
	fast := make()
	return func(m *Machine, f []Value) int {
		stack, top := m.stack, m.top
		a := m.arguments(f, args)
		r := undefined
		if v, plain := fast(m, a); plain {
			f[to] = v
			r = whether(v.Defined())
		} else {
			r = bridge(m, f, a, to)
		}
		m.stack, m.top = stack, top
		return r
	}
}

// arguments puts arguments on the machine's stack, so that a call takes no
// memory. The caller restores the stack.
func (m *Machine) arguments(f []Value, args []operand) []Value {
	a := m.frame(len(args))
	for i := range args {
		a[i] = args[i].get(f)
	}
	return a
}

// operator compiles a comparison, which every value has.
func operator(name string, args []operand, to int) op {
	if len(args) != 2 {
		return nil
	}
	a, b := args[0], args[1]
	ordered := func(holds func(int) bool) op {
		return func(_ *Machine, f []Value) int {
			f[to] = Boolean(holds(Compare(a.get(f), b.get(f))))
			return next
		}
	}
	switch name {
	case "equal":
		return func(_ *Machine, f []Value) int { f[to] = Boolean(Equal(a.get(f), b.get(f))); return next }
	case "neq":
		return func(_ *Machine, f []Value) int { f[to] = Boolean(!Equal(a.get(f), b.get(f))); return next }
	case "lt":
		return ordered(func(c int) bool { return c < 0 })
	case "lte":
		return ordered(func(c int) bool { return c <= 0 })
	case "gt":
		return ordered(func(c int) bool { return c > 0 })
	case "gte":
		return ordered(func(c int) bool { return c >= 0 })
	}
	return nil
}
