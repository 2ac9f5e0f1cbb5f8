package compiled

import (
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ir"
)

// A policy mostly reads paths of constant names and tests what it finds:
// input.route.access == "organization" is three statements of a plan. They
// become one closure here, and what only they would have read takes no
// register.

// step is one look into a value by a constant name.
type step struct {
	name    Value
	text    string
	digits  bool // the name might be taken for a position; see odd
	site    atomic.Pointer[seen]
	changes atomic.Int32
}

// seen is what a step remembers: where in a shape its name is.
type seen struct {
	shape    *shape
	position int
}

// forget is after how many shapes a step stops remembering new ones.
const forget = 16

func newStep(name Value) *step {
	s := &step{name: name, text: name.Str()}
	s.digits = looksLikePosition(s.text)
	return s
}

// in looks the name up; undefined where it is not there.
func (s *step) in(v Value) Value {
	if v.Kind() != Obj {
		return get(v, s.name)
	}
	t := v.table()
	switch {
	case t.shape != nil:
		at := 0
		if last := s.site.Load(); last != nil && last.shape == t.shape {
			at = last.position
		} else {
			at = s.find(t)
		}
		if at < 0 {
			return Value{}
		}
		return t.vals[at]
	case t.lazy != nil:
		return t.lazy.Get(s.text)
	}
	if at := t.find(s.name); at >= 0 {
		return t.vals[at]
	}
	return Value{}
}

func (s *step) find(t *table) int {
	at := t.find(s.name)
	if s.changes.Load() < forget {
		s.changes.Add(1)
		s.site.Store(&seen{t.shape, at})
	}
	return at
}

// path compiles the reads of constant names that a list begins with, and a
// test of what they find. It returns how many statements that were.
func (c *compiler) path(list []ir.Stmt) (op, int) {
	first, ok := c.named(list[0])
	if !ok {
		return nil, 0
	}
	r := route{from: c.register(first.Source.Value.(ir.Local)), memo: -1}
	r.steps = append(r.steps, newStep(c.operand(first.Key).constant))
	last, n := first.Target, 1
	for n < len(list) {
		s, ok := c.named(list[n])
		if !ok || s.Source.Value != ir.Val(last) || c.reads[last] != 1 {
			break
		}
		r.steps = append(r.steps, newStep(c.operand(s.Key).constant))
		last = s.Target
		n++
	}
	if r.from <= int(ir.Data) {
		r.memo = c.p.memoOf(&r)
	}
	if n < len(list) && c.reads[last] == 1 {
		if o := c.testOf(list[n], last, &r); o != nil {
			return o, n + 1
		}
		if s, ok := list[n].(*ir.AssignVarStmt); ok && s.Source.Value == ir.Val(last) && !c.unread(s.Target) {
			last = s.Target // a copy, of which the original is not read
			n++
		}
	}
	return c.read(last, &r), n
}

// route is a path of constant names from a register. One that begins at a
// document leads to the same each time within a memo scope, and is remembered:
// policies read the same few paths again and again.
type route struct {
	from  int
	steps []*step
	memo  int // place in the memos; -1 for none
}

// memoOf returns the place of a route's result, the same for equal routes.
func (p *Program) memoOf(r *route) int {
	key := r.key()
	at, ok := p.routes[key]
	if !ok {
		at = p.memos
		p.memos++
		p.routes[key] = at
	}
	return at
}

// key is the same for equal routes.
func (r *route) key() string {
	key := strconv.Itoa(r.from)
	for _, s := range r.steps {
		key += pathSeparator + strconv.Quote(s.text)
	}
	return key
}

// end returns what a route leads to.
func (r *route) end(m *Machine, f []Value) Value {
	if r.memo < 0 {
		return m.along(r.steps, f[r.from])
	}
	e := &m.memos.entries[r.memo]
	if e.scope != m.memos.current {
		e.value, e.scope = m.along(r.steps, f[r.from]), m.memos.current
	}
	return e.value
}

