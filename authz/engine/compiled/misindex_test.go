package compiled_test

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// The rows that are misindexed come to nothing by OPA's interpreter with its
// index, and to what they say without; the others are the same with and without.
func TestRulesThatOPAsIndexDoesNotFind(t *testing.T) {
	network := func(id string) *ast.Term { return ast.ObjectTerm(ast.Item(ast.StringTerm("id"), ast.StringTerm(id))) }
	networks := ast.ArrayTerm(network("a"), network("b"))
	in := ast.ObjectTerm(
		ast.Item(ast.StringTerm("networks"), networks), ast.Item(ast.StringTerm("banned"), networks),
		ast.Item(ast.StringTerm("ids"), ast.ArrayTerm(ast.StringTerm("a"), ast.StringTerm("b"))),
	)
	for _, row := range []struct {
		rule   string
		misses bool
	}{
		{`p contains net.id if { some net in input.networks; net in input.banned }`, true},
		{`p contains net.id if { some net in input.networks; net in input.networks }`, true},
		{`p contains net.id if { net := input.networks[_]; net in input.banned }`, true},
		{`p contains net.id if { some net in input.networks; listed := input.banned; net in listed }`, true},
		{`p contains id if { some net in input.networks; net in input.banned; id := net.id }`, true},
		{`p contains id if { some id in input.ids; id in input.ids; id in {"a"} }`, true},
		{`p contains net if { some net in input.networks; net in input.banned }`, false},
		{`p contains net.id if { some net in input.networks; net == input.banned[_] }`, false},
		{`p contains net.id if { some net in input.networks; net.id in input.ids }`, false},
		{`p contains id if { some id in input.ids; id in {"a", "b"} }`, false},
		{`p contains id if { some id in input.ids; not id in input.banned; startswith(id, "a") }`, false},
		{`p contains id if { some id in input.ids; id in input.ids; same(id, "a") } same(x, x) := true`, false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			c, err := ast.CompileModules(map[string]string{"p.rego": "package p\n" + row.rule})
			if err != nil {
				t.Fatal(err)
			}
			with, without := interpreted(t, c, in, true), interpreted(t, c, in, false)
			if misses := with != without; misses != row.misses {
				t.Errorf("with the index %s, without %s", with, without)
			}
			if got := compiled.Misindexed(c); got != row.misses {
				t.Errorf("Misindexed: %v", got)
			}
		})
	}
}

func interpreted(t *testing.T, c *ast.Compiler, in *ast.Term, indexed bool) string {
	t.Helper()
	query, err := c.QueryCompiler().Compile(ast.MustParseBody("x = data.p.p"))
	if err != nil {
		t.Fatal(err)
	}
	rs, err := topdown.NewQuery(query).WithCompiler(c).WithStore(inmem.New()).WithInput(in).WithIndexing(indexed).Run(t.Context())
	if err != nil || len(rs) != 1 {
		t.Fatal(rs, err)
	}
	return rs[0]["x"].String()
}
