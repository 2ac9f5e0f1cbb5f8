package bundles

import (
	"cmp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
)

// findingsOf describes what the hygiene rules may find: the packages
// {patrol,local}.hygiene.<name> with a rule finding. Of two with one name the
// overlay's counts, as it does where they are asked.
func findingsOf(modules map[string]*ast.Module, data map[string]any) []authz.FindingKind {
	by := map[string]*authz.FindingKind{}
	for _, m := range modules {
		root, group, name, ok := below(m)
		if !ok || group != "hygiene" || !slices.ContainsFunc(m.Rules, func(r *ast.Rule) bool { return ruleName(r) == "finding" }) {
			continue
		}
		if have := by[name]; have != nil && have.Root == rootOverlay {
			continue
		}
		k := &authz.FindingKind{Name: name, Root: root}
		for _, a := range m.Annotations {
			if a.Scope == "package" {
				k.Title, k.Description = cmp.Or(a.Title, k.Title), cmp.Or(a.Description, k.Description)
			}
		}
		by[name] = k
	}
	out := make([]authz.FindingKind, 0, len(by))
	for _, k := range by {
		// What an overlay says of a finding comes first, as in hygiene.setting, and
		// METADATA last: it is for who writes rules.
		ours, base := entry(data, rootOverlay, "findings", k.Name), entry(data, rootBase, "findings", "catalogue", k.Name)
		k.Title = cmp.Or(text(ours, "title"), text(base, "title"), k.Title, k.Name)
		k.Severity = cmp.Or(text(ours, "severity"), text(base, "severity"))
		k.Off = ours["off"] == true || base["off"] == true
		out = append(out, *k)
	}
	slices.SortFunc(out, func(a, b authz.FindingKind) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// entry is an object within data; nil where there is none.
func entry(data map[string]any, path ...string) map[string]any {
	for _, key := range path {
		data, _ = data[key].(map[string]any)
	}
	return data
}

func text(entry map[string]any, key string) string {
	s, _ := entry[key].(string)
	return s
}
