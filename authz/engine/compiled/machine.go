package compiled

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// Machine is the state of one evaluation: registers, memory, memos, budget. It
// belongs to the goroutine that began it, and goes back to its program's pool
// by [Machine.End]; until then, and no longer, what it gave may be read.
type Machine struct {
	program *Program
	stack   []Value // registers of the live frames
	top     int     // where the next frame begins
	peak    int     // the highest register that was used
	want    int     // registers that an evaluation was short of
	memory  arena
	scratch [maxArguments]Value // arguments of a built-in
	memos   memos
	results []Value
	err     error // why the evaluation failed
	broken  bool  // a panic left it in an unknown state

	ctx      context.Context
	now      time.Time
	timeout  time.Duration
	deadline time.Time // known once the clock was looked at
	steps    int64     // what is left of the budget

	builtins     topdown.BuiltinContext
	builtinsMade bool
	builtinErrs  []error // of built-ins that did not fail the evaluation
	remembered   []remembered
	release      []func() bool // of timers that would cancel built-ins
}

// registers is how many registers a machine starts with.
const registers = 1024

func newMachine(p *Program) *Machine {
	return &Machine{program: p, stack: make([]Value, registers), memos: newMemos(p.memos)}
}

// frame takes n cleared registers. A stack that is too short is replaced; live
// frames keep the old one, and the caller restores it.
func (m *Machine) frame(n int) []Value {
	if m.top+n > len(m.stack) {
		m.stack = make([]Value, 2*len(m.stack)+n)
		m.top, m.want = 0, max(m.want, len(m.stack))
	}
	f := m.stack[m.top : m.top+n : m.top+n]
	m.top += n
	m.peak = max(m.peak, m.top)
	clear(f)
	return f
}

// reset forgets an evaluation, so that nothing of it is kept alive or seen by
// the next.
func (m *Machine) reset() {
	for _, release := range m.release {
		release()
	}
	clear(m.release)
	m.release = m.release[:0]
	m.memory.reset()
	m.memos.reset()
	clear(m.results)
	m.results = m.results[:0]
	clear(m.remembered)
	m.remembered = m.remembered[:0]
	clear(m.stack[:min(m.peak, len(m.stack))])
	if m.want > len(m.stack) {
		m.stack = make([]Value, m.want)
	}
	m.top, m.peak, m.want = 0, 0, 0
	m.err, m.ctx, m.builtinErrs = nil, nil, nil
	m.now, m.deadline, m.timeout = time.Time{}, time.Time{}, 0
	if m.builtinsMade {
		m.builtins, m.builtinsMade = topdown.BuiltinContext{}, false
	}
}
