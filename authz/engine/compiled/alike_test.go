package compiled_test

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// TestEqualNumbersAreWrittenAsOPAWritesThem: 1 and 1.0 are one value, and yet a
// text that is made of it differs.
func TestEqualNumbersAreWrittenAsOPAWritesThem(t *testing.T) {
	in := `{"l": [1, 1.0], "m": [1.0, 1], "s": {1.0, 3}, "o": {1.0: "o"}, "one": 1, "real": 1.0}`
	for _, rule := range []string{
		`p := max(input.l)`, `p := max(input.m)`, `p := min(input.l)`, `p := min(input.m)`, `p := max({1, 0} | {1.0})`,
		`p := max([0, 1, 1.0, 0.5])`, `p := sort(input.l)`, `p := sort(input.m)`,
		`p := {k: v | some v in input.l; k := v}`, `p := {k: v | some v in input.m; k := "x"}`, `p := {"k": v | some v in input.l}`,
		`p[k] := v if { some v in input.l; k := v }`, `p.k := v if { some v in input.m }`,
		`p contains v if { some v in input.l }`, `p contains v if { some v in input.m }`, `p := {v | some v in input.m}`,
		`p := object.union({1: 2}, {1.0: "x"})`, `p := object.union({1.0: {1: 1}}, {1: {1.0: 2}})`, `p := object.union(input.o, {1: "x"})`,
		`p := object.union_n([{1: 2}, {1.0: "x"}])`,
		`p := input.s[1]`, `p := input.s[input.one]`, `p := {1, 3}[1.0]`, `p := {1, 3}[input.real]`, `p := q[1.0] if { q := {1, 3} }`, `p := q[input.real]` + "\nq contains x if { some x in [1, 3] }",
		`p := [x | x := input.s[_]]`, `p := [x | some x in input.s; x == 1]`,
		`p := input.o[1]`, `p := [k | input.o[k]; k == 1]`, `p := object.get(input.o, 1, "none")`, `p := object.keys(object.union(input.o, {1: 1}))`,
		`p := input.s | {1}`, `p := {1} | input.s`, `p := input.s & {1}`, `p := {1} & input.s`, `p := input.s - {3.0}`,
		`p := union({{1}, {1.0}})`, `p := intersection({{1, 2}, {1.0, 2}})`, `p := object.remove({1: 1, 2: 2}, {2.0})`, `p := object.filter({1: 1, 2: 2}, [1.0])`,
		`p := array.concat(input.l, input.m)`, `p := x if { x := input.one; x == 1.0 }`, `p := x if { x = input.real; x = 1 }`,
		`p := f(1.0)` + "\nf(x) := x",
		`p := json.marshal({"a": max(input.l), "b": {k: v | some v in input.l; k := v}})`,
		`p := [sprintf("%v", [input.real]), sprintf("%v", [input.one])]`, `p := abs(input.real)`, `p := input.real + 0`, `p := input.real * 1`, `p := round(1.0)`, `p := -1.0 - 0`,
		`p := to_number("1.0")`, `p := to_number(input.real)`, `p := numbers.range(1.0, 2)`, `p := sum(input.l)`, `p := product(input.l)`, `p := count(input.l) / 2`,
	} {
		t.Run(rule, func(t *testing.T) {
			q := &question{modules: map[string]string{"m.rego": "package p\n" + rule}, data: ast.NewObject(), query: "x = data.p.p", inputs: []ast.Value{ast.MustParseTerm(in).Value}}
			counts := map[string]int{}
			if why := q.compare(t, counts); why != "" || counts["same value"]+counts["OPA is asked"] != 1 {
				t.Error(why, counts)
			}
		})
	}
}

// TestWhatIsReplacedBelowData is decided as by OPA, or is not compiled.
func TestWhatIsReplacedBelowData(t *testing.T) {
	data := ast.MustParseTerm(`{"d": {"1": "x", "e": {"1": "y"}, "f": {"h": 2}, "l": ["a"]}, "banned": {"1": true}}`).Value.(ast.Object)
	for _, rules := range []string{
		"banned if data.d[input.k]\np if { not banned with data.d.a as 1 }",
		"banned if data.d.e[input.k]\np if { not banned with data.d.e.a as 1 }",
		"p := x if { x := data.d with data.d.f as {\"g\": 1} }",
		"p := x if { x := data.d.f with data.d.f as {\"g\": 1} }",
		"p := x if { x := data.d.f.h with data.d.f as {\"g\": 1} }",
		"c := data.d\np if { not c.f.h with data.d.f as {} }",
		"p := x if { x := data.d with data.d as {\"1\": \"z\"} }",
		"p := x if { x := data.d[input.k] with data.d as {\"2\": \"z\"} }",
		"p := x if { x := data.d.l[\"0\"] with data.d.m as 1 }",
		"p := x if { x := data.new with data.new.a.b as 1 }",
		"p := x if { x := data.new.a[input.k] with data.new.a as {\"1\": 2} }",
		"p := x if { x := data.d with data.new.a as 1 }",
		"q.a := 1\np := x if { x := q with data.p.q.a as 2 }",
		"q.a := 1\np := x if { x := q with data.p.q.b as 2 }",
		"q.a := 1\nr := data.p.q\np := x if { x := r with data.p.q as {\"z\": 1} }",
		"p := x if { x := data.banned[input.k] with data as {\"banned\": {}} }",
	} {
		t.Run(rules, func(t *testing.T) {
			q := &question{modules: map[string]string{"m.rego": "package p\n" + rules}, data: data, query: "x = data.p.p", inputs: []ast.Value{ast.MustParseTerm(`{"k": 1}`).Value, ast.MustParseTerm(`{"k": "1"}`).Value}}
			if why := q.compare(t, map[string]int{}); why != "" {
				t.Error(why)
			}
		})
	}
}
