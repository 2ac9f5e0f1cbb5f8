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

// Unordered calls yield with each member of an object, in no order, until it
// returns false. It spares the sorting.
func (v Value) Unordered(yield func(key, value Value) bool) {
	if v.Kind() != Obj {
		return
	}
	t := v.table()
	t.fill()
	for i := range t.keys {
		if !yield(t.keys[i], t.vals[i]) {
			return
		}
	}
}

// NumberText returns the text of a number as JSON has it, "" for what is none.
func (v Value) NumberText() string {
	if !isNumber(v.Kind()) {
		return ""
	}
	return v.numberText()
}
