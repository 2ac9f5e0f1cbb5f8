package bundles

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"

	"github.com/patrol-authz/patrol/authz"
)

// settingsRead are the settings of an organization that rules name:
// input.organization.settings.NAME, or object.get of it. Where an overlay takes the
// organization or its settings as a whole, or computes a name, it may read any.
func settingsRead(modules map[string]*ast.Module) []string {
	read := map[string]bool{}
	for _, m := range modules {
		overlay := len(m.Package.Path) > 1 && m.Package.Path[1].Equal(ast.StringTerm(rootOverlay))
		ast.NewGenericVisitor(func(x any) bool {
			switch x := x.(type) {
			case ast.Ref:
				if at := path(x); !mark(read, at) && overlay && whole(at) {
					read[authz.AnySetting] = true
				}
			case ast.Call:
				return mark(read, gotten(x))
			case *ast.Expr:
				switch terms := x.Terms.(type) {
				case []*ast.Term:
					return mark(read, gotten(terms))
				case *ast.Term: // asks whether it is there
					r, is := terms.Value.(ast.Ref)
					return is && whole(path(r)) && len(path(r)) == len(r)
				}
			}
			return false
		}).Walk(m)
	}
	return slices.Sorted(maps.Keys(read))
}

var settingsPath = []string{"input", "organization", "settings"}

// mark takes down the setting that a path within the input goes to.
func mark(read map[string]bool, path []string) bool {
	if len(path) < 4 || !slices.Equal(path[:3], settingsPath) {
		return false
	}
	read[path[3]] = true
	return true
}

// whole says whether a path ends above any one setting.
func whole(path []string) bool {
	return len(path) > 0 && len(path) <= len(settingsPath) && slices.Equal(path, settingsPath[:len(path)])
}

// path is as much of a reference as is written out.
func path(r ast.Ref) (out []string) {
	for i, t := range r {
		switch v := t.Value.(type) {
		case ast.Var:
			if i > 0 {
				return out
			}
			out = append(out, string(v))
		case ast.String:
			out = append(out, string(v))
		default:
			return out
		}
	}
	return out
}

// gotten is what object.get gets, where that is written out.
func gotten(call []*ast.Term) []string {
	if len(call) < 3 || call[0].String() != ast.ObjectGet.Name {
		return nil
	}
	var from []string
	switch v := call[1].Value.(type) {
	case ast.Ref:
		from = path(v)
	case ast.Var:
		from = []string{string(v)}
	}
	switch v := call[2].Value.(type) {
	case ast.String:
		return append(from, string(v))
	case *ast.Array:
		for i := range v.Len() {
			if key, ok := v.Elem(i).Value.(ast.String); ok {
				from = append(from, string(key))
			}
		}
		return from
	}
	return nil
}

// reviewRules are the names that review rules give: the base's (found) and the
// overlay's (reasons). It is nil where one is computed, so that they are unknown.
func reviewRules(modules map[string]*ast.Module) []string {
	names := map[string]bool{}
	for _, m := range modules {
		rules := map[string]string{"data.patrol.review": "found", "data.local.review": "reasons"}[m.Package.Path.String()]
		for _, r := range m.Rules {
			for ; r != nil && rules != "" && ruleName(r) == rules; r = r.Else {
				for _, t := range given(r) {
					name, ok := named(t)
					if !ok {
						return nil
					}
					names[name] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// given are the members of the set that a rule gives, as they are written.
func given(r *ast.Rule) []*ast.Term {
	switch {
	case r.Head.Key != nil && r.Head.RuleKind() == ast.MultiValue:
		return []*ast.Term{r.Head.Key}
	case r.Head.Value != nil:
		if set, ok := r.Head.Value.Value.(ast.Set); ok {
			return set.Slice()
		}
	}
	return []*ast.Term{r.Head.Value}
}

// named is the rule that a reason of the review names.
func named(t *ast.Term) (string, bool) {
	if t == nil {
		return "", false
	}
	o, ok := t.Value.(ast.Object)
	if !ok {
		return "", false
	}
	rule := o.Get(ast.StringTerm("rule"))
	if rule == nil {
		return "", false
	}
	name, ok := rule.Value.(ast.String)
	return string(name), ok
}

// permissionsOf are those that some role gives; nil where the base has no rule
// that says them.
func permissionsOf(ctx context.Context, compiler *ast.Compiler, store storage.Store) ([]string, error) {
	rs, err := rego.New(rego.Query("data.patrol.lib.permissions"), rego.Compiler(compiler), rego.Store(store), rego.Input(map[string]any{})).Eval(ctx)
	if err != nil {
		return nil, fmt.Errorf("read which permissions there are: %w", err)
	}
	if len(rs) == 0 {
		return nil, nil
	}
	var out []string
	all, _ := rs[0].Expressions[0].Value.([]any)
	for _, p := range all {
		if name, ok := p.(string); ok {
			out = append(out, name)
		}
	}
	return out, nil
}
