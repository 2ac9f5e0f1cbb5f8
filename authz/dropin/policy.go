package dropin

import (
	"context"
	"errors"
	"fmt"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/uuid"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
	"github.com/open-policy-agent/opa/v1/topdown/print"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
	"github.com/patrol-authz/patrol/authz/input"
)

// DefaultTimeout ends an evaluation that takes too long, where Envoy's own
// timeout has not.
const DefaultTimeout = 5 * time.Second

// Options of a policy.
type Options struct {
	Config *Config
	// Compiler and Store hold the bundle's modules and data; required.
	Compiler *ast.Compiler
	Store    storage.Store
	Timeout  time.Duration // default [DefaultTimeout]
	// Runtime is what opa.runtime() gives; may be nil.
	Runtime *ast.Term
	Print   print.Hook
	Clock   func() time.Time // default time.Now
}

// Policy is a bundle prepared for the plugin's way of asking it. It is safe
// for concurrent use.
type Policy struct {
	config      *Config
	query       rego.PreparedEvalQuery
	fields      *input.Fields
	builder     *input.Builder
	descriptors *protoregistry.Files
	timeout     time.Duration
	print       print.Hook
	clock       func() time.Time
	values      cache.InterQueryValueCache
	queries     cache.InterQueryCache
	indexed     bool // OPA's rule index finds every rule
}

var _ authz.Evaluator = (*Policy)(nil)

// New prepares a policy.
func New(ctx context.Context, o Options) (*Policy, error) {
	if o.Config == nil || o.Compiler == nil || o.Store == nil {
		return nil, errors.New("a drop-in policy needs a configuration, a compiler and a store")
	}
	p := &Policy{
		config: o.Config, timeout: o.Timeout, print: o.Print, clock: o.Clock,
		indexed: !compiled.Misindexed(o.Compiler),
		values:  cache.NewInterQueryValueCache(ctx, nil),
		queries: cache.NewInterQueryCache(nil),
	}
	if p.timeout <= 0 {
		p.timeout = DefaultTimeout
	}
	if p.clock == nil {
		p.clock = time.Now
	}
	var err error
	if p.descriptors, err = o.Config.descriptors(); err != nil {
		return nil, err
	}
	body, err := o.Config.body()
	if err != nil {
		return nil, err
	}
	p.query, err = rego.New(
		rego.ParsedQuery(body.Copy()),
		rego.Compiler(o.Compiler),
		rego.Store(o.Store),
		rego.Runtime(o.Runtime),
		rego.EnablePrintStatements(o.Print != nil),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare the drop-in query: %w", err)
	}
	p.fields = input.All()
	if o.Config.Query == "" {
		// A free query may name things in ways that only its compiled form
		// resolves; a path is a plain reference.
		p.fields = input.FieldsOf(o.Compiler, body)
	}
	p.builder = input.New(input.Options{Fields: p.fields, ExposeCredential: true, Descriptors: p.descriptors})
	return p, nil
}

// Result says what came of a request, for metrics and logs.
type Result struct {
	DecisionID string
	Allowed    bool // what Envoy was told
	// Refused: the policy, or the request's form, said no; with DryRun it may
	// be allowed all the same.
	Refused bool
	DryRun  bool
	// Malformed: the request could not be shown to the policy.
	Malformed bool
	// Err is why no decision was made; it never reaches the client.
	Err      error
	Duration time.Duration
}

// CheckBytes is [Policy.Check] on the encoded message; one that can't be
// decoded is denied.
func (p *Policy) CheckBytes(ctx context.Context, wire []byte) (*authv3.CheckResponse, Result) {
	request := &authv3.CheckRequest{}
	if err := proto.Unmarshal(wire, request); err != nil {
		return Undecodable(), Result{DecisionID: decisionID(), Refused: true, Malformed: true, Err: err}
	}
	return p.Check(ctx, request)
}

// Check answers a request. The response is never nil and its status always
// set.
func (p *Policy) Check(ctx context.Context, request *authv3.CheckRequest) (response *authv3.CheckResponse, result Result) {
	start := p.clock()
	result = Result{DecisionID: decisionID(), DryRun: p.config.DryRun}
	defer func() {
		if cause := recover(); cause != nil {
			result.Err = fmt.Errorf("the evaluation panicked: %v", cause)
			result.Allowed = false
			response = Failed(result.DecisionID)
		}
		result.Duration = p.clock().Sub(start)
	}()
	in, err := p.document(request)
	if err != nil {
		result.Refused, result.Malformed, result.Err = true, true, err
		return malformed(err), result
	}
	value, err := p.evaluate(ctx, in, start)
	if err == nil {
		response, result.Refused, err = respond(value)
	}
	if err != nil {
		result.Err = err
		return Failed(result.DecisionID), result
	}
	if p.config.DryRun && result.Refused {
		waive(response)
	}
	result.Allowed = !result.Refused || p.config.DryRun
	identify(response, result.DecisionID)
	return response, result
}

func (p *Policy) evaluate(ctx context.Context, in ast.Value, now time.Time) (ast.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("check request ended before query execution: %w", err)
	}
	results, err := p.query.Eval(ctx,
		rego.EvalParsedInput(in),
		rego.EvalTime(now),
		rego.EvalRuleIndexing(p.indexed),
		rego.EvalPrintHook(p.print),
		rego.EvalInterQueryBuiltinCache(p.queries),
		rego.EvalInterQueryBuiltinValueCache(p.values),
	)
	if err != nil {
		return nil, err
	}
	return engine.Single(results)
}

// Name implements [authz.Evaluator].
func (p *Policy) Name() string { return "topdown" }

// Evaluate implements [authz.Evaluator], so that a drop-in policy has its
// place in a ruleset and can be probed; Envoy is answered by [Policy.Check].
func (p *Policy) Evaluate(ctx context.Context, f *authz.Facts) (authz.Decision, error) {
	in, err := p.builder.Value(f)
	if err != nil {
		return authz.Decision{}, err
	}
	value, err := p.evaluate(ctx, in, f.Now)
	if err != nil {
		return authz.Decision{}, err
	}
	return engine.Decode(value)
}

func decisionID() string { return uuid.Must(uuid.NewV7()).String() }
