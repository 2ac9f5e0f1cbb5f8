package canary

import (
	"fmt"
	"testing"
)

// Trap stands in for a test whose searches are to be seen failing: it keeps
// their complaints and what they want done at the end.
type Trap struct {
	testing.TB
	said  []string
	later []func()
}

// NewTrap returns a trap within a test.
func NewTrap(t testing.TB) *Trap { return &Trap{TB: t} }

// Errorf keeps a complaint, and the test goes on.
func (t *Trap) Errorf(format string, a ...any) { t.said = append(t.said, fmt.Sprintf(format, a...)) }

// Error keeps a complaint, and the test goes on.
func (t *Trap) Error(a ...any) { t.said = append(t.said, fmt.Sprint(a...)) }

// Failed says whether anything was complained of.
func (t *Trap) Failed() bool { return len(t.said) > 0 || t.TB.Failed() }

// Cleanup keeps what is to be done for Spring.
func (t *Trap) Cleanup(f func()) { t.later = append(t.later, f) }

// Spring does what was to be done at the end, the last first, and returns the
// complaints.
func (t *Trap) Spring() []string {
	for len(t.later) > 0 {
		last := t.later[len(t.later)-1]
		t.later = t.later[:len(t.later)-1]
		last()
	}
	return t.said
}
