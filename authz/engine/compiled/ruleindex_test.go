package compiled_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// TestAnIndexFindsTheRulesThatHold, in their order, among those that have no
// such comparison.
func TestAnIndexFindsTheRulesThatHold(t *testing.T) {
	for name, c := range map[string]struct {
		rego    string
		answers map[string]string
	}{
		"a table": {
			`r := 1 if input.a.b == "1"
			r := 2 if input.a.b == "2"
			r := 3 if { input.x; input.a.b == "3" }
			r := 4 if { "4" == input.a.b }
			r := 4 if { input.a.b == "4"; input.never }
			default r := 0`,
			map[string]string{
				`{"a": {"b": "1"}}`: "1", `{"a": {"b": "2"}}`: "2", `{"a": {"b": "3"}}`: "0", `{"x": 1, "a": {"b": "3"}}`: "3", `{"a": {"b": "4"}}`: "4",
				`{"a": {"b": "5"}}`: "0", `{"a": {"b": 1}}`: "0", `{"a": {}}`: "0", `{}`: "0", `[]`: "0",
			},
		},
		"a set with others between": {
			`r contains "a" if input == "a"
			r contains "1" if input.k == "1"
			r contains "any" if input.any
			r contains "2" if input.k == "2"
			r contains "1b" if input.k == "1"
			r contains "2b" if input.k == "2"
			r contains "3" if input.k == "3"
			r contains "4" if input.k == "4"
			r contains "both" if { input.k == "3"; input.any }`,
			map[string]string{
				`{"k": "2"}`: `{"2", "2b"}`, `{"k": "2", "any": 1}`: `{"2", "2b", "any"}`, `{"k": "3", "any": 1}`: `{"3", "any", "both"}`, `"a"`: `{"a"}`,
				`{"any": 1}`: `{"any"}`, `{"k": "9"}`: "set()",
			},
		},
		"a conflict": {
			`r := 1 if input.k == "1"
			r := 2 if input.k == "2"
			r := 3 if input.k == "3"
			r := 4 if input.k == "4"
			r := 9 if input.x`,
			map[string]string{`{"k": "3"}`: "3", `{"k": "3", "x": 1}`: "conflict", `{"x": 1}`: "9"},
		},
		"else": {
			`r := 1 if input.k == "1" else := 10 if input.e
			r := 2 if input.k == "2"
			r := 3 if input.k == "3"
			r := 4 if input.k == "4"
			r := 5 if input.k == "5"`,
			map[string]string{`{"k": "1"}`: "1", `{"e": 1}`: "10", `{"k": "5"}`: "5", `{"k": "5", "e": 1}`: "conflict"},
		},
		"by another document": {
			`q := 1 if input.k == "1"
			q := 2 if input.k == "2"
			q := 3 if input.k == "3"
			q := 4 if input.k == "4"
			r := [x | some k in ["1", "4", "2", "7"]; x := q with input.k as k]`,
			map[string]string{`{"k": "3"}`: "[1, 4, 2]", `{}`: "[1, 4, 2]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := programOf(t, compiled.Options{}, c.rego)
			if p.Stats().Indexed == 0 {
				t.Error("there is no index")
			}
			for in, want := range c.answers {
				got, err := answer(t.Context(), p, compiled.Call{}, in)
				switch {
				case want == "conflict":
					if err == nil || compiled.Stopped(err) || errors.Is(err, compiled.ErrUndefined) {
						t.Errorf("%s: got %s, %v", in, got, err)
					}
				case err != nil || got != want:
					t.Errorf("%s: got %s, %v; want %s", in, got, err, want)
				}
			}
		})
	}
}

// BenchmarkManyRules looks for one of so many rules.
func BenchmarkManyRules(b *testing.B) {
	for _, n := range []int{10, 100, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var rego strings.Builder
			for i := range n {
				fmt.Fprintf(&rego, "r := %d if { input.path == \"/p%d\"; input.method == \"GET\" }\n", i, i)
			}
			p := programOf(b, compiled.Options{}, rego.String())
			m := p.Begin()
			in := p.Interner().FreezeTerm(m.FromTerm(termOf(fmt.Sprintf(`{"path": "/p%d", "method": "GET"}`, n/2))).Term())
			m.End()
			b.ReportAllocs()
			for b.Loop() {
				m := p.Begin()
				if v, err := m.Eval(b.Context(), compiled.Call{Input: in}); err != nil || !v.Defined() {
					b.Fatal(v, err)
				}
				m.End()
			}
		})
	}
}
