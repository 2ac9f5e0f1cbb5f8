package shadow_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/shadow"
)

// request is one of Envoy's: it can be read again.
type request struct {
	authz.Request
	size int
}

func (r request) Size() int                     { return r.size }
func (r request) Again() (authz.Request, error) { return r, nil }
func (r request) EachHeader(yield func(name, value string) bool) {
	yield("authorization", "Bearer the-secret-of-the-request")
}

var active, other = &authz.Ruleset{Revision: "1"}, &authz.Ruleset{Revision: "2"}

func refused(reason string) authz.Decision { return authz.Decision{Reason: reason} }

func outcome(id string, d authz.Decision) *authz.Outcome {
	return &authz.Outcome{
		RequestID: id, Request: request{size: 100}, Decision: d, Revision: "1", Time: time.Unix(1, 0),
		Facts: &authz.Facts{Organization: &authz.Organization{Name: "acme"}},
	}
}

// would has a shadow answer the same each time.
func would(d authz.Decision) func(context.Context, *authz.Outcome, authz.Request, *authz.Ruleset, *authz.Ruleset) (authz.Decision, authz.Decision) {
	return func(_ context.Context, o *authz.Outcome, _ authz.Request, a, b *authz.Ruleset) (authz.Decision, authz.Decision) {
		if a != active || b != other {
			panic("other rulesets")
		}
		return o.Decision, d
	}
}

func start(t *testing.T, o shadow.Options) *shadow.Comparer {
	t.Helper()
	c := shadow.New(o)
	t.Cleanup(c.Close)
	return c
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

// series of patrol_shadow_differences_total.
func series(t *testing.T, s *shadow.Comparer) (out []string) {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(s)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "patrol_shadow_differences_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			out = append(out, fmt.Sprintf("{from=%q,to=%q} %v", m.GetLabel()[0].GetValue(), m.GetLabel()[1].GetValue(), m.GetCounter().GetValue()))
		}
	}
	return out
}

func TestDifferencesAreCountedByAnswer(t *testing.T) {
	allowed := authz.Decision{Allowed: true, Reason: "allowed"}
	for name, c := range map[string]struct {
		was, would authz.Decision
		want       string
	}{
		"as before":                   {refused("a"), refused("a"), ""},
		"refused for another reason":  {refused("a"), refused("b"), "a b"},
		"breaks":                      {allowed, refused("b"), "allow b"},
		"starts":                      {refused("a"), allowed, "a allow"},
		"allowed for another reason":  {allowed, authz.Decision{Allowed: true, Reason: "exception"}, ""},
		"with other reasons behind":   {refused("a"), authz.Decision{Reason: "a", Reasons: []string{"a", "b"}}, ""},
		"an error, where it was fine": {allowed, refused(authz.ReasonPolicyError), "allow policy_error"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, shadow.Options{Beside: would(c.would)})
			s.Compare(active, other, 1)
			for i := range 5 {
				s.Record(outcome(fmt.Sprint("r", i), c.was))
			}
			eventually(t, "all are evaluated", func() bool { return s.Counts().Evaluated == 5 })
			got := s.Counts()
			if c.want == "" {
				if got.Different != 0 || len(got.Differences) != 0 {
					t.Fatalf("%+v", got)
				}
				return
			}
			d := got.Differences[0]
			if got.Different != 5 || len(got.Differences) != 1 || d.From+" "+d.To != c.want || d.Requests != 5 {
				t.Fatalf("%+v", got)
			}
			if len(d.Examples) != 3 || d.Examples[2] != (authz.ShadowExample{RequestID: "r4", Organization: "acme", Time: time.Unix(1, 0).UTC()}) {
				t.Errorf("examples: %+v", d.Examples)
			}
			from, to, _ := strings.Cut(c.want, " ")
			if got, want := series(t, s), []string{fmt.Sprintf(`{from=%q,to=%q} 5`, from, to)}; !slices.Equal(got, want) {
				t.Errorf("the metric is %v, not %v", got, want)
			}
		})
	}
}

func TestWhatIsNotComparedIsNotCounted(t *testing.T) {
	changed := func(context.Context, *authz.Outcome, authz.Request, *authz.Ruleset, *authz.Ruleset) (authz.Decision, authz.Decision) {
		return refused("since"), refused("b")
	}
	broken := func(context.Context, *authz.Outcome, authz.Request, *authz.Ruleset, *authz.Ruleset) (authz.Decision, authz.Decision) {
		panic("broken")
	}
	whole := func() *authz.Outcome { return outcome("r", refused("a")) }
	with := func(change func(*authz.Outcome)) *authz.Outcome { o := whole(); change(o); return o }
	for name, c := range map[string]struct {
		beside  func(context.Context, *authz.Outcome, authz.Request, *authz.Ruleset, *authz.Ruleset) (authz.Decision, authz.Decision)
		o       *authz.Outcome
		dropped int64
	}{
		"one of the rules before":            {would(refused("b")), with(func(o *authz.Outcome) { o.Revision = "0" }), 0},
		"one that cannot be read again":      {would(refused("b")), with(func(o *authz.Outcome) { o.Request = nil }), 0},
		"one that is large":                  {would(refused("b")), with(func(o *authz.Outcome) { o.Request = request{size: 33 << 10} }), 1},
		"one on what has changed meanwhile":  {changed, whole(), 1},
		"one at which the shadow breaks off": {broken, whole(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, shadow.Options{Beside: c.beside})
			s.Record(whole()) // there is no shadow yet
			s.Compare(active, other, 1)
			s.Record(c.o)
			eventually(t, "it is left out", func() bool { return s.Counts().Dropped == c.dropped })
			time.Sleep(20 * time.Millisecond)
			if got := s.Counts(); got.Evaluated != 0 || got.Different != 0 || got.Dropped != c.dropped {
				t.Errorf("%+v", got)
			}
			s.Compare(nil, nil, 0)
			s.Record(whole())
			if got := s.Counts(); got.CountedSince != nil || got.Dropped != 0 {
				t.Errorf("after its end: %+v", got)
			}
		})
	}
}

