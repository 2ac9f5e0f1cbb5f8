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

// callBuiltin compiles a call of a built-in function, and a test of its result
// where one follows.
func (c *compiler) callBuiltin(name string, args []operand, to result) op {
	o := c.builtin(name, args, to.register)
	if !to.tested {
		return o
	}
	return func(m *Machine, f []Value) int {
		if r := o(m, f); r != next {
			return r
		}
		return whether(f[to.register].w != False.w)
	}
}

func (c *compiler) builtin(name string, args []operand, to int) op {
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
		return func(m *Machine, f []Value) int { return bridge(m, f, m.arguments(f, args), to) }
	}
	c.p.stats.Native[name]++
	fast := make()
	return func(m *Machine, f []Value) int {
		a := m.arguments(f, args)
		if v, plain := fast(m, a); plain {
			f[to] = v
			return whether(v.Defined())
		}
		return bridge(m, f, a, to)
	}
}

// arguments puts arguments where a call takes no memory. They are valid until
// the next built-in is called.
func (m *Machine) arguments(f []Value, args []operand) []Value {
	a := m.scratch[:len(args)]
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
