package compiled

var _ = registerNatives(map[string]func() native{
	"plus":  integers(func(x, y int64) (int64, bool) { return x + y, true }),
	"minus": stateless(minus),
	"mul": integers(func(x, y int64) (int64, bool) {
		const half = 1 << 26 // whose products fit
		return x * y, x > -half && x < half && y > -half && y < half
	}),
	"rem": integers(func(x, y int64) (int64, bool) {
		if x < 0 || y <= 0 {
			return 0, false
		}
		return x % y, true
	}),
	"to_number": stateless(toNumber),
	"sum":       stateless(sum),
	"min":       best(-1),
	"max":       best(1),
})

// integers is a function of two integers; it says whether the result holds.
func integers(f func(x, y int64) (int64, bool)) func() native {
	return stateless(func(_ *Machine, a []Value) (Value, bool) {
		if a[0].Kind() != Int || a[1].Kind() != Int {
			return notPlain()
		}
		n, ok := f(a[0].Int(), a[1].Int())
		return Integer(n), ok && fits(n)
	})
}

// minus is the difference of integers, or of sets.
func minus(m *Machine, a []Value) (Value, bool) {
	switch {
	case a[0].Kind() == Int && a[1].Kind() == Int:
		n := a[0].Int() - a[1].Int()
		return Integer(n), fits(n)
	case a[0].Kind() == Set && a[1].Kind() == Set:
		t, without := m.newTable(true), a[1].table()
		for _, k := range a[0].table().keys {
			if without.find(k) < 0 {
				t.put(m, k, Value{})
			}
		}
		return setValue(t), true
	}
	return notPlain()
}

func toNumber(_ *Machine, a []Value) (Value, bool) {
	switch a[0].Kind() {
	case Int:
		return a[0], true
	case Str:
		n, ok := canonical(a[0].Str())
		return Integer(n), ok
	}
	return notPlain()
}

// sum knows few enough integers that their sum fits.
func sum(_ *Machine, a []Value) (Value, bool) {
	const few = 100
	list, ok := elements(a[0])
	if !ok || len(list) > few {
		return notPlain()
	}
	var n int64
	for _, e := range list {
		if e.Kind() != Int {
			return notPlain()
		}
		n += e.Int()
	}
	return Integer(n), fits(n)
}

// best is the greatest element, or the least: of equal ones, as 1 and 1.0, the
// last.
func best(sign int) func() native {
	return stateless(func(_ *Machine, a []Value) (Value, bool) {
		list, ok := elements(a[0])
		if !ok || len(list) == 0 {
			return notPlain()
		}
		b := list[0]
		for _, e := range list[1:] {
			if sign*Compare(e, b) >= 0 {
				b = e
			}
		}
		return b, true
	})
}
