package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
	"github.com/open-policy-agent/opa/v1/topdown/print"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/input"
)

// Topdown evaluates by OPA's interpreter. It is safe for concurrent use.
type Topdown struct {
	entries []entry
	builder *input.Builder
	timeout time.Duration
	print   print.Hook
	values  cache.InterQueryValueCache
	queries cache.InterQueryCache
}

type entry struct {
	name  string
	query rego.PreparedEvalQuery
}

var _ authz.Evaluator = (*Topdown)(nil)

// NewTopdown prepares the entries of a bundle.
func NewTopdown(ctx context.Context, o Options) (*Topdown, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	t := &Topdown{
		timeout: o.Timeout, print: o.Print,
		values:  cache.NewInterQueryValueCache(ctx, nil),
		queries: cache.NewInterQueryCache(nil),
	}
	fields := make([]*input.Fields, len(o.Decisions))
	for i, path := range o.Decisions {
		query, err := prepare(ctx, &o, path)
		if err != nil {
			return nil, fmt.Errorf("prepare the decision %s: %w", path, err)
		}
		t.entries = append(t.entries, entry{name: path, query: query})
		fields[i] = input.FieldsOf(o.Compiler, ast.NewBody(ast.NewExpr(ast.NewTerm(PathRef(path)))))
	}
	build := input.Options{CredentialHeaders: o.CredentialHeaders, ExposeCredential: o.ExposeCredential}
	if !o.AllFields {
		build.Fields = input.Merge(fields...)
	}
	t.builder = input.New(build)
	return t, nil
}

func prepare(ctx context.Context, o *Options, path string) (rego.PreparedEvalQuery, error) {
	return rego.New(
		rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.NewTerm(PathRef(path))))),
		rego.Compiler(o.Compiler),
		rego.Store(o.Store),
		rego.Runtime(o.Runtime),
		rego.EnablePrintStatements(o.Print != nil),
		// The result stays a term: Decode reads it without a detour.
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }),
	).PrepareForEval(ctx)
}

// PathRef turns a path below data, "patrol/authz/decision", into a reference.
func PathRef(path string) ast.Ref {
	ref := ast.Ref{ast.DefaultRootDocument}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" {
			continue
		}
		if n, err := strconv.Atoi(part); err == nil {
			ref = append(ref, ast.InternedTerm(n))
		} else {
			ref = append(ref, ast.StringTerm(part))
		}
	}
	return ref
}

// Name implements [authz.Evaluator].
func (t *Topdown) Name() string { return "topdown" }

// Fields returns which parts of the input the policy can read.
func (t *Topdown) Fields() *input.Fields { return t.builder.Fields() }

// Evaluate implements [authz.Evaluator].
func (t *Topdown) Evaluate(ctx context.Context, f *authz.Facts) (authz.Decision, error) {
	in, err := t.builder.Value(f)
	if err != nil {
		return authz.Decision{}, fmt.Errorf("build the input: %w", err)
	}
	return t.evaluateInput(ctx, in, f.Now)
}

// evaluateInput evaluates the entries on an input document.
func (t *Topdown) evaluateInput(ctx context.Context, in ast.Value, now time.Time) (authz.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	var whole authz.Decision
	for i := range t.entries {
		d, err := t.decide(ctx, &t.entries[i], in, now)
		if err != nil {
			return authz.Decision{}, fmt.Errorf("evaluate %s: %w", t.entries[i].name, err)
		}
		if whole = together(i, whole, d); !d.Allowed {
			break
		}
	}
	return whole, nil
}

func (t *Topdown) decide(ctx context.Context, e *entry, in ast.Value, now time.Time) (authz.Decision, error) {
	value, err := t.evaluate(ctx, e, in, now)
	if err != nil {
		return authz.Decision{}, err
	}
	return Decode(value)
}

// evaluate returns what one entry comes to.
func (t *Topdown) evaluate(ctx context.Context, e *entry, in ast.Value, now time.Time) (ast.Value, error) {
	results, err := e.query.Eval(ctx,
		rego.EvalParsedInput(in),
		rego.EvalTime(now),
		rego.EvalPrintHook(t.print),
		rego.EvalInterQueryBuiltinCache(t.queries),
		rego.EvalInterQueryBuiltinValueCache(t.values),
	)
	if err != nil {
		return nil, err
	}
	return Single(results)
}

// Errors of results that are no decision.
var (
	ErrUndefined = errors.New("undefined decision")
	ErrMultiple  = errors.New("multiple evaluation results")
)

// Single returns the one value that a query of OPA's came to.
func Single(results rego.ResultSet) (ast.Value, error) {
	switch {
	case len(results) == 0:
		return nil, ErrUndefined
	case len(results) > 1:
		return nil, ErrMultiple
	case len(results[0].Expressions) == 0:
		return nil, ErrUndefined
	}
	value, ok := results[0].Expressions[0].Value.(ast.Value)
	if !ok {
		return nil, fmt.Errorf("the result is a %T", results[0].Expressions[0].Value)
	}
	return value, nil
}
