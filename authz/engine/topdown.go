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
	"github.com/open-policy-agent/opa/v1/topdown/cache"
	"github.com/open-policy-agent/opa/v1/topdown/print"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/input"
)

// DefaultDecision is the entry of patrol's own bundle.
const DefaultDecision = "patrol/authz/decision"

// DefaultTimeout ends an evaluation that takes too long.
const DefaultTimeout = 500 * time.Millisecond

// Options of an evaluator.
type Options struct {
	// Compiler holds the compiled modules of the bundle; required.
	Compiler *ast.Compiler
	// Store holds the bundle's data; required. It must not change while the
	// evaluator is in use: rules and data belong together.
	Store storage.Store
	// Decisions are the entries to evaluate, as paths below data: the first
	// refusal wins, and headers are merged in their order. Default:
	// [DefaultDecision].
	Decisions []string
	// Timeout of one evaluation; default [DefaultTimeout].
	Timeout time.Duration
	// CredentialHeaders and ExposeCredential say which headers policies see;
	// see [input.Options].
	CredentialHeaders []string
	ExposeCredential  bool
	// Runtime is what opa.runtime() gives; may be nil.
	Runtime *ast.Term
	// Print receives what policies print; nil drops it.
	Print print.Hook
	// AllFields builds the whole input, whatever the policy reads.
	AllFields bool
}

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
	if o.Compiler == nil || o.Store == nil {
		return nil, errors.New("an evaluator needs a compiler and a store")
	}
	if len(o.Decisions) == 0 {
		o.Decisions = []string{DefaultDecision}
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
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
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	var whole authz.Decision
	for i := range t.entries {
		d, err := t.evaluate(ctx, &t.entries[i], in, f.Now)
		if err != nil {
			return authz.Decision{}, fmt.Errorf("evaluate %s: %w", t.entries[i].name, err)
		}
		if i == 0 || !d.Allowed {
			whole = merge(whole, d)
		} else {
			whole = join(whole, d)
		}
		if !d.Allowed {
			break
		}
	}
	return whole, nil
}

func (t *Topdown) evaluate(ctx context.Context, e *entry, in ast.Value, now time.Time) (authz.Decision, error) {
	results, err := e.query.Eval(ctx,
		rego.EvalParsedInput(in),
		rego.EvalTime(now),
		rego.EvalPrintHook(t.print),
		rego.EvalInterQueryBuiltinCache(t.queries),
		rego.EvalInterQueryBuiltinValueCache(t.values),
	)
	if err != nil {
		return authz.Decision{}, err
	}
	value, err := Single(results)
	if err != nil {
		return authz.Decision{}, err
	}
	return Decode(value)
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

// merge returns the decision that ends a list: a refusal as it is, except that
// an approval request which an earlier entry asked for is not forgotten.
func merge(before, d authz.Decision) authz.Decision {
	d.RequestApproval = d.RequestApproval || before.RequestApproval
	return d
}

// join returns two allows as one. The later one tells the reason, unless it
// has none to tell.
func join(a, b authz.Decision) authz.Decision {
	if b.Reason == reasonAllowed && a.Reason != "" {
		b.Reason, b.Params = a.Reason, a.Params
	}
	b.Reasons = append(a.Reasons, b.Reasons...)
	b.Next = append(a.Next, b.Next...)
	b.RequestApproval = a.RequestApproval || b.RequestApproval
	b.Anonymous = a.Anonymous || b.Anonymous
	if b.Exception == "" {
		b.Exception = a.Exception
	}
	b.Envoy = joinEnvoy(a.Envoy, b.Envoy)
	return b
}

func joinEnvoy(a, b *authz.EnvoyDecision) *authz.EnvoyDecision {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	joined := *b
	joined.Headers = append(a.Headers, b.Headers...)
	joined.ResponseHeaders = append(a.ResponseHeaders, b.ResponseHeaders...)
	joined.RequestHeadersRemove = append(a.RequestHeadersRemove, b.RequestHeadersRemove...)
	joined.QuerySet = append(a.QuerySet, b.QuerySet...)
	joined.QueryRemove = append(a.QueryRemove, b.QueryRemove...)
	joined.Metadata = map[string]any{}
	for _, m := range []map[string]any{a.Metadata, b.Metadata} {
		for k, v := range m {
			joined.Metadata[k] = v
		}
	}
	return &joined
}
