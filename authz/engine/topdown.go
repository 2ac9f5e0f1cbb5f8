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
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
	"github.com/patrol-authz/patrol/authz/input"
)

// Topdown evaluates by OPA's interpreter. It is safe for concurrent use.
//
// It calls package topdown itself: package rego would, for each evaluation,
// begin a transaction, start a goroutine that waits for the caller's end, and
// make a result set of what is one value.
type Topdown struct {
	entries []entry
	builder *input.Builder
	timeout time.Duration
	options Options
	// txn reads the store, which never changes, for as long as the evaluator is
	// in use.
	txn     storage.Transaction
	values  cache.InterQueryValueCache
	queries cache.InterQueryCache
	// indexed: OPA's rule index finds every rule of these modules.
	indexed bool
}

// entry is "data.path = decision", compiled.
type entry struct {
	name     string
	body     ast.Body
	compiler ast.QueryCompiler
}

// result is the variable that an entry binds its value to.
const result = ast.Var("decision")

var _ authz.Evaluator = (*Topdown)(nil)

// NewTopdown prepares the entries of a bundle.
func NewTopdown(ctx context.Context, o Options) (*Topdown, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	txn, err := o.Store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the bundle's data: %w", err)
	}
	t := &Topdown{
		timeout: o.Timeout, options: o, txn: txn,
		values:  cache.NewInterQueryValueCache(ctx, nil),
		queries: cache.NewInterQueryCache(nil),
		indexed: !compiled.Misindexed(o.Compiler),
	}
	fields := make([]*input.Fields, len(o.Decisions))
	for i, path := range o.Decisions {
		e, err := prepare(&o, path)
		if err != nil {
			return nil, fmt.Errorf("prepare the decision %s: %w", path, err)
		}
		t.entries = append(t.entries, e)
		fields[i] = input.FieldsOf(o.Compiler, ast.NewBody(ast.NewExpr(ast.NewTerm(PathRef(path)))))
	}
	build := input.Options{CredentialHeaders: o.CredentialHeaders, ExposeCredential: o.ExposeCredential}
	if !o.AllFields {
		build.Fields = input.Merge(fields...)
	}
	t.builder = input.New(build)
	return t, nil
}

func prepare(o *Options, path string) (entry, error) {
	e := entry{name: path, compiler: o.Compiler.QueryCompiler()}
	var err error
	e.body, err = e.compiler.Compile(ast.NewBody(ast.Equality.Expr(ast.NewTerm(PathRef(path)), ast.NewTerm(result))))
	return e, err
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
	var d authz.Decision
	err = onGrownStack(ctx, func(ctx context.Context) (err error) {
		d, err = t.evaluateInput(ctx, in, f.Now)
		return err
	})
	return d, err
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

// evaluate returns what one entry comes to. A built-in of OPA's that panics,
// which some do over odd arguments, is an error.
func (t *Topdown) evaluate(ctx context.Context, e *entry, in ast.Value, now time.Time) (v ast.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, fmt.Errorf("panic while evaluating: %v", r)
		}
	}()
	ends := topdown.NewCancel()
	defer context.AfterFunc(ctx, ends.Cancel)()
	q := topdown.NewQuery(e.body).WithQueryCompiler(e.compiler).WithCompiler(t.options.Compiler).
		WithStore(t.options.Store).WithTransaction(t.txn).WithInput(ast.NewTerm(in)).WithTime(now).WithCancel(ends).WithIndexing(t.indexed).
		WithRuntime(t.options.Runtime).WithPrintHook(t.options.Print).
		WithInterQueryBuiltinCache(t.queries).WithInterQueryBuiltinValueCache(t.values)
	var value ast.Value
	err = q.Iter(ctx, func(r topdown.QueryResult) error {
		if value != nil {
			return ErrMultiple
		}
		if v := r[result]; v != nil {
			value = v.Value
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case value == nil:
		return nil, ErrUndefined
	}
	return value, nil
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
