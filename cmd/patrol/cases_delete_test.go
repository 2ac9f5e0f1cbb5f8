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

// TestNoDeletedFactOfACaseAllows deletes each key of the input of each case that
// is refused, at every depth, in turn: without a fact nothing is allowed.
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
	refused, deleted := 0, 0
	for _, c := range loadCases(t) {
		w.after(t, c.span())
		o := facts(w, c)
		if o.Facts == nil {
			continue
		}
		doc, err := input.Document(o.Facts)
		if err != nil {
			t.Fatal(err)
		}
		delete(doc, "attributes") // the base bundle reads none of it
		if allowed(doc) {
			continue
		}
		refused++
		without(doc, "", func(path string) {
			deleted++
			if allowed(doc) {
				t.Errorf("%s is refused, but allowed without %s", c.id, path)
			}
		})
	}
	if refused < 82 {
		t.Errorf("only %d cases are refused by Rego", refused)
	}
	count(t, "%d refused cases, %d deletions", refused, deleted)
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
