package rego_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/patrol-authz/patrol/rego"
)

func files(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := fs.WalkDir(rego.Base(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(name) == ".rego" {
			out[name], err = fs.ReadFile(rego.Base(), name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func load(t *testing.T) *bundle.Bundle {
	t.Helper()
	l, err := bundle.NewFSLoader(rego.Base())
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.NewCustomReader(l).WithProcessAnnotations(true).Read()
	if err != nil {
		t.Fatal(err)
	}
	return &b
}

func modules(b *bundle.Bundle) map[string]*ast.Module {
	out := map[string]*ast.Module{}
	for _, m := range b.Modules {
		out[strings.TrimPrefix(m.Path, "/")] = m.Parsed
	}
	return out
}

func TestEveryFileIsFormatted(t *testing.T) {
	for name, source := range files(t) {
		formatted(t, name, source)
	}
}

func formatted(t *testing.T, name string, source []byte) {
	t.Helper()
	want, err := format.SourceWithOpts(name, source, format.Opts{RegoVersion: ast.RegoV1})
	if err != nil {
		t.Errorf("%s: %v", name, err)
	} else if string(want) != string(source) {
		t.Errorf("%s: run opa fmt; it should be\n%s", name, want)
	}
}

func TestEveryPackageTellsWhatItIsFor(t *testing.T) {
	for name, m := range modules(load(t)) {
		if strings.HasSuffix(name, "_test.rego") {
			continue
		}
		described := false
		for _, a := range m.Annotations {
			described = described || a.Scope == "package" && a.Title != "" && a.Description != ""
		}
		if !described {
			t.Errorf("%s: the package has no METADATA with title and description", name)
		}
	}
}

// TestEveryFolderHasItsTestsBesideIt: who changes a rule finds what holds it in
// the same folder.
func TestEveryFolderHasItsTestsBesideIt(t *testing.T) {
	all := modules(load(t))
	tested := map[string]bool{}
	for name, m := range all {
		for _, r := range m.Rules {
			if strings.HasSuffix(name, "_test.rego") && strings.HasPrefix(string(r.Head.Name), "test_") {
				tested[path.Dir(name)] = true
			}
		}
	}
	for name := range all {
		if folder := path.Dir(name); !tested[folder] && !strings.HasSuffix(name, "_test.rego") {
			t.Errorf("%s has no tests beside it", folder)
		}
	}
}

func compiler(t *testing.T, b *bundle.Bundle) *ast.Compiler {
	t.Helper()
	var schema any
	if err := json.Unmarshal(rego.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, schema)
	c := ast.NewCompiler().WithStrict(true).WithSchemas(set).WithUseTypeCheckAnnotations(true)
	c.Compile(modules(b))
	if c.Failed() {
		t.Fatal(c.Errors)
	}
	return c
}

func TestStrictCheckAgainstTheSchema(t *testing.T) { compiler(t, load(t)) }

// uncovered lines are safe defaults that no valid policy reaches.
var safeDefaults = map[string]bool{}

func TestRegoTestsPassAndCoverEverything(t *testing.T) {
	b := load(t)
	coverage := cover.New()
	store := inmem.NewFromObjectWithOpts(b.Data, inmem.OptReturnASTValuesOnRead(true))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(ctx, txn)
	results, err := tester.NewRunner().SetCompiler(ast.NewCompiler()).SetStore(store).SetModules(modules(b)).
		SetTimeout(time.Minute).SetCoverageQueryTracer(coverage).RunTests(ctx, txn)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for r := range results {
		if r.Pass() {
			passed++
		} else {
			t.Errorf("%s: %s.%s failed: %v", r.Location, r.Package, r.Name, r.Error)
		}
	}
	if passed < 187 {
		t.Errorf("only %d Rego tests passed; there are at least 187", passed)
	}
	report := coverage.Report(modules(b))
	for name, f := range report.Files {
		for _, r := range f.NotCovered {
			if !strings.HasSuffix(name, "_test.rego") && !safeDefaults[name] {
				t.Errorf("%s:%d-%d is reached by no test", name, r.Start.Row, r.End.Row)
			}
		}
	}
	t.Logf("%d Rego tests, coverage %.1f %%", passed, report.Coverage)
}
