package compiled

import (
	"sort"

	"github.com/open-policy-agent/opa/v1/ast"
)

// array is a list of values.
type array struct {
	elems  []Value
	frozen bool
	base   bool      // of the base document
	term   ast.Value // OPA's form, where a frozen array has one
}

// table is an object, or a set: then it has keys and no values.
//
// Keys stand in the order in which they came until somebody needs them sorted,
// which iteration does. Up to eight keys are searched one by one; more have an
// index by open addressing.
type table struct {
	keys, vals []Value
	index      []int32 // position of a key + 1, or 0
	sorted     bool
	set        bool
	frozen     bool      // shared: sorted, indexed, never written to
	base       bool      // of the base document
	lazy       Lazy      // where the members come from until it is nil
	shape      *shape    // of a frozen object: its keys, shared with others
	term       ast.Value // OPA's form, where a frozen table has one
}

// linear is how many keys are searched one by one.
const linear = 8

// fill makes a lazy object a plain one.
func (t *table) fill() {
	if t.lazy == nil {
		return
	}
	l := t.lazy
	t.lazy = nil
	l.Fill(func(key string, v Value) {
		if v.Defined() {
			t.put(nil, Text(key), v)
		}
	})
}

// find returns the position of a key, or -1. The table is not lazy.
func (t *table) find(k Value) int {
	if t.index != nil {
		return t.probe(k)
	}
	if k.Kind() == Str {
		s := k.Str()
		for i := range t.keys {
			if t.keys[i].w == k.w && (t.keys[i].p == k.p || t.keys[i].Str() == s) {
				return i
			}
		}
		return -1
	}
	for i := range t.keys {
		if Equal(t.keys[i], k) {
			return i
		}
	}
	return -1
}

func (t *table) probe(k Value) int {
	mask := uint64(len(t.index) - 1)
	for h := hash(k) & mask; ; h = (h + 1) & mask {
		i := t.index[h]
		if i == 0 {
			return -1
		}
		if Equal(t.keys[i-1], k) {
			return int(i - 1)
		}
	}
}

// reindex makes the index anew.
func (t *table) reindex() {
	const least = 32
	n := least
	for n < 2*len(t.keys)+2 {
		n *= 2
	}
	if cap(t.index) >= n {
		t.index = t.index[:n]
		clear(t.index)
	} else {
		t.index = make([]int32, n)
	}
	for i, k := range t.keys {
		t.enter(k, i)
	}
}

// enter puts one key into the index.
func (t *table) enter(k Value, at int) {
	mask := uint64(len(t.index) - 1)
	h := hash(k) & mask
	for t.index[h] != 0 {
		h = (h + 1) & mask
	}
	t.index[h] = int32(at + 1)
}

// put inserts a member or gives it another value; a key that is there stays
// the text it was, as in OPA. The machine lends the space; without one it
// comes from the heap.
func (t *table) put(m *Machine, k, v Value) {
	t.fill()
	if i := t.find(k); i >= 0 {
		if !t.set {
			t.vals[i] = v
		}
		return
	}
	t.add(m, k, v)
}

// add inserts a member whose key is not there yet.
func (t *table) add(m *Machine, k, v Value) {
	t.sorted = len(t.keys) == 0
	t.keys = m.push(t.keys, k)
	if !t.set {
		t.vals = m.push(t.vals, v)
	}
	n := len(t.keys)
	switch {
	case n <= linear:
	case t.index != nil && 2*n < len(t.index):
		t.enter(k, n-1)
	default:
		t.reindex()
	}
}

// clone copies a table, so that it can be written to.
func (t *table) clone(m *Machine) *table {
	t.fill()
	c := m.newTable(t.set)
	c.keys = append(m.slice(len(t.keys)+1), t.keys...)
	if !t.set {
		c.vals = append(m.slice(len(t.keys)+1), t.vals...)
	}
	c.sorted = t.sorted
	if len(c.keys) > linear {
		c.reindex()
	}
	return c
}

// sort puts the keys into OPA's order.
func (t *table) sort() {
	t.fill()
	if t.sorted {
		return
	}
	if len(t.keys) > 1 {
		sortFew(byKey{t})
		if t.index != nil {
			t.reindex()
		}
	}
	t.sorted = true
}

// byKey sorts a table in place.
type byKey struct{ *table }

func (b byKey) Len() int           { return len(b.keys) }
func (b byKey) Less(i, j int) bool { return Compare(b.keys[i], b.keys[j]) < 0 }
func (b byKey) Swap(i, j int) {
	b.keys[i], b.keys[j] = b.keys[j], b.keys[i]
	if !b.set {
		b.vals[i], b.vals[j] = b.vals[j], b.vals[i]
	}
}

// byValue sorts a list in place.
type byValue []Value

func (b byValue) Len() int           { return len(b) }
func (b byValue) Less(i, j int) bool { return Compare(b[i], b[j]) < 0 }
func (b byValue) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }

// sortFew sorts short lists by insertion, which allocates nothing.
func sortFew[S sort.Interface](s S) {
	const few = 12
	n := s.Len()
	if n > few {
		sort.Sort(s)
		return
	}
	for i := 1; i < n; i++ {
		for j := i; j > 0 && s.Less(j, j-1); j-- {
			s.Swap(j, j-1)
		}
	}
}
