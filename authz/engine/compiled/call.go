package compiled

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ir"
)

// call runs a function in a new frame, its arguments taken from another.
func (p *Program) call(m *Machine, g *function, f []Value, args []operand) Value {
	if g.value.Defined() {
		return g.value
	}
	stack, top := m.stack, m.top
	frame := m.frame(g.locals)
	for i := range args {
		frame[g.params[i]] = args[i].get(f)
	}
	r := g.body(m, frame)
	v := frame[g.result]
	m.stack, m.top = stack, top
	if r == failed {
		return Value{}
	}
	return v
}

// recall is call with the memos of functions of nothing but the documents.
func (p *Program) recall(m *Machine, g *function, f []Value, args []operand) Value {
	if g.memo < 0 {
		return p.call(m, g, f, args)
	}
	e := &m.memos.entries[g.memo]
	if e.scope == m.memos.current {
		return e.value
	}
	in := m.memos.current
	v := p.call(m, g, f, args)
	if m.err == nil {
		e.value, e.scope = v, in
	}
	return v
}

// call compiles a call by name. What comes of it undefined is stored as such.
func (c *compiler) call(s *ir.CallStmt) op {
	p, to, args := c.p, c.register(s.Result), c.operands(s.Args)
	g := p.functions[s.Func]
	switch {
	case g == nil:
		return c.callBuiltin(s.Func, args, to)
	case len(args) != len(g.params):
		refuse("%s takes %d arguments, not %d", s.Func, len(g.params), len(args))
	case g.value.Defined():
		v := g.value
		return func(_ *Machine, f []Value) int { f[to] = v; return next }
	case g.memo >= 0:
		return func(m *Machine, f []Value) int {
			e := &m.memos.entries[g.memo]
			if e.scope == m.memos.current { // the common case, without a call
				f[to] = e.value
				return whether(e.value.Defined())
			}
			return p.finish(m, f, to, g, args)
		}
	}
	return func(m *Machine, f []Value) int { return p.finish(m, f, to, g, args) }
}

// finish makes a call and stores what came of it.
func (p *Program) finish(m *Machine, f []Value, to int, g *function, args []operand) int {
	if !m.tick() {
		return failed
	}
	v := p.recall(m, g, f, args)
	f[to] = v
	if v.Defined() {
		return next
	}
	if m.err != nil {
		return failed
	}
	return undefined
}

// pathSeparator joins the parts of a function's path to one key.
const pathSeparator = "\x00"

// leaveReference is how many blocks are left where a path leads to a rule that
// is undefined: all that the plan builds around a dynamic reference.
const leaveReference = 4

// callDynamic compiles a call by a path that is known at run time only. Where
// the path leads to no rule the plan goes on with the base document.
func (c *compiler) callDynamic(s *ir.CallDynamicStmt) op {
	p, to, path := c.p, c.register(s.Result), c.operands(s.Path)
	args := make([]operand, len(s.Args))
	for i, a := range s.Args {
		args[i] = operand{register: c.register(a)}
	}
	return func(m *Machine, f []Value) int {
		var room [128]byte
		key := room[:0]
		for i := range path {
			v := path[i].get(f)
			if v.Kind() != Str || strings.Contains(v.Str(), pathSeparator) {
				return undefined // no rule's path has such a part
			}
			if i > 0 {
				key = append(key, pathSeparator...)
			}
			key = append(key, v.Str()...)
		}
		g := p.byPath[string(key)]
		if g == nil || len(g.params) != len(args) {
			return undefined
		}
		r := p.finish(m, f, to, g, args)
		if r == undefined {
			return leaveReference
		}
		return r
	}
}
