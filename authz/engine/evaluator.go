package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
	"github.com/patrol-authz/patrol/authz/input"
)

// Evaluator evaluates by compiled programs, and by OPA's interpreter where that
// has to be: a policy that is not compiled, an evaluation that fails, and for
// good once the two were found to differ. It is safe for concurrent use.
type Evaluator struct {
	oracle   *Topdown
	programs []program
	views    sync.Pool
	watch    *Watch
	turn     atomic.Uint64
	failures atomic.Uint32 // of the programs, one after the other
	// why the interpreter serves; nil while the programs do.
	why atomic.Pointer[string]
}

// program is the compiled form of one entry.
type program struct {
	name string
	*compiled.Program
}

var _ authz.Evaluator = (*Evaluator)(nil)

// New prepares the entries of a bundle: for the interpreter, and compiled where
// that can be and where both come to the same on sample inputs. [Evaluator.Why]
// tells what came of it.
func New(ctx context.Context, o Options) (*Evaluator, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	oracle, err := NewTopdown(ctx, o)
	if err != nil {
		return nil, err
	}
	e := &Evaluator{oracle: oracle, watch: o.Watch}
	e.views.New = func() any { return &input.View{} }
	why, err := e.prepare(ctx, &o)
	if err != nil {
		return nil, err
	}
	if why != "" {
		if o.Mode == ModeCompiled {
			return nil, fmt.Errorf("the policy is to be compiled, and is not: %s", why)
		}
		e.why.Store(&why)
	}
	return e, nil
}

// prepare compiles the entries and compares them. It returns why the
// interpreter has to serve, where it has to.
func (e *Evaluator) prepare(ctx context.Context, o *Options) (why string, err error) {
	if o.Mode == ModeTopdown {
		return "it was asked for", nil
	}
	if why, err = e.compile(ctx, o); err != nil || why != "" {
		return why, err
	}
	err = e.rehearse(ctx, o)
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, errTooLong), errors.Is(err, errFails):
		return err.Error(), nil
	}
	e.watch.difference("the compiled policy", err.Error())
	return "the compiled policy and OPA's interpreter differ: " + err.Error(), nil
}

// compile compiles the entries. It returns why not, where it refuses to.
func (e *Evaluator) compile(ctx context.Context, o *Options) (why string, err error) {
	if o.Print != nil {
		return "what the policy prints is to be shown", nil
	}
	data, err := document(ctx, o.Store)
	if err != nil {
		return "", fmt.Errorf("read the bundle's data: %w", err)
	}
	values, queries := cache.NewInterQueryValueCache(ctx, nil), cache.NewInterQueryCache(nil)
	interner := compiled.NewInterner()
	for _, path := range o.Decisions {
		p, err := o.program(ctx, compiled.Options{
			Compiler: o.Compiler, Data: data, Entrypoint: PathRef(path), Runtime: o.Runtime,
			ValueCache: values, QueryCache: queries, Interner: interner,
		})
		if refusal := (*compiled.Refusal)(nil); errors.As(err, &refusal) {
			return refusal.Why, nil
		} else if err != nil {
			return "", fmt.Errorf("compile the decision %s: %w", path, err)
		}
		if calls := incomparable(p); len(calls) > 0 {
			return "it calls what may answer otherwise each time: " + strings.Join(calls, ", "), nil
		}
		e.programs = append(e.programs, program{path, p})
	}
	return "", nil
}

// document reads the whole of a store.
func document(ctx context.Context, s storage.Store) (ast.Object, error) {
	root, err := storage.ReadOne(ctx, s, storage.Path{})
	if err != nil {
		return nil, err
	}
	v, ok := root.(ast.Value)
	if !ok {
		if v, err = ast.InterfaceToValue(root); err != nil {
			return nil, err
		}
	}
	data, ok := v.(ast.Object)
	if !ok {
		return nil, fmt.Errorf("it is %s", ast.ValueName(v))
	}
	return data, nil
}

// incomparable are the built-ins whose answers can't be held against another
// evaluator's. The clock is the facts' own, and the runtime is given.
func incomparable(p *compiled.Program) []string {
	var names []string
	for _, name := range p.Nondeterministic() {
		switch name {
		case ast.NowNanos.Name, ast.JWTDecodeVerify.Name, ast.OPARuntime.Name:
		default:
			names = append(names, name)
		}
	}
	return names
}

