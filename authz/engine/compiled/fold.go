package compiled

import "github.com/open-policy-agent/opa/v1/ir"

// folder evaluates a run of statements that only build constants.
type folder struct {
	c     *compiler
	made  map[ir.Local]Value
	order []ir.Local
}

// fold compiles the run of building statements that a list begins with, if
// any, into assignments of frozen constants. It returns how many statements
// that were.
func (c *compiler) fold(list []ir.Stmt) ([]op, int) {
	b := folder{c: c, made: map[ir.Local]Value{}}
	n := 0
	for n < len(list) && (c.idle(list[n]) || b.build(list[n])) {
		n++
	}
	ops := make([]op, 0, len(b.order))
	for _, l := range b.order {
		ops = append(ops, c.assignConstant(c.register(l), b.made[l]))
	}
	if n > 0 {
		c.p.stats.Folded++
	}
	return ops, n
}

// build takes a statement, unless it does more than build a constant.
func (b *folder) build(s ir.Stmt) bool {
	switch s := s.(type) {
	case *ir.MakeNullStmt:
		b.put(s.Target, NullValue)
	case *ir.MakeNumberIntStmt:
		b.put(s.Target, Integer(s.Value))
	case *ir.MakeNumberRefStmt:
		b.put(s.Target, number(b.c.p.strings[s.Index].Str()))
	case *ir.AssignIntStmt:
		b.put(s.Target, Integer(s.Value))
	case *ir.MakeArrayStmt:
		b.put(s.Target, arrayValue(&array{}))
	case *ir.MakeObjectStmt:
		b.put(s.Target, objectValue(&table{}))
	case *ir.MakeSetStmt:
		b.put(s.Target, setValue(&table{set: true}))
	case *ir.ArrayAppendStmt:
		a, v := b.made[s.Array], b.value(s.Value)
		if !a.Defined() || !v.Defined() {
			return false
		}
		a.array().elems = append(a.array().elems, v)
	case *ir.SetAddStmt:
		t, v := b.made[s.Set], b.value(s.Value)
		if !t.Defined() || !v.Defined() {
			return false
		}
		t.table().put(nil, v, Value{})
	case *ir.ObjectInsertStmt:
		t, k, v := b.made[s.Object], b.value(s.Key), b.value(s.Value)
		if !t.Defined() || !k.Defined() || !v.Defined() {
			return false
		}
		t.table().put(nil, k, v)
	default:
		return false
	}
	return true
}

func (b *folder) put(l ir.Local, v Value) {
	if _, again := b.made[l]; !again {
		b.order = append(b.order, l)
	}
	b.made[l] = v
}

func (b *folder) value(o ir.Operand) Value {
	if l, ok := o.Value.(ir.Local); ok {
		return b.made[l]
	}
	constant := b.c.operand(o)
	return constant.constant
}

// assignConstant puts a constant into a register. An empty container is about
// to be written to, so it is made at run time instead.
func (c *compiler) assignConstant(to int, v Value) op {
	if size(v) != 0 {
		v = c.p.interner.freeze(v)
		return func(_ *Machine, f []Value) int { f[to] = v; return next }
	}
	switch v.Kind() {
	case Arr:
		return func(m *Machine, f []Value) int { f[to] = arrayValue(m.newArray(0)); return next }
	case Set:
		return func(m *Machine, f []Value) int { f[to] = setValue(m.newTable(true)); return next }
	default:
		return func(m *Machine, f []Value) int { f[to] = objectValue(m.newTable(false)); return next }
	}
}
