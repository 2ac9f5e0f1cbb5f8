package compiled_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// OPA ships what its evaluators must answer: some 4,400 cases, shared by all
// of them, and a few of its interpreter's own.
var suites = []struct {
	name, folder string
	version      ast.RegoVersion
	least        int
}{
	{"v0", "v1/test/cases/testdata/v0", ast.RegoV0, 2027},
	{"v1", "v1/test/cases/testdata/v1", ast.RegoV1, 2400},
	{"topdown", "v1/topdown/testdata/cases", ast.RegoV0, 1},
}

// opaFolder is where the module cache keeps OPA, which ships the cases.
func opaFolder(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa").Output()
	if err != nil {
		t.Fatalf("find OPA's module: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func TestMain(m *testing.M) {
	// A built-in of OPA's own tests.
	rego.RegisterBuiltin1(&rego.Function{Name: "test.sleep", Decl: types.NewFunction(types.Args(types.S), types.NewNull())},
		func(_ rego.BuiltinContext, op *ast.Term) (*ast.Term, error) {
			d, _ := time.ParseDuration(string(op.Value.(ast.String)))
			time.Sleep(d)
			return ast.NullTerm(), nil
		})
	os.Exit(m.Run())
}

// TestConformance runs OPA's cases through both evaluators. The compiled one
// must answer each right or ask OPA: by refusing the program, or by an error.
// Where a case wants an error, it gets the one of OPA, asked again.
func TestConformance(t *testing.T) {
	dir := opaFolder(t)
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			set := cases.MustLoad(filepath.Join(dir, s.folder)).Sorted().Cases
			if len(set) < s.least {
				t.Errorf("there are %d cases, fewer than the %d known ones", len(set), s.least)
			}
			outcomes := map[string]int{}
			var asked []string
			for _, tc := range set {
				// Notes are not unique: file and note are.
				name := filepath.Base(filepath.Dir(tc.Filename)) + "/" + filepath.Base(tc.Filename) + "/" + tc.Note
				for k, v := range tc.Env {
					t.Setenv(k, v)
				}
				c := newCase(t, tc, s.version)
				if why := c.judge(c.topdown(t)); why != "" {
					t.Errorf("%s: OPA's own evaluator: %s", name, why)
				}
				outcome, why := c.compiled(t)
				outcomes[outcome]++
				switch outcome {
				case "wrong":
					t.Errorf("%s: %s", name, why)
				case "refused", "asked":
					asked = append(asked, outcome+" "+name+": "+why)
				}
			}
			sort.Strings(asked)
			t.Logf("%d cases: %v\n%s", len(set), outcomes, strings.Join(asked, "\n"))
			if alone := outcomes["right"] + outcomes["error"]; alone < len(set)*9/10 {
				t.Errorf("only %d of %d cases were evaluated without OPA", alone, len(set))
			}
		})
	}
}

// conformance is one of OPA's cases.
type conformance struct {
	cases.TestCase
	compiler *ast.Compiler
	query    ast.Body
	store    storage.Store
	data     ast.Object
	input    *ast.Term
}

func newCase(t *testing.T, tc cases.TestCase, v ast.RegoVersion) *conformance {
	t.Helper()
	c := &conformance{TestCase: tc}
	o := ast.ParserOptions{RegoVersion: v}
	if tc.ExperimentalKeywords {
		o.Capabilities = ast.CapabilitiesForThisVersion(ast.CapabilitiesExperimentalKeywords(true))
	}
	modules := map[string]string{}
	for i, m := range tc.Modules {
		modules[fmt.Sprintf("test-%d.rego", i)] = m
	}
	c.compiler = ast.MustCompileModulesWithOpts(modules, ast.CompileOpts{ParserOptions: o})
	c.query = ast.MustParseBody(tc.Query)
	c.store, c.data = inmem.New(), ast.NewObject()
	if tc.Data != nil {
		c.store, c.data = inmem.NewFromObject(*tc.Data), ast.MustInterfaceToValue(*tc.Data).(ast.Object)
	}
	if tc.InputTerm != nil {
		c.input = ast.MustParseTerm(*tc.InputTerm)
	} else if tc.Input != nil {
		c.input = ast.NewTerm(ast.MustInterfaceToValue(*tc.Input))
	}
	return c
}