// Name implements [authz.Evaluator]: compiled or topdown, as it is now.
func (e *Evaluator) Name() string {
	if e.why.Load() != nil {
		return "topdown"
	}
	return "compiled"
}

// Why returns why OPA's interpreter serves, "" where the compiled policy does.
func (e *Evaluator) Why() string {
	if why := e.why.Load(); why != nil {
		return *why
	}
	return ""
}

// Fields returns which parts of the input the policy can read.
func (e *Evaluator) Fields() *input.Fields { return e.oracle.Fields() }

// Evaluate implements [authz.Evaluator].
func (e *Evaluator) Evaluate(ctx context.Context, f *authz.Facts) (authz.Decision, error) {
	if e.why.Load() != nil {
		return e.interpret(ctx, f)
	}
	d, err := e.run(ctx, f)
	if err != nil {
		var again *failure
		if errors.As(err, &again) {
			e.failed(again.cause)
			return e.interpret(ctx, f)
		}
	}
	if e.failures.Load() != 0 {
		e.failures.Store(0)
	}
	if e.watch.due(&e.turn) {
		e.watch.submit(e, f, d, err)
	}
	return d, err
}

// interpret leaves an evaluation to the interpreter. Of its inputs, too, some
// are kept for the next activation.
func (e *Evaluator) interpret(ctx context.Context, f *authz.Facts) (authz.Decision, error) {
	if e.watch.due(&e.turn) {
		e.watch.keep(e, f)
	}
	return e.oracle.Evaluate(ctx, f)
}

// mostFailures is how many evaluations by the programs may fail one after the
// other: what always fails is evaluated twice for nothing.
const mostFailures = 1000

func (e *Evaluator) failed(cause string) {
	e.watch.fallback(cause)
	if e.failures.Add(1) == mostFailures {
		e.distrust(fmt.Sprintf("compiled it failed %d times, one after the other", mostFailures))
		e.watch.givenUp(mostFailures, cause)
	}
}

// distrust makes the interpreter serve from now on.
func (e *Evaluator) distrust(why string) { e.why.CompareAndSwap(nil, &why) }

// run evaluates by the programs. An error that is a [*failure] is no answer.
func (e *Evaluator) run(ctx context.Context, f *authz.Facts) (authz.Decision, error) {
	var whole authz.Decision
	for i := range e.programs {
		d, err := e.decide(ctx, &e.programs[i], f)
		if err != nil {
			return authz.Decision{}, fmt.Errorf("evaluate %s: %w", e.programs[i].name, err)
		}
		if whole = together(i, whole, d); !d.Allowed {
			break
		}
	}
	return whole, nil
}

// decide evaluates one program. What it came to is read before the machine
// goes back.
func (e *Evaluator) decide(ctx context.Context, p *program, f *authz.Facts) (authz.Decision, error) {
	m := p.Begin()
	defer m.End()
	view, _ := e.views.Get().(*input.View)
	defer e.giveBack(view)
	in, err := view.Reset(e.oracle.builder, m, f)
	if err != nil {
		return authz.Decision{}, fmt.Errorf("build the input: %w", err)
	}
	v, err := m.Eval(ctx, compiled.Call{Input: in, Now: f.Now, Timeout: e.oracle.timeout})
	switch {
	case err == nil:
		return decode(v)
	case errors.Is(err, compiled.ErrUndefined):
		return authz.Decision{}, ErrUndefined
	case compiled.Stopped(err):
		return authz.Decision{}, err
	}
	return authz.Decision{}, &failure{causeOf(err), err}
}

func (e *Evaluator) giveBack(v *input.View) {
	v.Clear()
	e.views.Put(v)
}

// failure is an evaluation that OPA's interpreter has to repeat.
type failure struct {
	cause string // for the metric: one of a few
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func causeOf(err error) string {
	var t *topdown.Error
	switch {
	case errors.As(err, &t) && t.Code == topdown.ConflictErr:
		return "conflict"
	case errors.As(err, &t):
		return "builtin"
	case errors.Is(err, compiled.ErrPanic):
		return "panic"
	}
	return "other"
}
