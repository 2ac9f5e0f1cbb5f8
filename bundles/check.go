package bundles

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/patrol-authz/patrol/authz"
)

// Report is what the gate says of a candidate.
type Report struct {
	Ruleset  *authz.Ruleset
	Warnings []string
}

// Check sends the base and the bundles at the paths through the gate, and
// activates nothing.
func Check(ctx context.Context, o Options, paths ...string) (*Report, error) {
	o.defaults()
	base, overlays, err := o.read(paths)
	if err != nil {
		return nil, err
	}
	p, err := o.gate(ctx, base, overlays)
	if err != nil {
		return nil, err
	}
	return &Report{p.rules, p.warnings}, nil
}

func (o *Options) read(paths []string) (base *loaded, overlays []*loaded, err error) {
	if base, err = readFS(o.Base); err != nil {
		return nil, nil, fmt.Errorf("the embedded base bundle: %w", err)
	}
	for _, path := range paths {
		l, err := readPath(path)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if l.root == rootBase {
			base = l
		} else {
			overlays = append(overlays, l)
		}
	}
	return base, overlays, nil
}

// TestReport is the result of the Rego tests of a bundle.
type TestReport struct {
	Passed   int      `json:"passed"`
	Failed   []string `json:"failed"`
	Coverage float64  `json:"coverage"` // percent, of the bundles at the paths
	// NotCovered are places FILE:ROW that no test reaches.
	NotCovered []string `json:"not_covered,omitempty"`
}

// Test runs the Rego tests (rules test_… in files …_test.rego) of the bundles
// at the paths, over the base; with no path, those of the base.
func Test(ctx context.Context, o Options, paths ...string) (*TestReport, error) {
	o.defaults()
	base, overlays, err := o.read(paths)
	if err != nil {
		return nil, err
	}
	modules, data, own := map[string]*ast.Module{}, map[string]any{}, map[string]bool{}
	all := append([]*loaded{base}, overlays...)
	for i, b := range all {
		tested := i > 0 || len(overlays) == 0
		for _, m := range b.Modules {
			name := m.Path
			if strings.HasSuffix(name, "_test.rego") && !tested {
				continue
			}
			modules[name], own[name] = m.Parsed, tested && !strings.HasSuffix(name, "_test.rego")
		}
		if err := merge(data, b.Data, ""); err != nil {
			return nil, err
		}
	}
	if _, err := catalogueOf(data, all); err != nil {
		return nil, err
	}
	store := inmem.NewFromObject(data)
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	coverage := cover.New()
	results, err := tester.NewRunner().SetCompiler(ast.NewCompiler().WithCapabilities(capabilities(o.AllowNet))).SetStore(store).SetModules(modules).
		SetTimeout(time.Minute).SetCoverageQueryTracer(coverage).RunTests(ctx, txn)
	if err != nil {
		return nil, err
	}
	out := &TestReport{Failed: []string{}}
	for r := range results {
		if r.Pass() {
			out.Passed++
			continue
		}
		text := fmt.Sprintf("%s: %s.%s", r.Location, r.Package, r.Name)
		if r.Error != nil {
			text += ": " + r.Error.Error()
		}
		out.Failed = append(out.Failed, text)
	}
	out.cover(coverage.Report(modules), own)
	return out, nil
}

func (t *TestReport) cover(report cover.Report, own map[string]bool) {
	covered, all := 0, 0
	for name, f := range report.Files {
		if !own[name] {
			continue
		}
		covered += f.CoveredLines
		all += f.CoveredLines + f.NotCoveredLines
		for _, r := range f.NotCovered {
			t.NotCovered = append(t.NotCovered, fmt.Sprintf("%s:%d", name, r.Start.Row))
		}
	}
	t.Coverage = 100
	if all > 0 {
		t.Coverage = 100 * float64(covered) / float64(all)
	}
}
