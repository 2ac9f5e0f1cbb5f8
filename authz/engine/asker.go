package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// Asker evaluates entries of a bundle on inputs of their own. Those that are
// asked often are compiled, and held against OPA's interpreter as decisions are;
// the others, questions that people ask, are the interpreter's, prepared when
// they are first asked.
type Asker struct {
	options   Options
	questions map[string]*question
	mu        sync.Mutex
	prepared  map[string]rego.PreparedEvalQuery
	indexed   bool        // as Topdown has it
	holding   atomic.Bool // an answer is held against the interpreter's meanwhile
}

var _ authz.Asker = (*Asker)(nil)

// question is an entry that is compiled.
type question struct {
	*compiled.Program
	turn atomic.Uint64
	// off: it differed from the interpreter, which serves from then on.
	off atomic.Bool
}

// firstAsks is how many answers of a compiled entry are held against the
// interpreter's before it is one in many: there are no samples of its inputs to
// compare the two on beforehand.
const firstAsks = 8

// NewAsker takes Compiler, Store, Timeout, Watch and Entries, which it compiles,
// from the options of an evaluator. It shares what is frozen of the bundle's
// data with the evaluator beside it, and compiles nothing where that does not.
func NewAsker(ctx context.Context, o Options, beside authz.Evaluator) *Asker {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	a := &Asker{
		options: o, questions: map[string]*question{}, prepared: map[string]rego.PreparedEvalQuery{},
		indexed: !compiled.Misindexed(o.Compiler),
	}
	e, ok := beside.(*Evaluator)
	if !ok || e.Why() != "" || len(e.programs) == 0 {
		return a
	}
	for _, entry := range o.Entries {
		// What is not compiled, for whatever reason, is the interpreter's.
		p, err := compiled.New(ctx, compiled.Options{Compiler: o.Compiler, Entrypoint: PathRef(entry), Beside: e.programs[0].Program})
		if err == nil && len(incomparable(p)) == 0 {
			a.questions[entry] = &question{Program: p}
		}
	}
	return a
}

// Ask implements [authz.Asker].
func (a *Asker) Ask(ctx context.Context, entry string, in, out any) error {
	input, err := inputOf(in)
	if err != nil {
		return fmt.Errorf("build the input of %s: %w", entry, err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.options.Timeout)
	defer cancel()
	answer, err := a.ask(ctx, entry, input, time.Now())
	if err != nil {
		return fmt.Errorf("evaluate %s: %w", entry, err)
	}
	text, err := json.Marshal(answer)
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return fmt.Errorf("read the result of %s: %w", entry, err)
	}
	return nil
}

// inputOf is what a question looks like as JSON.
func inputOf(in any) (ast.Value, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return ast.ValueFromReader(bytes.NewReader(text))
}

func (a *Asker) ask(ctx context.Context, entry string, in ast.Value, now time.Time) (any, error) {
	q := a.questions[entry]
	if q == nil || q.off.Load() {
		return a.interpret(ctx, entry, in, now)
	}
	got, err := q.answer(ctx, in, now, a.options.Timeout)
	var again *failure
	if errors.As(err, &again) {
		a.options.Watch.fallback(again.cause)
		return a.interpret(ctx, entry, in, now)
	}
	if compiled.Stopped(err) {
		return got, err
	}
	turn := q.turn.Add(1)
	switch {
	case turn <= firstAsks: // nothing is known of it yet: the interpreter's counts
		return a.hold(ctx, q, entry, in, now, got, err)
	case turn%uint64(a.options.Watch.every()) == 0 && a.holding.CompareAndSwap(false, true):
		go func() { // off the path of who asked
			defer a.holding.Store(false)
			ctx, cancel := context.WithTimeout(context.Background(), a.options.Timeout) // nothing of who asked, who may be gone
			defer cancel()
			_, _ = a.hold(ctx, q, entry, in, now, got, err)
		}()
	}
	return got, err
}

// hold holds an answer against the interpreter's, which it returns where there
// is one in time. An entry that differs is the interpreter's from then on.
func (a *Asker) hold(ctx context.Context, q *question, entry string, in ast.Value, now time.Time, got any, err error) (any, error) {
	want, wantErr := a.interpret(ctx, entry, in, now)
	if compiled.Stopped(wantErr) {
		return got, err
	}
	a.options.Watch.compared()
	if (err != nil) != (wantErr != nil) || err == nil && !equal(got, want) {
		q.off.Store(true)
		a.options.Watch.difference("the compiled entry "+entry, "they came to different results")
	}
	return want, wantErr
}

// answer evaluates the program. An error that is a [*failure] is no answer.
func (q *question) answer(ctx context.Context, in ast.Value, now time.Time, timeout time.Duration) (any, error) {
	m := q.Begin()
	defer m.End()
	v, err := m.Eval(ctx, compiled.Call{Input: m.FromTerm(in), Now: now, Timeout: timeout})
	switch {
	case err == nil && v.Defined():
		return ast.JSON(v.Term())
	case err == nil, errors.Is(err, compiled.ErrUndefined):
		return nil, ErrUndefined
	case compiled.Stopped(err):
		return nil, err
	}
	return nil, &failure{causeOf(err), err}
}

// equal says whether two results are the same to Rego.
func equal(a, b any) bool {
	x, err := ast.InterfaceToValue(a)
	if err != nil {
		return false
	}
	y, err := ast.InterfaceToValue(b)
	return err == nil && x.Compare(y) == 0
}

// interpret asks OPA's interpreter. A built-in of OPA's that panics is an error.
func (a *Asker) interpret(ctx context.Context, entry string, in ast.Value, now time.Time) (value any, err error) {
	authz.Blocking(ctx)
	defer func() {
		if r := recover(); r != nil {
			value, err = nil, fmt.Errorf("panic while evaluating: %v", r)
		}
	}()
	query, err := a.prepare(ctx, entry)
	if err != nil {
		return nil, fmt.Errorf("prepare it: %w", err)
	}
	results, err := query.Eval(ctx, rego.EvalParsedInput(in), rego.EvalTime(now), rego.EvalRuleIndexing(a.indexed))
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Expressions) == 0 {
		return nil, ErrUndefined
	}
	return results[0].Expressions[0].Value, nil
}

func (a *Asker) prepare(ctx context.Context, entry string) (rego.PreparedEvalQuery, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q, ok := a.prepared[entry]; ok {
		return q, nil
	}
	q, err := rego.New(rego.Query(PathRef(entry).String()), rego.Compiler(a.options.Compiler), rego.Store(a.options.Store)).PrepareForEval(ctx)
	if err == nil {
		a.prepared[entry] = q
	}
	return q, err
}
