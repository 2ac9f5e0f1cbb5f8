package engine_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

// meter measures a benchmark on a machine that is shared, where the clock says
// little: the processor time, and the fastest run of a few evaluations, which
// nobody has interrupted.
type meter struct {
	b      *testing.B
	before int64
	begun  time.Time
	best   time.Duration
	n      int
}

// burst is how many evaluations a run has.
const burst = 32

func newMeter(b *testing.B) *meter { return &meter{b: b, before: used(b), best: time.Hour} }

func used(b *testing.B) int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

// tick notes that an evaluation begins.
func (m *meter) tick() {
	if m.n%burst == 0 {
		now := time.Now()
		if m.n > 0 {
			m.best = min(m.best, now.Sub(m.begun))
		}
		m.begun = now
	}
	m.n++
}

func (m *meter) report() {
	m.b.ReportMetric(float64(used(m.b)-m.before)/float64(m.b.N), "cpu-ns/op")
	if m.best < time.Hour {
		m.b.ReportMetric(float64(m.best.Nanoseconds())/burst, "best-ns/op")
	}
}

func evaluators(b *testing.B) map[string]authz.Evaluator {
	fast := evaluator(b, baseOptions(b, engine.Options{}))
	if fast.Name() != "compiled" {
		b.Fatal(fast.Why())
	}
	return map[string]authz.Evaluator{"compiled": fast, "topdown": base(b, engine.Options{})}
}

// BenchmarkBaseBundle evaluates one request again and again, and requests of
// 4,096 tokens in turns.
func BenchmarkBaseBundle(b *testing.B) {
	for name, e := range evaluators(b) {
		for _, tokens := range []int{1, 4096} {
			b.Run(fmt.Sprintf("%s/tokens=%d", name, tokens), func(b *testing.B) {
				facts := make([]*authz.Facts, tokens)
				for i := range facts {
					facts[i] = frozenFacts(i)
				}
				b.ReportAllocs()
				b.ResetTimer()
				m := newMeter(b)
				defer m.report()
				for i := 0; b.Loop(); i++ {
					m.tick()
					if d, err := e.Evaluate(b.Context(), facts[i%tokens]); err != nil || !d.Allowed {
						b.Fatal(d, err)
					}
				}
			})
		}
	}
}

// frozenFacts are those of one of many tokens.
func frozenFacts(i int) *authz.Facts {
	f := inputtest.Facts()
	f.Token.ID, f.Token.DisplayName = fmt.Sprint("t", i), fmt.Sprint("token ", i)
	f.Organization.Frozen = input.FreezeOrganization(f.Organization)
	f.Current.Frozen = input.FreezeGrants(f.Current.Grants)
	return f
}

// BenchmarkActivation prepares the base bundle, comparison included.
func BenchmarkActivation(b *testing.B) {
	o := baseOptions(b, engine.Options{})
	m := newMeter(b)
	defer m.report()
	for b.Loop() {
		if e := evaluator(b, o); e.Name() != "compiled" {
			b.Fatal(e.Why())
		}
	}
}
