package compiled

import (
	"cmp"
	"strings"
)

// Equal says whether two values are equal as Rego's == has it.
func Equal(a, b Value) bool {
	if same(a, b) {
		return true
	}
	ka, kb := a.Kind(), b.Kind()
	if ka != kb {
		return isNumber(ka) && isNumber(kb) && compareNumbers(a, b) == 0
	}
	switch ka {
	case Str:
		return a.w == b.w && a.Str() == b.Str()
	case Num:
		return compareNumbers(a, b) == 0
	case Arr:
		return equalElems(a.array().elems, b.array().elems)
	case Obj:
		return equalObjects(a.table(), b.table())
	case Set:
		return equalSets(a.table(), b.table())
	}
	return false // scalars of different words
}

func equalElems(x, y []Value) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !Equal(x[i], y[i]) {
			return false
		}
	}
	return true
}

func equalObjects(x, y *table) bool {
	x.fill()
	y.fill()
	if len(x.keys) != len(y.keys) {
		return false
	}
	for i, k := range x.keys {
		j := y.find(k)
		if j < 0 || !Equal(x.vals[i], y.vals[j]) {
			return false
		}
	}
	return true
}

func equalSets(x, y *table) bool {
	if len(x.keys) != len(y.keys) {
		return false
	}
	for _, k := range x.keys {
		if y.find(k) < 0 {
			return false
		}
	}
	return true
}

// rank is the order of a kind: both kinds of numbers have one.
func rank(k Kind) Kind {
	if k == Num {
		return Int
	}
	return k
}

// Compare orders two values as OPA sorts them.
func Compare(a, b Value) int {
	if same(a, b) {
		return 0
	}
	if c := cmp.Compare(rank(a.Kind()), rank(b.Kind())); c != 0 {
		return c
	}
	switch a.Kind() {
	case Bool:
		return cmp.Compare(a.w, b.w)
	case Int, Num:
		return compareNumbers(a, b)
	case Str:
		return strings.Compare(a.Str(), b.Str())
	case Arr:
		return compareElems(a.array().elems, b.array().elems)
	case Obj:
		return compareObjects(a.table(), b.table())
	case Set:
		x, y := a.table(), b.table()
		x.sort()
		y.sort()
		return compareElems(x.keys, y.keys)
	}
	return 0
}

func compareElems(x, y []Value) int {
	for i := 0; i < len(x) && i < len(y); i++ {
		if c := Compare(x[i], y[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

// compareObjects compares key by key, each with its value, as OPA does.
func compareObjects(x, y *table) int {
	x.sort()
	y.sort()
	for i := 0; i < len(x.keys) && i < len(y.keys); i++ {
		if c := Compare(x.keys[i], y.keys[i]); c != 0 {
			return c
		}
		if c := Compare(x.vals[i], y.vals[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x.keys), len(y.keys))
}
