package compiled

import (
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// assignment compiles the statements that put a value into a register.
func (c *compiler) assignment(s ir.Stmt) op {
	switch s := s.(type) {
	case *ir.AssignVarStmt:
		to, a := c.register(s.Target), c.operand(s.Source)
		if v := a.constant; a.isConstant() {
			return func(_ *Machine, f []Value) int { f[to] = v; return next }
		}
		return func(_ *Machine, f []Value) int { f[to] = f[a.register]; return next }
	case *ir.AssignVarOnceStmt:
		return c.assignOnce(s)
	case *ir.AssignIntStmt:
		return c.assignConstant(c.register(s.Target), Integer(s.Value))
	case *ir.ResetLocalStmt:
		i := c.register(s.Target)
		return func(_ *Machine, f []Value) int { f[i] = Value{}; return next }
	}
	return nil
}

// The texts of conflicts say which kind it was; the program's user asks OPA's
// evaluator for the whole text, with its place.
const (
	ruleConflict     = "complete rules must not produce multiple outputs"
	functionConflict = "functions must not produce multiple outputs for same inputs"
	objectConflict   = "object keys must be unique"
)

func (m *Machine) conflict(message string) int {
	m.err = &topdown.Error{Code: topdown.ConflictErr, Message: message}
	return failed
}

// assignOnce assigns a result, which must be the same each time. The first
// stays: an equal one may be written otherwise, as 1.0 for 1.
func (c *compiler) assignOnce(s *ir.AssignVarOnceStmt) op {
	to, a := c.register(s.Target), c.operand(s.Source)
	message := ruleConflict
	if c.src != nil && len(c.src.Params) > documents {
		message = functionConflict
	}
	after := c.afterResult(s, a)
	return func(m *Machine, f []Value) int {
		v := a.get(f)
		switch before := f[to]; {
		case !before.Defined():
			f[to] = v
		case !Equal(before, v):
			return m.conflict(message)
		}
		return after
	}
}

// afterResult says where to go on when a result was assigned: away, where all
// that would follow gives the same and cannot fail.
func (c *compiler) afterResult(s *ir.AssignVarOnceStmt, a operand) int {
	if c.src == nil {
		return next
	}
	if s.Target == c.src.Return {
		if c.facts.uniform && c.facts.calm {
			return returned
		}
		return next
	}
	if c.mayLeaveEarly(a) {
		c.p.stats.EarlyExits++
		return settled
	}
	return next
}
