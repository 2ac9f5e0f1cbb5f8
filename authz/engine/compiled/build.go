package compiled

import (
	"errors"

	"github.com/open-policy-agent/opa/v1/ir"
)

// building compiles the statements that write into a container.
func (c *compiler) building(s ir.Stmt) op {
	switch s := s.(type) {
	case *ir.ArrayAppendStmt:
		i, a := c.register(s.Array), c.operand(s.Value)
		return func(m *Machine, f []Value) int {
			x := writableArray(m, f, i)
			x.elems = m.push(x.elems, a.get(f))
			return next
		}
	case *ir.SetAddStmt:
		return c.setAdd(s)
	case *ir.ObjectInsertStmt:
		return c.insert(c.register(s.Object), c.operand(s.Key), c.operand(s.Value), func(m *Machine) int {
			m.err = errKeysMeet
			return failed
		})
	case *ir.ObjectInsertOnceStmt:
		return c.insert(c.register(s.Object), c.operand(s.Key), c.operand(s.Value), func(m *Machine) int {
			return m.conflict(objectConflict)
		})
	case *ir.ObjectMergeStmt:
		a, b, to := c.register(s.A), c.register(s.B), c.register(s.Target)
		return func(m *Machine, f []Value) int { f[to] = merge(m, f[a], f[b]); return next }
	}
	return nil
}

// writableArray returns a register's array for writing, a copy of a frozen one.
func writableArray(m *Machine, f []Value, i int) *array {
	a := f[i].array()
	if !a.frozen {
		return a
	}
	const spare = 4
	c := m.newArray(len(a.elems) + spare)
	c.elems = append(c.elems, a.elems...)
	f[i] = arrayValue(c)
	return c
}

// writableTable is the same for an object or a set.
func writableTable(m *Machine, f []Value, i int) *table {
	t := f[i].table()
	if !t.frozen {
		return t
	}
	t = t.clone(m)
	f[i] = tableValue(t)
	return t
}

func (c *compiler) setAdd(s *ir.SetAddStmt) op {
	i, a := c.register(s.Set), c.operand(s.Value)
	after := next
	if c.src != nil && s.Set == c.src.Return && c.mayLeaveEarly(a) {
		after = settled
		c.p.stats.EarlyExits++
	}
	return func(m *Machine, f []Value) int {
		writableTable(m, f, i).put(m, a.get(f), Value{})
		return after
	}
}

// errKeysMeet makes the caller ask OPA. Two keys of an object that is written
// out, one of them a variable, have turned out to be the same: {"a": 1, x: 2}.
// Which value then counts, OPA's evaluator decides by what it has looked at.
var errKeysMeet = errors.New("two keys of an object are the same")

// insert puts a member into an object; another value for a key that is there
// is a conflict. Of equal ones, as 1 and 1.0, a comprehension keeps the last and
// a rule the first.
func (c *compiler) insert(object int, k, a operand, conflict func(*Machine) int) op {
	ofRule := c.src != nil && object == c.register(c.src.Return)
	return func(m *Machine, f []Value) int {
		t := writableTable(m, f, object)
		t.fill()
		key, v := k.get(f), a.get(f)
		at := t.find(key)
		switch {
		case at < 0:
			t.add(m, key, v)
		case !Equal(t.vals[at], v):
			return conflict(m)
		case !ofRule:
			t.vals[at] = v
		}
		return next
	}
}
