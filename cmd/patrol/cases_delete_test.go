package main

import (
	"context"
	"path/filepath"
	"testing"

	opabundle "github.com/open-policy-agent/opa/v1/bundle"
	oparego "github.com/open-policy-agent/opa/v1/rego"

	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/rego"
)

// TestNoDeletedFactOfACaseAllows deletes each key of each input that is refused,
// of each organization of each case, at every depth, in turn: without a fact
// nothing is allowed.
func TestNoDeletedFactOfACaseAllows(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	l, err := opabundle.NewFSLoader(rego.Base())
	if err != nil {
		t.Fatal(err)
	}
	b, err := opabundle.NewCustomReader(l).Read()
	if err != nil {
		t.Fatal(err)
	}
	query, err := oparego.New(oparego.Query("data.patrol.authz.decision.allowed"), oparego.ParsedBundle("base", &b)).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	allowed := func(doc map[string]any) bool {
		rs, err := query.Eval(context.Background(), oparego.EvalInput(doc))
		if err != nil {
			t.Fatal(err)
		}
		return rs.Allowed()
	}
	refused, deleted, later := 0, 0, 0
	run := func(w *world, c *testCase) {
		w.after(t, c.span())
		for i, f := range eachFacts(w, c) {
			doc, err := input.Document(f)
			if err != nil {
				t.Fatal(err)
			}
			delete(doc, "attributes") // the base bundle reads none of it
			if allowed(doc) {
				continue
			}
			refused++
			if i > 0 {
				later++
			}
			without(doc, "", func(path string) {
				deleted++
				if allowed(doc) {
					t.Errorf("%s, its organization %d, is refused, but allowed without %s", c.id, i+1, path)
				}
			})
		}
	}
	for _, c := range loadCases(t) {
		run(w, c)
	}
	for _, c := range ownCases(t) {
		own := startApp(t, nil)
		own.carryOut(t, c.id, c.Inventory)
		run(own, c)
	}
	if later < 3 {
		t.Errorf("only %d of the refused are about a further organization of a request", later)
	}
	if refused < 94 {
		t.Errorf("only %d inputs are refused by Rego", refused)
	}
	count(t, "%d refusals, %d of further organizations, %d deletions", refused, later, deleted)
}

// without deletes each key below a node, calls f, and puts it back.
func without(node any, path string, f func(path string)) {
	switch n := node.(type) {
	case map[string]any:
		for k, v := range n {
			without(v, path+"/"+k, f)
			delete(n, k)
			f(path + "/" + k)
			n[k] = v
		}
	case []any:
		for _, v := range n {
			without(v, path+"/*", f)
		}
	}
}
