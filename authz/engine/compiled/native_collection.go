package compiled

import "unicode/utf8"

var _ = registerNatives(map[string]func() native{
	"and":               stateless(intersection),
	"or":                stateless(union),
	"count":             stateless(count),
	"sort":              stateless(sorted),
	"array.slice":       stateless(arraySlice),
	"array.concat":      stateless(arrayConcat),
	"internal.member_2": stateless(member),
	"internal.member_3": stateless(memberAt),
	"object.get":        stateless(objectGet),
	"object.keys":       stateless(objectKeys),
	"object.union":      stateless(objectUnion),
	"type_name":         stateless(func(_ *Machine, a []Value) (Value, bool) { return typeNames[a[0].Kind()], true }),
	"is_number":         isOf(Int, Num),
	"is_string":         isOf(Str),
	"is_boolean":        isOf(Bool),
	"is_array":          isOf(Arr),
	"is_object":         isOf(Obj),
	"is_set":            isOf(Set),
	"is_null":           isOf(Null),
})

var typeNames = [...]Value{
	Undefined: {}, Null: Text("null"), Bool: Text("boolean"), Int: Text("number"), Num: Text("number"),
	Str: Text("string"), Arr: Text("array"), Obj: Text("object"), Set: Text("set"),
}

func areSets(a []Value) bool { return a[0].Kind() == Set && a[1].Kind() == Set }

func intersection(m *Machine, a []Value) (Value, bool) {
	if !areSets(a) {
		return notPlain()
	}
	x, y := a[0].table(), a[1].table()
	if len(y.keys) < len(x.keys) {
		x, y = y, x
	}
	t := m.newTable(true)
	for _, k := range x.keys {
		if y.find(k) >= 0 {
			t.put(m, k, Value{})
		}
	}
	return setValue(t), true
}

func union(m *Machine, a []Value) (Value, bool) {
	if !areSets(a) {
		return notPlain()
	}
	t := a[0].table().clone(m)
	for _, k := range a[1].table().keys {
		t.put(m, k, Value{})
	}
	return setValue(t), true
}

func count(_ *Machine, a []Value) (Value, bool) {
	if a[0].Kind() == Str {
		return Integer(int64(utf8.RuneCountInString(a[0].Str()))), true
	}
	n := size(a[0])
	return Integer(int64(n)), n >= 0
}

func sorted(m *Machine, a []Value) (Value, bool) {
	list, ok := elements(a[0])
	if !ok {
		return notPlain()
	}
	out := m.newArray(len(list))
	out.elems = append(out.elems, list...)
	if a[0].Kind() == Arr {
		sortFew(byValue(out.elems))
	}
	return arrayValue(out), true
}

func arraySlice(m *Machine, a []Value) (Value, bool) {
	if a[0].Kind() != Arr || a[1].Kind() != Int || a[2].Kind() != Int {
		return notPlain()
	}
	list := a[0].array().elems
	to := min(max(a[2].Int(), 0), int64(len(list)))
	from := min(max(a[1].Int(), 0), to)
	out := m.newArray(int(to - from))
	out.elems = append(out.elems, list[from:to]...)
	return arrayValue(out), true
}

func arrayConcat(m *Machine, a []Value) (Value, bool) {
	if a[0].Kind() != Arr || a[1].Kind() != Arr {
		return notPlain()
	}
	x, y := a[0].array().elems, a[1].array().elems
	out := m.newArray(len(x) + len(y))
	out.elems = append(append(out.elems, x...), y...)
	return arrayValue(out), true
}

// member is the operator `in` with one name.
func member(_ *Machine, a []Value) (Value, bool) {
	switch a[1].Kind() {
	case Arr:
		return Boolean(holds(a[1].array().elems, a[0])), true
	case Set:
		return Boolean(a[1].table().find(a[0]) >= 0), true
	case Obj:
		t := a[1].table()
		t.fill()
		return Boolean(holds(t.vals, a[0])), true
	}
	return False, true
}

func holds(list []Value, v Value) bool {
	for _, e := range list {
		if Equal(v, e) {
			return true
		}
	}
	return false
}

// memberAt is the operator `in` with a key and a value.
func memberAt(_ *Machine, a []Value) (Value, bool) {
	switch a[2].Kind() {
	case Arr, Obj, Set:
		v := get(a[2], a[0])
		return Boolean(v.Defined() && Equal(v, a[1])), true
	}
	return False, true
}

// objectGet knows single keys; an array is a path.
func objectGet(_ *Machine, a []Value) (Value, bool) {
	if a[0].Kind() != Obj || a[1].Kind() == Arr {
		return notPlain()
	}
	if v := get(a[0], a[1]); v.Defined() {
		return v, true
	}
	return a[2], true
}

func objectKeys(m *Machine, a []Value) (Value, bool) {
	if a[0].Kind() != Obj {
		return notPlain()
	}
	from, t := a[0].table(), m.newTable(true)
	from.fill()
	for _, k := range from.keys {
		t.put(m, k, Value{})
	}
	return setValue(t), true
}

// objectUnion gives the second object's values, except that objects are merged
// in depth.
func objectUnion(m *Machine, a []Value) (Value, bool) {
	if a[0].Kind() != Obj || a[1].Kind() != Obj {
		return notPlain()
	}
	return united(m, a[0], a[1]), true
}

// united has the keys as the first object writes them, and the values of the
// second.
func united(m *Machine, a, b Value) Value {
	union, t := a.table().clone(m), b.table()
	t.fill()
	for i, k := range t.keys {
		v := t.vals[i]
		if j := union.find(k); j >= 0 {
			if v.Kind() == Obj && union.vals[j].Kind() == Obj {
				v = united(m, union.vals[j], v)
			}
			union.vals[j] = v
		} else {
			union.put(m, k, v)
		}
	}
	return objectValue(union)
}
