package compiled

import (
	"errors"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ir"
)

// dot compiles a look one step into a value. What is not there is stored as
// undefined, too.
func (c *compiler) dot(s *ir.DotStmt) op {
	source, key, to := c.operand(s.Source), c.operand(s.Key), c.register(s.Target)
	switch {
	case source.isConstant():
		return func(_ *Machine, f []Value) int { f[to] = Value{}; return undefined } // a scalar
	case key.isConstant() && key.constant.Kind() == Str:
		return dotName(source.register, key.constant, to)
	}
	i := source.register
	return func(m *Machine, f []Value) int {
		v, k := f[i], key.get(f)
		r := get(v, k)
		f[to] = r
		if r.Defined() {
			return next
		}
		return m.missing(v, k)
	}
}

// missing is a look that found nothing.
func (m *Machine) missing(v, k Value) int {
	if odd(v, k) {
		m.err = errOddKey
		return failed
	}
	return undefined
}

// errOddKey makes the caller ask OPA.
var errOddKey = errors.New("a key of a type that the base document does not have")

// odd says whether OPA might find a key in the base document that is not
// there. It reads base documents by a path of texts, so that the number 1 finds
// the member "1" of an object, and "1" the second element of an array.
func odd(v, k Value) bool {
	switch v.Kind() {
	case Arr:
		if v.array().base && k.Kind() == Str {
			s := k.Str()
			return s != "" && (s[0] == '+' || s[0] == '-' || s[0] >= '0' && s[0] <= '9')
		}
	case Obj, Set:
		return v.table().base && isNumber(k.Kind())
	}
	return false
}

// seen is what a read of a constant name remembers: where in a shape it is.
type seen struct {
	shape    *shape
	position int
}

// forget is after how many shapes a site stops remembering new ones.
const forget = 16

// dotName reads a member by a constant name.
func dotName(source int, name Value, to int) op {
	text := name.Str()
	var site atomic.Pointer[seen]
	var changes atomic.Int32
	find := func(t *table) int {
		if s := site.Load(); s != nil && s.shape == t.shape {
			return s.position
		}
		at := t.find(name)
		if changes.Load() < forget {
			changes.Add(1)
			site.Store(&seen{t.shape, at})
		}
		return at
	}
	return func(m *Machine, f []Value) int {
		v := f[source]
		if v.Kind() != Obj {
			r := get(v, name)
			f[to] = r
			if r.Defined() {
				return next
			}
			return m.missing(v, name)
		}
		t := v.table()
		if t.lazy != nil {
			r := t.lazy.Get(text)
			f[to] = r
			return whether(r.Defined())
		}
		var at int
		if t.shape != nil {
			at = find(t)
		} else {
			at = t.find(name)
		}
		if at < 0 {
			f[to] = Value{}
			return undefined
		}
		f[to] = t.vals[at]
		return next
	}
}
