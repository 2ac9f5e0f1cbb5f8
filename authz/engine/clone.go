package engine

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// clone copies a document with its texts, so that it outlives the request
// whose bytes they may be.
func clone(v ast.Value) ast.Value {
	switch v := v.(type) {
	case ast.String:
		return ast.String(strings.Clone(string(v)))
	case ast.Number:
		return ast.Number(strings.Clone(string(v)))
	case *ast.Array:
		terms := make([]*ast.Term, 0, v.Len())
		v.Foreach(func(t *ast.Term) { terms = append(terms, cloneTerm(t)) })
		return ast.NewArray(terms...)
	case ast.Object:
		items := make([][2]*ast.Term, 0, v.Len())
		v.Foreach(func(k, x *ast.Term) { items = append(items, [2]*ast.Term{cloneTerm(k), cloneTerm(x)}) })
		return ast.NewObject(items...)
	case ast.Set:
		terms := make([]*ast.Term, 0, v.Len())
		v.Foreach(func(t *ast.Term) { terms = append(terms, cloneTerm(t)) })
		return ast.NewSet(terms...)
	}
	return v
}

func cloneTerm(t *ast.Term) *ast.Term { return ast.NewTerm(clone(t.Value)) }
