package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
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

// programOf compiles another policy than the options have: the fault that the
// watch is for. A budget of 0 is the usual one.
func programOf(t *testing.T, module string, budget int64) func(context.Context, compiled.Options) (*compiled.Program, error) {
	t.Helper()
	other := optionsOf(t, module).Compiler
	return func(ctx context.Context, o compiled.Options) (*compiled.Program, error) {
		o.Compiler, o.Budget = other, budget
		return compiled.New(ctx, o)
	}
}

// tampered is an evaluator that went into service, and whose compiled form is of
// another policy.
func tampered(t *testing.T, o Options, other string, budget int64) *Evaluator {
	t.Helper()
	e, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := programOf(t, other, budget)(t.Context(), compiled.Options{Entrypoint: PathRef(DefaultDecision)})
	if err != nil {
		t.Fatal(err)
	}
	e.programs = []program{{DefaultDecision, p}}
	return e
}

// refusing is the policy of most tests here.
const refusing = `decision := {"allowed": false, "reason": "a"}`

// said is a line of a log.
type said struct{ Level, Msg, Difference string }

// logged is a log and what it says, which is JSON: a line each.
func logged(t *testing.T) (*slog.Logger, func() []said) {
	var text bytes.Buffer
	return slog.New(slog.NewJSONHandler(&text, nil)), func() (lines []said) {
		t.Helper()
		for d := json.NewDecoder(bytes.NewReader(text.Bytes())); d.More(); {
			var line said
			if err := d.Decode(&line); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		return lines
	}
}

// TestADifferenceAtActivationLeavesTheInterpreterServing, and is an alarm,
// whichever of the sample inputs shows it. A policy that has to be compiled is
// not activated.
func TestADifferenceAtActivationLeavesTheInterpreterServing(t *testing.T) {
	some := func(condition string) string {
		return "default decision := {\"allowed\": false, \"reason\": \"a\"}\ndecision := {\"allowed\": true} if " + condition
	}
	const onFacts, onDocument, onRecorded = "on made-up facts", "on a made-up input", "on an input of before"
	for name, c := range map[string]struct{ other, shown string }{
		"another outcome":        {`decision := {"allowed": true, "reason": "a"}`, onFacts},
		"another reason":         {`decision := {"allowed": false, "reason": "b"}`, onFacts},
		"another member":         {`decision := {"allowed": false, "reason": "a", "params": {"x": 1}}`, onFacts},
		"undefined":              {`decision := {"allowed": false, "reason": "a"} if input.nothing`, onFacts},
		"only for some facts":    {some(`input.membership.role == "no_access"`), onFacts},
		"only for the schema's":  {some("input.only_in_the_schema"), onDocument},
		"only for what was seen": {some("input.only_in_production"), onRecorded},
		"only when it was seen":  {some("time.now_ns() == 7"), onRecorded},
	} {
		t.Run(name, func(t *testing.T) {
			alarms := 0
			log, lines := logged(t)
			w := NewWatch(WatchOptions{Log: log, Difference: func() { alarms++ }})
			defer w.Close()
			w.record(recorded{ast.MustParseTerm(`{"only_in_production": true}`).Value, time.Unix(0, 7)})
			o := optionsOf(t, refusing)
			o.Watch, o.program = w, programOf(t, c.other, 0)
			o.Schema = []byte(`{"type": "object", "properties": {"only_in_the_schema": {"const": true}}}`)
			e, err := New(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if d, err := e.Evaluate(t.Context(), inputtest.Facts()); err != nil || d.Allowed || d.Reason != "a" {
				t.Errorf("it decides %+v, %v", d, err)
			}
			why, is := strings.CutPrefix(e.Why(), "the compiled policy and OPA's interpreter differ: ")
			if e.Name() != "topdown" || !is || !strings.HasPrefix(why, c.shown) || alarms != 1 {
				t.Errorf("%s serves: %q; %d alarms", e.Name(), e.Why(), alarms)
			}
			if got := lines(); len(got) != 1 || got[0].Level != "ERROR" || got[0].Difference != why ||
				got[0].Msg != "the compiled policy is switched off: it differs from OPA's interpreter, which serves from now on" {
				t.Errorf("the log says %+v", got)
			}
			o.Mode = ModeCompiled
			if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.shown) {
				t.Errorf("where it has to be compiled: %v", err)
			}
		})
	}
}

// TestADifferenceInProductionSwitchesOff the compiled policy, and is an alarm.
func TestADifferenceInProductionSwitchesOff(t *testing.T) {
	alarm := make(chan bool, 1)
	compared := 0
	log, lines := logged(t)
	w := NewWatch(WatchOptions{Every: 3, Log: log, Difference: func() { alarm <- true }, Compared: func() { compared++ }})
	o := optionsOf(t, refusing)
	o.Watch = w
	e := tampered(t, o, `decision := {"allowed": true, "reason": "a"}`, 0)
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
	if got := lines(); len(got) != 1 || got[0].Level != "ERROR" || got[0].Difference != "a (allowed false) by the interpreter, and compiled a (allowed true)" {
		t.Errorf("the log says %+v", got)
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
	o := optionsOf(t, refusing)
	o.Watch = w
	return tampered(t, o, "decision := {\"allowed\": true, \"reason\": \"b\"} if not input.nothing\ndecision := {\"allowed\": true, \"reason\": \"c\"} if not input.never", 0)
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
	o := optionsOf(t, refusing)
	if err := failing(t, nil).rehearse(t.Context(), &o); !errors.Is(err, errFails) {
		t.Errorf("at activation: %v", err)
	}
}

// TestWhatIsStoppedIsAnErrorAndNotEvaluatedAgain: the interpreter, which would
// allow at once, is not asked.
func TestWhatIsStoppedIsAnErrorAndNotEvaluatedAgain(t *testing.T) {
	const slow = `decision := count([1 | n := numbers.range(1, 300); some a in n; some b in n; some c in n; some d in n; a + b + c + d < 0]) > 0`
	for name, c := range map[string]struct {
		timeout time.Duration
		budget  int64
		ended   bool // before it began
		says    error
	}{
		"its time is up":      {timeout: 30 * time.Millisecond, budget: 1 << 60, says: context.DeadlineExceeded},
		"its budget is spent": {timeout: time.Minute, budget: 1000, says: compiled.ErrBudget},
		"who asks has gone":   {timeout: time.Minute, budget: 1 << 60, ended: true, says: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			again := 0
			w := NewWatch(WatchOptions{Every: 1, Fallback: func(string) { again++ }, Compared: func() { again++ }})
			o := optionsOf(t, `decision := true`)
			o.Watch, o.Timeout = w, time.Minute // at activation
			e := tampered(t, o, slow, c.budget)
			e.oracle.timeout = c.timeout
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.ended {
				cancel()
			}
			if d, err := e.Evaluate(ctx, inputtest.Facts()); !errors.Is(err, c.says) || !compiled.Stopped(err) || d.Allowed {
				t.Errorf("it decides %+v, %v", d, err)
			}
			if w.Close(); again != 0 || e.Name() != "compiled" {
				t.Errorf("it was evaluated again %d times; %s serves", again, e.Name())
			}
		})
	}
}

// TestInputsAreKeptWhileTheInterpreterServes, for the next activation.
func TestInputsAreKeptWhileTheInterpreterServes(t *testing.T) {
	for name, e := range map[string]func(*Watch) *Evaluator{
		"as it was asked for": func(w *Watch) *Evaluator {
			o := optionsOf(t, refusing)
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
