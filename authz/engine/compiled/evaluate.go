package compiled

import (
	"context"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ir"
)

// Errors of an evaluation.
var (
	// ErrUndefined is the entrypoint's being undefined.
	ErrUndefined = errors.New("undefined")
	// ErrPanic is a fault of this package's.
	ErrPanic = errors.New("panic while evaluating")
)

// Begin gives a machine for one evaluation. [Machine.End] takes it back.
func (p *Program) Begin() *Machine {
	m, ok := p.machines.Get().(*Machine)
	if !ok {
		m = newMachine(p)
	}
	return m
}

// End takes the machine back. Whatever it gave is invalid from now on.
func (m *Machine) End() {
	if m.broken {
		return
	}
	m.reset()
	m.program.machines.Put(m)
}

// Eval evaluates the entrypoint once. The value may be read until [Machine.End].
//
// Errors are [ErrUndefined], those of [Stopped], and any other: then the caller
// should ask OPA's own evaluator, whose answer, or error with its text and
// place, is the right one.
func (m *Machine) Eval(ctx context.Context, c Call) (Value, error) {
	results, err := m.Results(ctx, c)
	switch {
	case err != nil:
		return Value{}, err
	case len(results) == 0:
		return Value{}, ErrUndefined
	case len(results) > 1:
		return Value{}, errors.New("the entrypoint has several values")
	}
	return results[0].Get(resultName), nil
}

// Results evaluates the query once. Each result is an object of the query's
// variables.
func (m *Machine) Results(ctx context.Context, c Call) (results []Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			// Whatever state the machine is in, nobody shall have it again.
			m.broken = true
			results, err = nil, fmt.Errorf("%w: %v", ErrPanic, r)
		}
	}()
	p := m.program
	m.ctx, m.now, m.timeout, m.steps = ctx, c.Now, c.Timeout, p.options.Budget
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("the evaluation was ended: %w", err)
	}
	m.memos.enter(c.Input, p.data)
	stack := m.stack
	f := m.frame(p.plan.locals)
	f[ir.Input], f[ir.Data] = c.Input, p.data
	p.plan.body(m, f)
	m.stack, m.top = stack, 0
	if m.err == nil && p.options.Strict && len(m.builtinErrs) > 0 {
		m.err = m.builtinErrs[0]
	}
	if m.err != nil {
		return nil, m.err
	}
	return m.results, nil
}
