package bundles

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// lendSchemas gives an overlay's packages below local.NAME the input's schema
// that the base states for patrol.NAME and what is below it: an operator's rule
// stands beside the base's, reads the same input, and need not repeat what it is.
func lendSchemas(modules map[string]*ast.Module) {
	stated := map[string]*ast.Annotations{}
	for _, m := range modules {
		root, name := place(m)
		for _, a := range m.Annotations {
			if root == rootBase && len(m.Package.Path) == 3 && len(a.Schemas) > 0 && (a.Scope == "package" || a.Scope == "subpackages") {
				stated[name] = a
			}
		}
	}
	told := map[string]bool{} // packages that have an annotation: one is all they may have
	for _, pass := range []bool{true, false} {
		for _, file := range slices.Sorted(maps.Keys(modules)) {
			m := modules[file]
			root, name := place(m)
			from, path := stated[name], m.Package.Path.String()
			if root != rootOverlay || from == nil {
				continue
			}
			for _, a := range m.Annotations {
				if a.Scope == "package" {
					told[path] = true
					if len(a.Schemas) == 0 {
						a.Schemas = from.Schemas
					}
				}
			}
			if !pass && !told[path] {
				told[path] = true
				own := &ast.Annotations{Scope: "package", Schemas: from.Schemas, Location: m.Package.Location}
				m.Annotations = append(m.Annotations, own.Copy(m.Package))
			}
		}
	}
}

// place is the root of a module's package, and the name below it.
func place(m *ast.Module) (root, name string) {
	if len(m.Package.Path) > 2 {
		r, _ := m.Package.Path[1].Value.(ast.String)
		n, _ := m.Package.Path[2].Value.(ast.String)
		return string(r), string(n)
	}
	return "", ""
}
