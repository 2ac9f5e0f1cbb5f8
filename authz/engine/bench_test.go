package engine_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

// cpu measures the processor time of a benchmark: on a machine that is shared
// the clock says little.
func cpu(b *testing.B) func() {
	used := func() int64 {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return r.Utime.Nano() + r.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
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
				defer cpu(b)()
				for i := 0; b.Loop(); i++ {
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
	defer cpu(b)()
	for b.Loop() {
		if e := evaluator(b, o); e.Name() != "compiled" {
			b.Fatal(e.Why())
		}
	}
}