func TestASampleIsAPartOfTheRequests(t *testing.T) {
	s := start(t, shadow.Options{Share: 1, Beside: would(refused("a"))})
	s.Compare(active, other, 0.25)
	const requests = 8000
	for range requests {
		s.Record(outcome("r", refused("a")))
	}
	eventually(t, "the queue is empty", func() bool { c := s.Counts(); return c.Evaluated+c.Dropped > requests/5 })
	time.Sleep(50 * time.Millisecond)
	if c := s.Counts(); c.Evaluated+c.Dropped < requests*22/100 || c.Evaluated+c.Dropped > requests*28/100 {
		t.Errorf("of %d requests %d were in the sample", requests, c.Evaluated+c.Dropped)
	}
}

// A shadow that never comes back delays nobody and keeps no more than its bounds;
// what it cannot keep up with is counted.
func TestAShadowThatIsStuckDelaysNoRequest(t *testing.T) {
	stuck := make(chan struct{})
	var evaluating atomic.Int64
	s := shadow.New(shadow.Options{Beside: func(ctx context.Context, o *authz.Outcome, _ authz.Request, _, _ *authz.Ruleset) (authz.Decision, authz.Decision) {
		evaluating.Add(1)
		select {
		case <-stuck:
		case <-ctx.Done():
		}
		return o.Decision, refused("b")
	}})
	s.Compare(active, other, 1)
	const each, senders = 20000, 4
	var wait sync.WaitGroup
	began := time.Now()
	for range senders {
		wait.Go(func() {
			for range each {
				o := outcome("r", refused("a"))
				s.Record(o)
				if o.Decision.Reason != "a" || o.Decision.Allowed {
					t.Error("the answer was changed")
				}
			}
		})
	}
	wait.Wait()
	took := time.Since(began)
	if took > 20*time.Second || evaluating.Load() > 1 {
		t.Errorf("%d requests took %s, %d were evaluated at a time", each*senders, took, evaluating.Load())
	}
	c := s.Counts()
	if c.Evaluated != 0 || c.Dropped < each*senders-300 || c.Dropped >= each*senders {
		t.Errorf("%+v", c)
	}
	t.Logf("%d requests beside a shadow that is stuck: %s each", each*senders, took/(each*senders))
	// What waits is no more when another begins.
	s.Compare(active, other, 1)
	close(stuck)
	eventually(t, "it goes on", func() bool {
		s.Record(outcome("r", refused("a")))
		return s.Counts().Evaluated > 0
	})
	s.Close()
}

// The processor is left to requests: evaluations take their share of it.
func TestEvaluationsTakeTheirShareOfTheProcessor(t *testing.T) {
	const span = 300 * time.Millisecond
	var busy atomic.Int64
	s := start(t, shadow.Options{Share: 0.1, Beside: func(_ context.Context, o *authz.Outcome, _ authz.Request, _, _ *authz.Ruleset) (authz.Decision, authz.Decision) {
		time.Sleep(2 * time.Millisecond)
		busy.Add(1)
		return o.Decision, o.Decision
	}})
	s.Compare(active, other, 1)
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		s.Record(outcome("r", refused("a")))
	}
	if n := busy.Load(); n < 1 || n > int64(span/(2*time.Millisecond))/4 {
		t.Errorf("%d evaluations of 2 ms in %s", n, span)
	}
}

func TestKindsOfDifferencesAreBounded(t *testing.T) {
	i := 0
	s := start(t, shadow.Options{Share: 1, Beside: func(_ context.Context, o *authz.Outcome, _ authz.Request, _, _ *authz.Ruleset) (authz.Decision, authz.Decision) {
		i++
		return o.Decision, refused(fmt.Sprint("reason_", i))
	}})
	s.Compare(active, other, 1)
	for n := range 250 {
		s.Record(outcome("r", refused("a")))
		eventually(t, "it is evaluated", func() bool { return s.Counts().Evaluated == int64(n+1) })
	}
	if c := s.Counts(); len(c.Differences) != 101 || c.Differences[0].From != "other" || c.Differences[0].Requests != 150 || c.Different != 250 {
		t.Errorf("%d kinds, first %+v", len(c.Differences), c.Differences[0])
	}
	if n := len(series(t, s)); n != 201 {
		t.Errorf("%d series", n)
	}
}

// A secret that somebody sends as a request's id is not shown.
func TestAnExampleHoldsNoSecret(t *testing.T) {
	s := start(t, shadow.Options{Beside: would(refused("b"))})
	s.Compare(active, other, 1)
	for _, id := range []string{"ptl_0123456789abcdef", "the-secret-of-the-request"} {
		s.Record(outcome(id, refused("a")))
	}
	eventually(t, "they are evaluated", func() bool { return s.Counts().Evaluated == 2 })
	for _, e := range s.Counts().Differences[0].Examples {
		if e.RequestID != "[redacted]" {
			t.Errorf("%s is shown", e.RequestID)
		}
	}
}
