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

// result is where a call's result goes.
type result struct {
	register int
	// tested: all that is asked of it is whether it is anything but false.
	tested bool
}

// resultOf tells by the statements that follow a call where its result goes,
// and how many of them that takes care of.
func (c *compiler) resultOf(l ir.Local, following []ir.Stmt) (result, int) {
	if len(following) > 0 && c.reads[l] == 1 {
		switch s := following[0].(type) {
		case *ir.NotEqualStmt:
			if s.A.Value == ir.Val(l) && s.B.Value == ir.Val(ir.Bool(false)) {
				return result{c.register(l), true}, 1
			}
		case *ir.AssignVarStmt:
			if s.Source.Value == ir.Val(l) && !c.unread(s.Target) {
				return result{register: c.register(s.Target)}, 1
			}
		}
	}
	return result{register: c.register(l)}, 0
}

// put stores what came of a call, or tests it.
func (to result) put(f []Value, v Value) int {
	switch {
	case !v.Defined():
		f[to.register] = v
		return undefined
	case to.tested:
		return whether(v.w != False.w)
	}
	f[to.register] = v
	return next
}

// call compiles a call by name, with what becomes of its result. It returns
// how many statements that were. What comes of a call undefined is stored as
// such.
func (c *compiler) call(list []ir.Stmt) (op, int) {
	s, ok := list[0].(*ir.CallStmt)
	if !ok {
		return nil, 0
	}
	p, args := c.p, c.operands(s.Args)
	to, n := c.resultOf(s.Result, list[1:])
	g := p.functions[s.Func]
	switch {
	case g == nil:
		return c.callBuiltin(s.Func, args, to), n + 1
	case len(args) != len(g.params):
		refuse("%s takes %d arguments, not %d", s.Func, len(g.params), len(args))
	case g.value.Defined():
		v := g.value
		return func(_ *Machine, f []Value) int { return to.put(f, v) }, n + 1
	case g.memo >= 0 && passesDocuments(args) && g.params[0] == int(ir.Input) && g.params[1] == int(ir.Data):
		return p.callRule(g, to), n + 1
	}
	return func(m *Machine, f []Value) int { return p.finish(m, f, to, g, args) }, n + 1
}

// passesDocuments says whether the arguments of a call are the documents, and
// no more.
func passesDocuments(args []operand) bool {
	return len(args) == documents && args[0].register == int(ir.Input) && args[1].register == int(ir.Data)
}

// callRule calls a function of nothing but the documents, unless that was done
// before.
func (p *Program) callRule(g *function, to result) op {
	return func(m *Machine, f []Value) int {
		e := &m.memos.entries[g.memo]
		if e.scope != m.memos.current {
			if !m.tick() {
				return failed
			}
			stack, top := m.stack, m.top
			frame := m.frame(g.locals)
			frame[ir.Input], frame[ir.Data] = f[ir.Input], f[ir.Data]
			g.body(m, frame)
			m.stack, m.top = stack, top
			if m.err != nil {
				return failed
			}
			e.value, e.scope = frame[g.result], m.memos.current
		}
		return to.put(f, e.value)
	}
}

// finish makes a call and stores what came of it.
func (p *Program) finish(m *Machine, f []Value, to result, g *function, args []operand) int {
	if !m.tick() {
		return failed
	}
	v := p.call(m, g, f, args)
	if m.err != nil {
		return failed
	}
	if g.memo >= 0 {
		m.memos.entries[g.memo] = memo{m.memos.current, v}
	}
	return to.put(f, v)
}

// pathSeparator joins the parts of a function's path to one key.
const pathSeparator = "\x00"

// leaveReference is how many blocks are left where a path leads to a rule that
// is undefined: all that the plan builds around a dynamic reference.
const leaveReference = 4

// callDynamic compiles a call by a path that is known at run time only. Where
// the path leads to no rule the plan goes on with the base document.
//
// In a negation OPA 1.22 plans that wrongly: what fails behind the call only
// leaves the block around it, so that not data.a[x].b is undefined where
// data.a[x] is a rule without a b.
func (c *compiler) callDynamic(s *ir.CallDynamicStmt) op {
	if c.negations > 0 {
		refuse(negatesRules)
	}
	p, to, path := c.p, result{register: c.register(s.Result)}, c.operands(s.Path)
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
		var r int
		if g.memo >= 0 && m.memos.entries[g.memo].scope == m.memos.current {
			r = to.put(f, m.memos.entries[g.memo].value)
		} else {
			r = p.finish(m, f, to, g, args)
		}
		if r == undefined {
			return leaveReference
		}
		return r
	}
}
