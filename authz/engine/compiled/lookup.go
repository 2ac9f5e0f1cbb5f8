package compiled

import "github.com/open-policy-agent/opa/v1/ast"

// get looks one step into a value: the member of an object, the element of an
// array, of a set what is asked for. Undefined where there is none.
func get(v, k Value) Value {
	switch v.Kind() {
	case Obj:
		t := v.table()
		if t.lazy != nil {
			if k.Kind() == Str {
				return t.lazy.Get(k.Str())
			}
			return Value{}
		}
		if i := t.find(k); i >= 0 {
			return t.vals[i]
		}
	case Arr:
		if i, ok := position(k); ok && i < int64(len(v.array().elems)) {
			return v.array().elems[i]
		}
	case Set:
		if v.table().find(k) >= 0 {
			return k // as it is asked for: 1 also where the element is 1.0
		}
	}
	return Value{}
}

// position reads an array's index. Some texts that are not canonical are
// indices to OPA, too: 1.0 and -0, and not 1e0.
func position(k Value) (int64, bool) {
	n := int64(-1)
	switch k.Kind() {
	case Int:
		n = k.Int()
	case Num:
		if other, ok := ast.Number(k.Str()).Int64(); ok {
			n = other
		}
	}
	return n, n >= 0
}

// size counts the elements of a container; -1 for what is none.
func size(v Value) int {
	switch v.Kind() {
	case Arr:
		return len(v.array().elems)
	case Obj, Set:
		t := v.table()
		t.fill()
		return len(t.keys)
	}
	return -1
}

// merge is the recursive union of two objects. Where not both are objects the
// first one wins: it is the base document.
func merge(m *Machine, a, b Value) Value {
	if a.Kind() != Obj || b.Kind() != Obj {
		return a
	}
	union := a.table().clone(m)
	union.base = a.table().base
	t := b.table()
	t.fill()
	for i, k := range t.keys {
		if j := union.find(k); j >= 0 {
			union.vals[j] = merge(m, union.vals[j], t.vals[i])
		} else {
			union.put(m, k, t.vals[i])
		}
	}
	return objectValue(union)
}

// upsert copies a document with another value at a path, making the objects on
// the way that are not there.
func upsert(m *Machine, v Value, path []Value, x Value) Value {
	if len(path) == 0 {
		return x
	}
	var t *table
	if v.Kind() == Obj {
		t = v.table().clone(m)
	} else {
		t = m.newTable(false)
	}
	var child Value
	if i := t.find(path[0]); i >= 0 {
		child = t.vals[i]
	}
	t.put(m, path[0], upsert(m, child, path[1:], x))
	return objectValue(t)
}
