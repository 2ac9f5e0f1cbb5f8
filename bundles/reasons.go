package bundles

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
)

// leaf returns root, group and name of a package {patrol,local}.{checks,
// policies}.<name>.
func leaf(m *ast.Module) (root, group, name string, ok bool) {
	root, group, name, ok = below(m)
	return root, group, name, ok && (group == "checks" || group == "policies")
}

// below returns root, group and name of a package {patrol,local}.<group>.<name>.
func below(m *ast.Module) (root, group, name string, ok bool) {
	p := m.Package.Path
	if len(p) != 4 {
		return "", "", "", false
	}
	part := func(i int) string { s, _ := p[i].Value.(ast.String); return string(s) }
	root, group, name = part(1), part(2), part(3)
	return root, group, name, root == rootBase || root == rootOverlay
}

// checkReasons sees to it that every reason that can be given is declared:
// reasons are ground strings, so that this can be known before they are met.
func checkReasons(modules map[string]*ast.Module, catalogue authz.Catalogue) []error {
	var errs []error
	for _, m := range modules {
		if _, _, _, ok := leaf(m); !ok {
			continue
		}
		for _, r := range m.Rules {
			for ; r != nil; r = r.Else {
				if ruleName(r) != "reasons" {
					continue
				}
				errs = append(errs, checkReason(r, catalogue)...)
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func ruleName(r *ast.Rule) string {
	if v, ok := r.Head.Ref()[0].Value.(ast.Var); ok {
		return string(v)
	}
	return ""
}

func checkReason(r *ast.Rule, catalogue authz.Catalogue) (errs []error) {
	terms := []*ast.Term{}
	switch {
	case r.Head.Key != nil && r.Head.RuleKind() == ast.MultiValue:
		terms = append(terms, r.Head.Key)
	case r.Head.Value != nil:
		set, ok := r.Head.Value.Value.(ast.Set)
		if !ok {
			return []error{fmt.Errorf("%s: reasons must be a set: write reasons contains \"…\" if …", r.Location)}
		}
		terms = append(terms, set.Slice()...)
	}
	for _, t := range terms {
		s, ok := t.Value.(ast.String)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: the reason %s must be a string written out, so that it can be checked against the catalogue", r.Location, t))
			continue
		}
		entry := catalogue[string(s)]
		if entry == nil {
			errs = append(errs, fmt.Errorf("%s: the reason %q is not declared in the catalogue: add it to local/catalogue/data.json", r.Location, string(s)))
		} else if entry.Allow {
			errs = append(errs, fmt.Errorf("%s: the reason %q is declared as one of an allow", r.Location, string(s)))
		}
	}
	return errs
}

// policiesOf describes the token policies: the packages below
// {patrol,local}.policies that give reasons.
func policiesOf(modules map[string]*ast.Module) ([]authz.TokenPolicy, []error) {
	var errs []error
	by := map[string]*authz.TokenPolicy{}
	for _, m := range modules {
		root, group, name, ok := leaf(m)
		if !ok || group != "policies" {
			continue
		}
		p := by[name]
		if p == nil {
			p = &authz.TokenPolicy{Name: name, Title: name, Root: root}
			by[name] = p
		}
		if p.Root != root {
			errs = append(errs, fmt.Errorf("%s: the token policy %s is there under patrol and under local", m.Package.Location, name))
		}
		describe(p, m.Annotations)
		if !slices.ContainsFunc(m.Rules, func(r *ast.Rule) bool { return ruleName(r) == "reasons" }) {
			errs = append(errs, fmt.Errorf("%s: the token policy %s gives no reasons: write reasons contains \"…\" if …, or reasons := set()", m.Package.Location, name))
		}
	}
	out := make([]authz.TokenPolicy, 0, len(by))
	for _, p := range by {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b authz.TokenPolicy) int { return strings.Compare(a.Name, b.Name) })
	if len(out) == 0 {
		errs = append(errs, fmt.Errorf("the bundle has no token policy"))
	}
	return out, errs
}

func describe(p *authz.TokenPolicy, annotations []*ast.Annotations) {
	for _, a := range annotations {
		if a.Scope != "package" {
			continue
		}
		if a.Title != "" {
			p.Title = a.Title
		}
		if a.Description != "" {
			p.Description = a.Description
		}
		if s, ok := a.Custom["unscoped"].(string); ok {
			p.Unscoped = s
		}
		if s, ok := a.Custom["fine_grained"].(string); ok {
			p.FineGrained = s
		}
	}
}
