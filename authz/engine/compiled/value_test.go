package compiled

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// samples are values of all kinds, equal ones in different writings among them.
func samples() []ast.Value {
	texts := []string{
		"null", "false", "true", "0", "1", "-1", "1.0", "1e0", "10e-1", "2.5", "36028797018963967", "36028797018963968", "-36028797018963968",
		"36028797018963967.0", "9007199254740993", "9007199254740993.0", "9007199254740992", "100000000000000000000", "1e20", "1e400", "-0", `""`, `"a"`, `"b"`, `"ab"`, `"é"`,
		"[]", "[1]", "[1.0]", "[1, 2]", "{}", `{"a": 1}`, `{"a": 1.0}`, `{"b": 1}`, `{"a": {"b": [1]}}`, "set()", "{1}", "{1.0}", "{1, 2}", `{"a"}`,
		`{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 10}`, `{1: "x", "1": "y", null: 2}`,
	}
	var out []ast.Value
	for _, s := range texts {
		out = append(out, ast.MustParseTerm(s).Value)
	}
	return out
}

// TestValuesCompareAsOPAs, whatever memory they are in.
func TestValuesCompareAsOPAs(t *testing.T) {
	in := NewInterner()
	all := samples()
	for _, a := range all {
		for _, b := range all {
			for name, pair := range map[string][2]Value{
				"plain": {FromTerm(a), FromTerm(b)}, "frozen": {in.FreezeTerm(a), in.FreezeFacts(b)}, "mixed": {FromTerm(a), in.freeze(FromTerm(b))},
			} {
				x, y := pair[0], pair[1]
				want := a.Compare(b)
				if got := Compare(x, y); got < 0 != (want < 0) || got > 0 != (want > 0) {
					t.Errorf("%s: %v and %v compare as %d, by OPA as %d", name, a, b, got, want)
				}
				if Equal(x, y) != (want == 0) {
					t.Errorf("%s: %v and %v: equal %t", name, a, b, Equal(x, y))
				}
				if want == 0 && hash(x) != hash(y) {
					t.Errorf("%s: %v and %v are equal and hash differently", name, a, b)
				}
			}
		}
		if got := FromTerm(a).String(); got != a.String() {
			t.Errorf("%v became %s", a, got)
		}
		if got := in.freeze(FromTerm(a)).String(); got != a.String() {
			t.Errorf("%v froze to %s", a, got)
		}
	}
}

// TestTablesHoldWhatWasPut, beyond the sizes at which they change their form.
func TestTablesHoldWhatWasPut(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // Repeatable on purpose.
	for _, n := range []int{0, 1, linear, linear + 1, 40, 1000} {
		table, want := &table{}, map[string]int64{}
		for i := range n {
			key := fmt.Sprint("key", r.IntN(n))
			table.put(nil, Text(key), Integer(int64(i)))
			want[key] = int64(i)
			if r.IntN(10) == 0 {
				table.sort()
			}
		}
		for _, in := range []Value{objectValue(table), NewInterner().freeze(objectValue(table)), objectValue(table.clone(nil))} {
			if in.Len() != len(want) {
				t.Errorf("%d: %d members, want %d", n, in.Len(), len(want))
			}
			for k, v := range want {
				if got := in.Get(k); !got.Defined() || got.Int() != v {
					t.Errorf("%d: %s is %v, want %d", n, k, got, v)
				}
			}
			if in.Get("none").Defined() {
				t.Errorf("%d: there is what was not put", n)
			}
			last := ""
			for k := range in.Members {
				if k.Str() <= last {
					t.Errorf("%d: %s comes after %s", n, k.Str(), last)
				}
				last = k.Str()
			}
		}
	}
}

// TestIntegersKeepTheirText: only what is written as an integer is, becomes one.
func TestIntegersKeepTheirText(t *testing.T) {
	for text, kind := range map[string]Kind{
		"0": Int, "7": Int, "-7": Int, "36028797018963967": Int, "-36028797018963968": Int, "36028797018963968": Num, "-0": Num, "01": Num,
		"1.0": Num, "1e2": Num, "+1": Num, "-": Num, "": Num, "123456789012345678901": Num,
	} {
		v := number(text)
		if v.Kind() != kind || v.NumberText() != text {
			t.Errorf("%q: kind %d, text %q", text, v.Kind(), v.NumberText())
		}
	}
}
