package compiled

// For readers of results.

// Get returns the member of an object by its name; undefined where there is
// none.
func (v Value) Get(name string) Value {
	if v.Kind() != Obj {
		return Value{}
	}
	return get(v, Text(name))
}

// Len counts the elements of an array, a set or an object; 0 for what is none.
func (v Value) Len() int { return max(size(v), 0) }

// Elems returns the elements of an array in their order, or of a set sorted.
// The slice belongs to the value.
func (v Value) Elems() []Value {
	switch v.Kind() {
	case Arr:
		return v.array().elems
	case Set:
		v.table().sort()
		return v.table().keys
	}
	return nil
}

// Members calls yield with each member of an object, keys sorted, until it
// returns false.
func (v Value) Members(yield func(key, value Value) bool) {
	if v.Kind() != Obj {
		return
	}
	t := v.table()
	t.sort()
	for i := range t.keys {
		if !yield(t.keys[i], t.vals[i]) {
			return
		}
	}
}
