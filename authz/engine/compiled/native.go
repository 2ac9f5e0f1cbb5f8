package compiled

// natives makes, for each call of a built-in in a program, the function that
// takes its plain case. Some keep something from one call to the next.
var natives = map[string]func() native{}

// register puts native functions of a subject into the table.
func registerNatives(subject map[string]func() native) bool {
	for name, make := range subject {
		natives[name] = make
	}
	return true
}

// stateless is a native function that keeps nothing.
func stateless(f native) func() native { return func() native { return f } }

// notPlain hands a call to OPA.
func notPlain() (Value, bool) { return Value{}, false }

// onText is a function of one string.
func onText(f func(s string) Value) func() native {
	return stateless(func(_ *Machine, a []Value) (Value, bool) {
		if a[0].Kind() != Str {
			return notPlain()
		}
		return f(a[0].Str()), true
	})
}

// onTexts is a function of two strings.
func onTexts(f func(x, y string) Value) func() native {
	return stateless(func(_ *Machine, a []Value) (Value, bool) {
		if a[0].Kind() != Str || a[1].Kind() != Str {
			return notPlain()
		}
		return f(a[0].Str(), a[1].Str()), true
	})
}

// elements are those of an array, or of a set in order.
func elements(v Value) ([]Value, bool) {
	k := v.Kind()
	return v.Elems(), k == Arr || k == Set
}

// isOf says whether a value is of one of some kinds. Where it is not, OPA
// answers: undefined or false, by the built-in.
func isOf(kinds ...Kind) func() native {
	return stateless(func(_ *Machine, a []Value) (Value, bool) {
		for _, k := range kinds {
			if a[0].Kind() == k {
				return True, true
			}
		}
		return notPlain()
	})
}
