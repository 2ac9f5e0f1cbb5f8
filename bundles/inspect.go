package bundles

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Inspected is what a bundle holds; nothing of it was verified.
type Inspected struct {
	Root     string   `json:"root"`
	Revision string   `json:"revision,omitempty"`
	Signed   bool     `json:"signed"` // it has a signature, whosesoever
	Modules  []Module `json:"modules"`
	Data     []string `json:"data"` // where there is data: local/routes
}

// Module is a file of Rego.
type Module struct {
	Path    string `json:"path"`
	Package string `json:"package"`
	Title   string `json:"title,omitempty"` // of its METADATA
}

// Inspect reads what the bundle at a path holds, and judges nothing.
func Inspect(path string) (*Inspected, error) {
	l, err := readPath(path)
	if err != nil {
		return nil, err
	}
	out := &Inspected{Root: l.root, Revision: l.Manifest.Revision, Modules: []Module{}, Data: []string{}}
	if out.Signed, err = signedBy(path); err != nil {
		return nil, err
	}
	for _, m := range l.Modules {
		one := Module{Path: within(&m), Package: strings.TrimPrefix(m.Parsed.Package.Path.String(), "data.")}
		for _, a := range m.Parsed.Annotations {
			if a.Scope == "package" {
				one.Title = a.Title
			}
		}
		out.Modules = append(out.Modules, one)
	}
	slices.SortFunc(out.Modules, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	for root, v := range l.Data {
		below, ok := v.(map[string]any)
		if !ok || len(below) == 0 {
			out.Data = append(out.Data, root)
		}
		for k := range below {
			out.Data = append(out.Data, root+"/"+k)
		}
	}
	slices.Sort(out.Data)
	return out, nil
}

// signatures is where a bundle's signatures are
// (https://www.openpolicyagent.org/docs/management-bundles#signature-format).
const signatures = ".signatures.json"

// signedBy says whether a bundle has a signature, whosesoever. Reading a bundle
// without verifying it leaves them out.
func signedBy(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("read the bundle: %w", err)
	}
	if info.IsDir() {
		return exists(filepath.Join(path, signatures)), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("read the bundle: %w", err)
	}
	defer f.Close()
	return signedTarball(f)
}

// signedTarball says whether a tarball has a signature, whosesoever.
func signedTarball(from io.Reader) (bool, error) {
	z, err := gzip.NewReader(from)
	if err != nil {
		return false, fmt.Errorf("read the bundle: %w", err)
	}
	for r := tar.NewReader(io.LimitReader(z, maxBundle)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read the bundle: %w", err)
		}
		if filepath.Base(h.Name) == signatures {
			return true, nil
		}
	}
}

// Difference is one thing that two bundles have otherwise.
type Difference struct {
	Change string `json:"change"` // added, removed, changed
	What   string `json:"what"`   // module local/checks/a/check.rego, data local/rights/roles
}

// Diff says what the second bundle has otherwise than the first. Rego counts as its
// text, but for how it is formatted; data by value.
func Diff(before, after string) ([]Difference, error) {
	a, err := readPath(before)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", before, err)
	}
	b, err := readPath(after)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", after, err)
	}
	out := []Difference{}
	if a.Manifest.Revision != b.Manifest.Revision {
		out = append(out, Difference{"changed", fmt.Sprintf("revision %q to %q", a.Manifest.Revision, b.Manifest.Revision)})
	}
	modules := func(l *loaded) map[string]*ast.Module {
		all := map[string]*ast.Module{}
		for _, m := range l.Modules {
			all[within(&m)] = m.Parsed
		}
		return all
	}
	out = append(out, differs("module ", modules(a), modules(b), sameModule)...)
	leaves := func(l *loaded) map[string]any { return flat(map[string]any{}, "", l.Data) }
	return append(out, differs("data ", leaves(a), leaves(b), func(x, y any) bool { return reflect.DeepEqual(x, y) })...), nil
}

func differs[T any](kind string, was, is map[string]T, same func(T, T) bool) (out []Difference) {
	names := maps.Clone(was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, had := was[name]
		now, has := is[name]
		switch {
		case !had:
			out = append(out, Difference{"added", kind + name})
		case !has:
			out = append(out, Difference{"removed", kind + name})
		case !same(before, now):
			out = append(out, Difference{"changed", kind + name})
		}
	}
	return out
}

// sameModule compares rules, and what METADATA says of them.
func sameModule(a, b *ast.Module) bool {
	if !a.Equal(b) || len(a.Comments) != len(b.Comments) {
		return false
	}
	for i := range a.Comments {
		if !bytes.Equal(a.Comments[i].Text, b.Comments[i].Text) {
			return false
		}
	}
	return true
}

// flat lists values by their path; a list is a value.
func flat(into map[string]any, path string, v any) map[string]any {
	object, ok := v.(map[string]any)
	if !ok || len(object) == 0 {
		if path != "" {
			into[path] = v
		}
		return into
	}
	for k, below := range object {
		flat(into, strings.TrimPrefix(path+"/"+k, "/"), below)
	}
	return into
}
