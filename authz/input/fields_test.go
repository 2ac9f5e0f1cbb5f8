package input_test

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz/input"
)

func TestFieldsThatAPolicyReads(t *testing.T) {
	cases := []struct{ name, rego, want string }{
		{"a path", `d := input.token.kind`, "token/kind"},
		{"cut at a variable", `d := [x | some i; x := input.token.grants[i].entity.name]`, "token/grants"},
		{"cut at a number", `d := input.parsed_path[0]`, "parsed_path"},
		{"a header", `d := input.attributes.request.http.headers["x-a"]`, "attributes/request/http/headers/x-a"},
		{"an alias", `d if { t := input.token; t.kind == "read" }`, "token"},
		{"an import", "import input.token as tok\nd := tok.kind", "token/kind"},
		{"only asked for", `d if not input.token`, "token?"},
		{"asked for and read", `d if { not input.token; input.token.kind }`, "token/kind?"},
		{"asked for and read whole", `d if { input.token; count(input.token) > 1 }`, "token"},
		{"through another rule", "d if r\nr if input.now", "now?"},
		{"through a name that is computed", `d := data.policies[input.organization.token_policy].x`, "organization/token_policy route/access"},
		{"through a function", `d := f(input.token.owner)` + "\nf(x) := x.name", "token/owner"},
		{"in a nested reference", `d := data.table[input.route.access][input.token.kind]`, "route/access token/kind"},
		{"in an else", "d := 1 if input.a == 1 else := 2 if input.b == 2", "a b"},
		{"in a comprehension", `d := {x | x := input.route.organizations[_]}`, "route/organizations"},
		{"in a head", `d := {"a": input.now}`, "now"},
		{"whole", `d := count(input) > 0`, ""},
		{"whole, by walk", `d if { walk(input, [_, "x"]) }`, ""},
		{"whole, by a computed key", `d := [input[k] | some k in ["now"]]`, ""},
		{"with replaces", `d if r with input.token.kind as "x"` + "\nr if input.now", "now?"},
		{"what no one asks for", "d := 1\nother := input", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			compiler := ast.MustCompileModules(map[string]string{
				"a.rego": "package a\n" + c.rego, "p.rego": "package policies.one\nx := input.route.access",
			})
			got := input.FieldsOf(compiler, ast.MustParseBody("data.a.d"))
			whole := c.want == "" && c.name[0:5] == "whole"
			if got.IsAll() != whole || got.String() != c.want {
				t.Errorf("got %q (all: %t), want %q", got, got.IsAll(), c.want)
			}
		})
	}
}

func TestMergedFields(t *testing.T) {
	got := input.Merge(input.Paths("token/kind", "now"), nil, input.Paths("token"))
	if got.String() != "now token" {
		t.Errorf("got %q", got)
	}
	if !input.Merge(input.Paths("now"), input.All()).IsAll() {
		t.Error("everything and a part is not everything")
	}
}