// bindings are the variables of a result.
type bindings map[string]ast.Value

func (c *conformance) topdown(t *testing.T) ([]bindings, error) {
	query, err := c.compiler.QueryCompiler().Compile(c.query)
	if err != nil {
		t.Fatal(err)
	}
	txn := storage.NewTransactionOrDie(t.Context(), c.store)
	defer c.store.Abort(t.Context(), txn)
	rs, err := topdown.NewQuery(query).WithCompiler(c.compiler).WithStore(c.store).WithTransaction(txn).WithInput(c.input).
		WithStrictBuiltinErrors(c.StrictError).WithCancel(topdown.NewCancel()).Run(t.Context())
	var out []bindings
	for _, r := range rs {
		b := bindings{}
		for k, v := range r {
			b[string(k)] = v.Value
		}
		out = append(out, b)
	}
	return out, err
}

func (c *conformance) compiled(t *testing.T) (outcome, why string) {
	p, err := compiled.New(t.Context(), compiled.Options{Compiler: c.compiler, Data: c.data, Query: c.query, Strict: c.StrictError})
	if refusal := (*compiled.Refusal)(nil); errors.As(err, &refusal) {
		return "refused", refusal.Why
	} else if err != nil {
		return "wrong", err.Error()
	}
	for range 2 { // the second time on a used machine
		rs, err := c.evaluate(t.Context(), p)
		if err != nil && !compiled.Stopped(err) {
			if c.WantErrorCode != nil || c.WantError != nil {
				return "error", err.Error() // OPA, asked again, will say it in its own words
			}
			return "asked", err.Error()
		}
		if why := c.judge(rs, err); why != "" {
			return "wrong", why
		}
	}
	return "right", ""
}

func (c *conformance) evaluate(ctx context.Context, p *compiled.Program) ([]bindings, error) {
	m := p.Begin()
	defer m.End()
	call := compiled.Call{}
	if c.input != nil {
		call.Input = m.FromTerm(c.input.Value)
	}
	rs, err := m.Results(ctx, call)
	var out []bindings
	for _, r := range rs {
		b := bindings{}
		r.Members(func(k, v compiled.Value) bool { b[k.Str()] = v.Term(); return true })
		out = append(out, b)
	}
	return out, err
}

// judge says what is wrong with an answer.
func (c *conformance) judge(rs []bindings, err error) string {
	if c.WantErrorCode != nil || c.WantError != nil {
		var e *topdown.Error
		switch {
		case err == nil:
			return fmt.Sprintf("an error is wanted, got %v", rs)
		case c.WantErrorCode != nil && (!errors.As(err, &e) || e.Code != *c.WantErrorCode):
			return fmt.Sprintf("the code %s is wanted, got %v", *c.WantErrorCode, err)
		case c.WantError != nil && !strings.Contains(err.Error(), *c.WantError):
			return fmt.Sprintf("%q is wanted, got %q", *c.WantError, err)
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	if c.WantDefined != nil && (len(rs) > 0) != *c.WantDefined {
		return fmt.Sprintf("got %v", rs)
	}
	if c.WantResult == nil {
		return ""
	}
	want, got := ast.NewSet(), ast.NewSet()
	for _, b := range *c.WantResult {
		o := ast.NewObject()
		for k, v := range b {
			o.Insert(ast.StringTerm(k), ast.NewTerm(ast.MustInterfaceToValue(v)))
		}
		want.Add(ast.NewTerm(o))
	}
	for _, b := range rs {
		o := ast.NewObject()
		for k, v := range b {
			x, err := ast.JSON(v)
			if err != nil {
				return err.Error()
			}
			if c.SortBindings {
				slices.SortFunc(x.([]any), util.Compare)
			}
			if !c.IgnoreGeneratedVars || !strings.HasPrefix(k, "__localq") {
				o.Insert(ast.StringTerm(k), ast.NewTerm(ast.MustInterfaceToValue(x)))
			}
		}
		got.Add(ast.NewTerm(o))
	}
	if want.Compare(got) != 0 {
		return fmt.Sprintf("%v is wanted, got %v", want, got)
	}
	return ""
}
