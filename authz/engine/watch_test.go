package engine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

// optionsOf are options with a policy of package patrol.authz.
func optionsOf(t *testing.T, module string) Options {
	t.Helper()
	c, err := ast.CompileModules(map[string]string{"p.rego": "package patrol.authz\n" + module})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Compiler: c, Store: inmem.New()}
}

// tampered is an evaluator whose compiled form is of another policy.
func tampered(t *testing.T, w *Watch, policy, other string) *Evaluator {
	t.Helper()
	o := optionsOf(t, policy)
	o.Watch = w
	e, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := New(t.Context(), optionsOf(t, other))
	if err != nil {
		t.Fatal(err)
	}
	e.programs = wrong.programs
	return e
}

func TestADifferenceAtActivationIsFound(t *testing.T) {
	for name, other := range map[string]string{
		"another outcome": `decision := {"allowed": true, "reason": "a"}`,
		"another reason":  `decision := {"allowed": false, "reason": "b"}`,
		"another member":  `decision := {"allowed": false, "reason": "a", "params": {"x": 1}}`,
		"undefined":       `decision := {"allowed": false, "reason": "a"} if input.nothing`,
		"only for some":   "default decision := {\"allowed\": false, \"reason\": \"a\"}\ndecision := {\"allowed\": true} if input.membership.role == \"no_access\"",
	} {
		t.Run(name, func(t *testing.T) {
			o := optionsOf(t, `decision := {"allowed": false, "reason": "a"}`)
			e := tampered(t, nil, `decision := {"allowed": false, "reason": "a"}`, other)
			if err := e.rehearse(t.Context(), &o); err == nil || errors.Is(err, errTooLong) {
				t.Error("not found")
			}
		})
	}
}

// TestADifferenceInProductionSwitchesOff the compiled policy, and is an alarm.
func TestADifferenceInProductionSwitchesOff(t *testing.T) {
	alarm := make(chan bool, 1)
	compared := 0
	w := NewWatch(WatchOptions{Every: 3, Difference: func() { alarm <- true }, Compared: func() { compared++ }})
	e := tampered(t, w, `decision := {"allowed": false, "reason": "a"}`, `decision := {"allowed": true, "reason": "a"}`)
	for i := range 3 {
		if d, err := e.Evaluate(t.Context(), inputtest.Facts()); err != nil || !d.Allowed {
			t.Fatal(i, d, err)
		}
	}
	select {
	case <-alarm:
	case <-time.After(10 * time.Second):
		t.Fatal("no alarm")
	}
	if e.Name() != "topdown" || !strings.Contains(e.Why(), "differed") {
		t.Errorf("%s: %q", e.Name(), e.Why())
	}
	if d, err := e.Evaluate(t.Context(), inputtest.Facts()); err != nil || d.Allowed {
		t.Errorf("the interpreter does not serve: %+v %v", d, err)
	}
	if err := w.Close(); err != nil || compared != 1 {
		t.Error(err, compared)
	}
}

// TestWhatIsTheSameIsNoAlarm, errors included.
func TestWhatIsTheSameIsNoAlarm(t *testing.T) {
	for name, policy := range map[string]string{
		"a decision": `decision := {"allowed": true, "reasons": ["b", "a"], "params": {"n": 1.0}, "headers": {"x": input.attributes.request.http.path}}`,
		"undefined":  `decision := true if input.nothing`,
		"no shape":   `decision := 1`,
	} {
		t.Run(name, func(t *testing.T) {
			compared := make(chan bool, 100)
			w := NewWatch(WatchOptions{Every: 1, Difference: func() { t.Error("an alarm") }, Compared: func() { compared <- true }})
			o := optionsOf(t, policy)
			o.Watch = w
			e, err := New(t.Context(), o)
			if err != nil || e.Name() != "compiled" {
				t.Fatal(err, e.Why())
			}
			for range 3 {
				_, _ = e.Evaluate(t.Context(), inputtest.Facts())
				<-compared
			}
			w.Close()
			want, err := e.oracle.builder.Value(inputtest.Facts())
			if err != nil || len(w.inputs()) != 3 {
				t.Fatalf("%d inputs are kept, %v", len(w.inputs()), err)
			}
			for _, got := range w.inputs() {
				if ast.Compare(got.input, want) != 0 {
					t.Errorf("kept is %s, and it was %s", got.input, want)
				}
			}
		})
	}
}

// failing is an evaluator whose compiled form fails where the interpreter decides.
func failing(t *testing.T, w *Watch) *Evaluator {
	t.Helper()
	return tampered(t, w, `decision := {"allowed": false, "reason": "a"}`, "decision := {\"allowed\": true, \"reason\": \"b\"} if not input.nothing\ndecision := {\"allowed\": true, \"reason\": \"c\"} if not input.never")
}

// TestWhatOnlyFailsCompiledIsNotEvaluatedTwice for ever.
func TestWhatOnlyFailsCompiledIsNotEvaluatedTwice(t *testing.T) {
	fallbacks := 0
	w := NewWatch(WatchOptions{Every: 1, Fallback: func(string) { fallbacks++ }, Difference: func() { t.Error("an alarm") }})
	defer w.Close()
	e := failing(t, w)
	for i := range mostFailures {
		if e.Name() != "compiled" {
			t.Fatalf("given up after %d", i)
		}
		if d, err := e.Evaluate(t.Context(), inputtest.Facts()); err != nil || d.Allowed || d.Reason != "a" {
			t.Fatal(i, d, err)
		}
	}
	if e.Name() != "topdown" || !strings.Contains(e.Why(), "failed 1000 times") || fallbacks != mostFailures {
		t.Errorf("%s, %q, %d fallbacks", e.Name(), e.Why(), fallbacks)
	}
	o := optionsOf(t, `decision := {"allowed": false, "reason": "a"}`)
	if err := failing(t, nil).rehearse(t.Context(), &o); !errors.Is(err, errFails) {
		t.Errorf("at activation: %v", err)
	}
}

// TestInputsAreKeptWhileTheInterpreterServes, for the next activation.
func TestInputsAreKeptWhileTheInterpreterServes(t *testing.T) {
	for name, e := range map[string]func(*Watch) *Evaluator{
		"as it was asked for": func(w *Watch) *Evaluator {
			o := optionsOf(t, `decision := {"allowed": false, "reason": "a"}`)
			o.Watch, o.Mode = w, ModeTopdown
			e, err := New(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			return e
		},
		"as the program fails": func(w *Watch) *Evaluator { return failing(t, w) },
	} {
		t.Run(name, func(t *testing.T) {
			w := NewWatch(WatchOptions{Every: 2, Compared: func() { t.Error("it was repeated") }})
			defer w.Close()
			served := e(w)
			for range 8 {
				if _, err := served.Evaluate(t.Context(), inputtest.Facts()); err != nil {
					t.Fatal(err)
				}
			}
			for start := time.Now(); len(w.inputs()) < 4; time.Sleep(time.Millisecond) {
				if time.Since(start) > 10*time.Second {
					t.Fatalf("%d inputs are kept", len(w.inputs()))
				}
			}
		})
	}
}
