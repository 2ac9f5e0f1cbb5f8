package engine

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

const askerModule = `package a

import data.names

decision := {"allowed": false, "reason": "none", "reasons": ["none"]}

double := {"n": input.n * 2, "name": names[input.who], "set": {input.n, 1}} if input.n > 0

other := {"n": input.n}

conflict := 1 if input.n > 0

conflict := 2 if input.n > 1

failing := x if {
	walk(input, [_, x])
	x == "never"
}

panicking := io.jwt.decode_verify(input.who, {input: 1})[0]`

// askerOf is an asker that compiles all entries of its module but one, and what
// its watch was told.
func askerOf(t *testing.T) (*Asker, map[string]int) {
	t.Helper()
	told := map[string]int{}
	w := NewWatch(WatchOptions{
		Every: 10, Fallback: func(cause string) { told["fallback: "+cause]++ },
		Compared: func() { told["compared"]++ }, Difference: func() { told["difference"]++ },
	})
	t.Cleanup(func() { w.Close() })
	o := Options{
		Compiler: ast.MustCompileModules(map[string]string{"a.rego": askerModule}), Decisions: []string{"a/decision"}, Watch: w,
		Store:   inmem.NewFromObjectWithOpts(map[string]any{"names": map[string]any{"b": "Bob"}}, inmem.OptReturnASTValuesOnRead(true)),
		Entries: []string{"a/double", "a/conflict", "a/failing"},
	}
	e, err := New(t.Context(), o)
	if err != nil || e.Why() != "" {
		t.Fatal(err, e.Why())
	}
	a := NewAsker(t.Context(), o, e)
	if len(a.questions) != len(o.Entries) {
		t.Fatalf("of %v, %d are compiled", o.Entries, len(a.questions))
	}
	return a, told
}

type asked struct {
	N   float64 `json:"n"`
	Who string  `json:"who"`
}

type doubled struct {
	N    int
	Name string
	Set  []int
}

// TestACompiledEntryAnswersAsTheInterpreter, and is held against it for the
// first times and then one time in many.
func TestACompiledEntryAnswersAsTheInterpreter(t *testing.T) {
	a, told := askerOf(t)
	for range 30 {
		var got doubled
		if err := a.Ask(t.Context(), "a/double", asked{2, "b"}, &got); err != nil || got.N != 4 || got.Name != "Bob" || len(got.Set) != 2 || got.Set[0] != 1 {
			t.Fatal(got, err)
		}
		noneHeld(a)
	}
	if told["compared"] != firstAsks+3 || told["difference"] != 0 {
		t.Errorf("the watch was told %v", told)
	}
	if _, prepared := a.prepared["a/other"]; prepared {
		t.Error("what nobody asked for is prepared")
	}
	var other struct{ N int }
	if err := a.Ask(t.Context(), "a/other", asked{N: 3}, &other); err != nil || other.N != 3 {
		t.Error(other, err)
	}
}

// TestWhatHasNoAnswerIsAnError, by both, and never the answer before.
func TestWhatHasNoAnswerIsAnError(t *testing.T) {
	a, told := askerOf(t)
	for range 2 * firstAsks {
		got := doubled{N: 7}
		if err := a.Ask(t.Context(), "a/double", asked{0, "b"}, &got); !errors.Is(err, ErrUndefined) || got.N != 7 {
			t.Fatal(got, err)
		}
		if err := a.Ask(t.Context(), "a/double", asked{1, "nobody"}, &got); !errors.Is(err, ErrUndefined) {
			t.Fatal(got, err)
		}
		var n int
		if err := a.Ask(t.Context(), "a/conflict", asked{N: 2}, &n); err == nil || n != 0 {
			t.Fatal(n, err)
		}
		if err := a.Ask(t.Context(), "a/conflict", asked{N: 1}, &n); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if err := a.Ask(t.Context(), "a/double", make(chan int), &got); err == nil {
			t.Fatal("a channel was asked about")
		}
		noneHeld(a)
	}
	if told["fallback: conflict"] != 2*firstAsks || told["difference"] != 0 {
		t.Errorf("the watch was told %v", told)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := a.Ask(ended, "a/double", asked{1, "b"}, &doubled{}); err == nil {
		t.Error("an ended question was answered")
	}
}

// TestAPanicInTheInterpreterEndsNothing: neither a question nor, beside one, the
// process. OPA's own built-in does, over a constraint whose name is no string.
func TestAPanicInTheInterpreterEndsNothing(t *testing.T) {
	a, told := askerOf(t)
	var got any
	if err := a.Ask(t.Context(), "a/panicking", asked{1, "b"}, &got); err == nil {
		t.Errorf("answered %v", got)
	}
	a.questions["a/panicking"] = a.questions["a/double"] // it answers, where the interpreter panics
	a.questions["a/panicking"].turn.Store(firstAsks)
	for range a.options.Watch.every() {
		_ = a.Ask(t.Context(), "a/panicking", asked{1, "b"}, &got)
		noneHeld(a)
	}
	if told["difference"] != 1 || !a.questions["a/panicking"].off.Load() {
		t.Errorf("the watch was told %v", told)
	}
}

// TestADifferenceSwitchesAnEntryOff, and the interpreter's answer counts.
func TestADifferenceSwitchesAnEntryOff(t *testing.T) {
	a, told := askerOf(t)
	wrong, err := compiled.New(t.Context(), compiled.Options{Compiler: a.options.Compiler, Entrypoint: PathRef("a/other")})
	if err != nil {
		t.Fatal(err)
	}
	a.questions["a/double"].Program = wrong
	for range 3 {
		var got doubled
		if err := a.Ask(t.Context(), "a/double", asked{2, "b"}, &got); err != nil || got.N != 4 {
			t.Fatal(got, err)
		}
	}
	if told["difference"] != 1 || told["compared"] != 1 || !a.questions["a/double"].off.Load() {
		t.Errorf("the watch was told %v", told)
	}
}

// TestALaterDifferenceIsFoundBesideTheRequest, and switches the entry off for
// the next one.
func TestALaterDifferenceIsFoundBesideTheRequest(t *testing.T) {
	a, told := askerOf(t)
	ask := func() int {
		t.Helper()
		var got doubled
		if err := a.Ask(t.Context(), "a/double", asked{2, "b"}, &got); err != nil {
			t.Fatal(err)
		}
		noneHeld(a)
		return got.N
	}
	for range firstAsks {
		ask()
	}
	wrong, err := compiled.New(t.Context(), compiled.Options{Compiler: a.options.Compiler, Entrypoint: PathRef("a/other")})
	if err != nil {
		t.Fatal(err)
	}
	a.questions["a/double"].Program = wrong
	for range a.options.Watch.every() {
		ask()
	}
	if got := ask(); got != 4 || told["difference"] != 1 || !a.questions["a/double"].off.Load() {
		t.Errorf("answered %d; the watch was told %v", got, told)
	}
}

// noneHeld waits until no answer is held against the interpreter's any more.
func noneHeld(a *Asker) {
	for a.holding.Load() {
		runtime.Gosched()
	}
}

// TestBesideAnInterpreterNothingIsCompiled.
func TestBesideAnInterpreterNothingIsCompiled(t *testing.T) {
	a, _ := askerOf(t)
	o := a.options
	o.Mode = ModeTopdown
	e, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if b := NewAsker(t.Context(), o, e); len(b.questions) != 0 {
		t.Errorf("%d entries are compiled", len(b.questions))
	}
}
