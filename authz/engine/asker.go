package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/patrol-authz/patrol/authz"
)

// Asker evaluates entries of a bundle on inputs of their own, by OPA's
// interpreter: questions that people ask, not requests on their way. An entry
// is prepared when it is first asked for.
type Asker struct {
	options Options
	mu      sync.Mutex
	entries map[string]rego.PreparedEvalQuery
}

var _ authz.Asker = (*Asker)(nil)

// NewAsker takes Compiler, Store and Timeout from the options of an evaluator.
func NewAsker(o Options) *Asker {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return &Asker{options: o, entries: map[string]rego.PreparedEvalQuery{}}
}

// Ask implements [authz.Asker].
func (a *Asker) Ask(ctx context.Context, entry string, in, out any) error {
	query, err := a.entry(ctx, entry)
	if err != nil {
		return fmt.Errorf("prepare %s: %w", entry, err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.options.Timeout)
	defer cancel()
	results, err := query.Eval(ctx, rego.EvalInput(in), rego.EvalTime(time.Now()))
	if err != nil {
		return fmt.Errorf("evaluate %s: %w", entry, err)
	}
	if len(results) != 1 || len(results[0].Expressions) == 0 {
		return fmt.Errorf("evaluate %s: %w", entry, ErrUndefined)
	}
	text, err := json.Marshal(results[0].Expressions[0].Value)
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return fmt.Errorf("read the result of %s: %w", entry, err)
	}
	return nil
}

func (a *Asker) entry(ctx context.Context, name string) (rego.PreparedEvalQuery, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q, ok := a.entries[name]; ok {
		return q, nil
	}
	q, err := rego.New(rego.Query(PathRef(name).String()), rego.Compiler(a.options.Compiler), rego.Store(a.options.Store)).PrepareForEval(ctx)
	if err == nil {
		a.entries[name] = q
	}
	return q, err
}
