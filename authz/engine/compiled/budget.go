package compiled

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// Errors that end an evaluation from outside. To ask another evaluator after
// one of them would help nobody: see [Stopped].
var (
	ErrBudget   = errors.New("the evaluation took more steps than it may")
	ErrDeadline = fmt.Errorf("the evaluation took too long: %w", context.DeadlineExceeded)
)

// Stopped says whether an evaluation was ended from outside (by its budget, its
// deadline or its context) and did not fail by itself.
func Stopped(err error) bool {
	if err == nil {
		return false
	}
	var t *topdown.Error
	return errors.Is(err, ErrBudget) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &t) && t.Code == topdown.CancelErr
}

// lookUp is how often, in steps, clock and context are looked at.
const lookUp = 256

// tick counts a step: of a scan, or a call. It says whether to go on.
func (m *Machine) tick() bool {
	m.steps--
	if m.steps > 0 && m.steps%lookUp != 0 {
		return true
	}
	return m.mayGoOn()
}

func (m *Machine) mayGoOn() bool {
	if m.steps <= 0 {
		m.err = ErrBudget
		return false
	}
	return m.inTime()
}

// inTime looks at the context and the clock.
func (m *Machine) inTime() bool {
	if err := m.ctx.Err(); err != nil {
		m.err = fmt.Errorf("the evaluation was ended: %w", err)
		return false
	}
	if m.timeout > 0 && m.left() <= 0 {
		m.err = ErrDeadline
		return false
	}
	return true
}

// left is how much time is left, counted from the first look at the clock.
func (m *Machine) left() time.Duration {
	now := time.Now()
	if m.deadline.IsZero() {
		m.deadline = now.Add(m.timeout)
	}
	return m.deadline.Sub(now)
}

// canceller makes what OPA's long-running built-ins look at. It trips with the
// context, or at the deadline.
func (m *Machine) canceller() topdown.Cancel {
	c := topdown.NewCancel()
	if m.ctx.Done() != nil {
		m.release = append(m.release, context.AfterFunc(m.ctx, c.Cancel))
	}
	if m.timeout > 0 {
		t := time.AfterFunc(m.left(), c.Cancel)
		m.release = append(m.release, t.Stop)
	}
	return c
}