// named returns a statement that reads a constant name of a local.
func (c *compiler) named(s ir.Stmt) (*ir.DotStmt, bool) {
	d, ok := s.(*ir.DotStmt)
	if !ok {
		return nil, false
	}
	if _, ok := d.Source.Value.(ir.Local); !ok {
		return nil, false
	}
	_, ok = d.Key.Value.(ir.StringIndex)
	return d, ok
}

// along follows steps from a value, until one finds nothing.
func (m *Machine) along(steps []*step, v Value) Value {
	for _, s := range steps {
		next := s.in(v)
		if !next.Defined() {
			if s.digits && odd(v, s.name) {
				m.err = errOddKey
			}
			return next
		}
		v = next
	}
	return v
}

// absent says where to go on when a path led nowhere.
func (m *Machine) absent() int {
	if m.err != nil {
		return failed
	}
	return undefined
}

// read puts what a path leads to into a register, if anybody reads it.
func (c *compiler) read(target ir.Local, r *route) op {
	if c.unread(target) { // only whether it is there
		return func(m *Machine, f []Value) int {
			if r.end(m, f).Defined() {
				return next
			}
			return m.absent()
		}
	}
	to := c.register(target)
	return func(m *Machine, f []Value) int {
		v := r.end(m, f)
		f[to] = v
		if v.Defined() {
			return next
		}
		return m.absent()
	}
}

// testOf compiles the test of what a path leads to, nil where the statement is
// none.
func (c *compiler) testOf(s ir.Stmt, last ir.Local, r *route) op {
	switch s := s.(type) {
	case *ir.NotEqualStmt: // a bare term: anything but false
		if s.A.Value != ir.Val(last) || s.B.Value != ir.Val(ir.Bool(false)) {
			return nil
		}
		return func(m *Machine, f []Value) int {
			v := r.end(m, f)
			if v.Defined() {
				return whether(v.w != False.w)
			}
			return m.absent()
		}
	case *ir.EqualStmt:
		a, b := s.A, s.B
		if a.Value != ir.Val(last) {
			a, b = b, a
		}
		if a.Value != ir.Val(last) || b.Value == ir.Val(last) {
			return nil
		}
		return c.pathEqual(c.operand(b), r)
	}
	return nil
}

func (c *compiler) pathEqual(b operand, r *route) op {
	if k := b.constant; b.isConstant() && k.Kind() == Str {
		text := k.Str()
		return func(m *Machine, f []Value) int {
			v := r.end(m, f)
			if v.w == k.w {
				return whether(v.p == k.p || v.Str() == text)
			}
			return m.absent()
		}
	}
	return func(m *Machine, f []Value) int {
		v := r.end(m, f)
		if v.Defined() {
			return whether(Equal(v, b.get(f)))
		}
		return m.absent()
	}
}

// dot compiles a look by anything but a constant name. What is not there is
// stored as undefined, too.
func (c *compiler) dot(s *ir.DotStmt) op {
	source, key, to := c.operand(s.Source), c.operand(s.Key), c.register(s.Target)
	return func(m *Machine, f []Value) int {
		v, k := source.get(f), key.get(f)
		r := get(v, k)
		f[to] = r
		if !r.Defined() && odd(v, k) {
			m.err = errOddKey
			return failed
		}
		return whether(r.Defined())
	}
}

// errOddKey makes the caller ask OPA.
var errOddKey = errors.New("a key of a type that the base document does not have")

// odd says whether OPA might find a key in the base document that is not
// there. It reads base documents by a path of texts, so that the number 1 finds
// the member "1" of an object, and "1" the second element of an array.
func odd(v, k Value) bool {
	switch v.Kind() {
	case Arr:
		return v.array().base && k.Kind() == Str && looksLikePosition(k.Str())
	case Obj, Set:
		return v.table().base && isNumber(k.Kind())
	}
	return false
}

func looksLikePosition(s string) bool {
	return s != "" && (s[0] == '+' || s[0] == '-' || s[0] >= '0' && s[0] <= '9')
}
