package compiled

import (
	"math"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// OPA's numbers are texts of any precision. Nearly all that a policy meets are
// small integers in their canonical text, and those become the kind Int: their
// text can be had back exactly. Every other number (1.0, 1e3, twenty digits)
// stays the text it was and is compared by OPA's own function.

// fits says whether an integer fits into a value's payload.
func fits(n int64) bool { return n >= -(1<<(kindShift-1)) && n < 1<<(kindShift-1) }

// Integer returns an integer as a value.
func Integer(n int64) Value {
	if fits(n) {
		return Value{w: word(Int, uint64(n))}
	}
	return numberText(strconv.FormatInt(n, 10))
}

// number makes a number of its JSON text.
func number(text string) Value {
	if n, ok := canonical(text); ok {
		return Value{w: word(Int, uint64(n))}
	}
	return numberText(text)
}

// longest is the length of the longest text of an Int, with its sign.
const longest = 18

// canonical reads an integer that is written as [Integer] would write it.
func canonical(s string) (int64, bool) {
	if len(s) == 0 || len(s) > longest {
		return 0, false
	}
	digits := s
	if s[0] == '-' {
		digits = s[1:]
		if digits == "" || digits[0] == '0' {
			return 0, false // "-0" is a text of its own
		}
	}
	if digits[0] == '0' && len(digits) > 1 {
		return 0, false
	}
	var n int64
	for i := range len(digits) {
		c := digits[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	if s[0] == '-' {
		n = -n
	}
	return n, fits(n)
}

// numberText returns the text of a number of either kind.
func (v Value) numberText() string {
	if v.Kind() == Int {
		return strconv.FormatInt(v.Int(), 10)
	}
	return v.Str()
}

func isNumber(k Kind) bool { return k == Int || k == Num }

func compareNumbers(a, b Value) int {
	if a.Kind() == Int && b.Kind() == Int {
		x, y := a.Int(), b.Int()
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return ast.NumberCompare(ast.Number(a.numberText()), ast.Number(b.numberText()))
}

// exact is the end of the integers that a float64 holds without rounding.
const exact = 1 << 53

// hashNumber agrees for equal numbers, whatever their texts: 1 and 1.0 are one
// key of an object.
func hashNumber(v Value) uint64 {
	if v.Kind() == Int {
		n := v.Int()
		if n > -exact && n < exact {
			return mix(uint64(n))
		}
		return mix(math.Float64bits(float64(n)))
	}
	f, err := strconv.ParseFloat(v.Str(), 64) // out of range: infinity, and an error
	if err == nil && f == math.Trunc(f) && math.Abs(f) < exact {
		return mix(uint64(int64(f)))
	}
	return mix(math.Float64bits(f))
}
