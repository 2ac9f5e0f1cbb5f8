package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// DefaultEvery is how many evaluations by a compiled policy there are to one
// that OPA's interpreter repeats.
const DefaultEvery = 1000

// WatchOptions of a [Watch].
type WatchOptions struct {
	// Every is how many evaluations there are to one that is repeated; default
	// [DefaultEvery].
	Every int
	// Fallback is told when an evaluation was left to OPA's interpreter, and
	// why in a word: conflict, builtin, panic, other. May be nil.
	Fallback func(cause string)
	// Compared is told when an evaluation was repeated. May be nil.
	Compared func()
	// Difference is told when the two came to different decisions. May be nil.
	Difference func()
	// Log receives differences; nil drops them.
	Log *slog.Logger
}

// Watch compares compiled policies with OPA's interpreter while they serve, off
// the path of requests. A difference switches the compiled policy off and is an
// alarm. A nil watch watches nothing.
type Watch struct {
	o     WatchOptions
	queue chan *repetition
	done  chan struct{}
	stop  context.CancelFunc

	mu       sync.Mutex
	recorded []keptInput // the last inputs, for the next activation
	next     int
}

// recorded is an input that was evaluated.
type recorded struct {
	input ast.Value
	now   time.Time
}

// keptInput is a recorded input as JSON: as terms it would be some hundred times as
// many pieces of memory to look through for the collector.
type keptInput struct {
	text []byte
	now  time.Time
}

// repetition is an evaluation to be repeated, or only to be kept.
type repetition struct {
	recorded
	evaluator *Evaluator // nil: only kept
	decision  authz.Decision
	err       error
}

// What a watch keeps: repetitions that wait, and inputs.
const (
	mostWaiting  = 16
	mostRecorded = 64
)

// NewWatch starts a watch; Close ends it.
func NewWatch(o WatchOptions) *Watch {
	if o.Every <= 0 {
		o.Every = DefaultEvery
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Watch{o: o, queue: make(chan *repetition, mostWaiting), done: make(chan struct{}), stop: stop}
	go w.repeatAll(ctx)
	return w
}

// Close ends the watch and waits for it. Evaluators go on without it.
func (w *Watch) Close() error {
	w.stop()
	<-w.done
	return nil
}

// due says whether an evaluation is one to repeat.
func (w *Watch) due(turn *atomic.Uint64) bool {
	return w != nil && turn.Add(1)%uint64(w.o.Every) == 0
}

// submit hands an evaluation over, unless too many wait. The facts are the
// request's, so that a copy is made of what the policy reads.
func (w *Watch) submit(e *Evaluator, f *authz.Facts, d authz.Decision, err error) {
	if len(w.queue) == cap(w.queue) || compiled.Stopped(err) {
		return
	}
	w.enqueue(e, f, &repetition{evaluator: e, decision: d, err: err})
}

// keep hands an input over that the interpreter evaluates anyway.
func (w *Watch) keep(e *Evaluator, f *authz.Facts) {
	if len(w.queue) < cap(w.queue) {
		w.enqueue(e, f, &repetition{})
	}
}

func (w *Watch) enqueue(e *Evaluator, f *authz.Facts, r *repetition) {
	in, err := e.oracle.builder.Value(f)
	if err != nil {
		return // both fail before they evaluate
	}
	r.recorded = recorded{clone(in), f.Now}
	select {
	case w.queue <- r:
	default:
	}
}

// share is the part of a processor that repetitions take at most, one in so many:
// the interpreter takes a hundred times as long, while requests may wait.
const share = 100

func (w *Watch) repeatAll(ctx context.Context) {
	defer close(w.done)
	for {
		var begun time.Time
		select {
		case <-ctx.Done():
			return
		case r := <-w.queue:
			begun = time.Now()
			w.record(r.recorded)
			if r.evaluator != nil {
				w.repeat(ctx, r)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(share * time.Since(begun)):
		}
	}
}

func (w *Watch) repeat(ctx context.Context, r *repetition) {
	want, err := r.evaluator.oracle.evaluateInput(ctx, r.input, r.now)
	if compiled.Stopped(err) {
		return
	}
	w.compared()
	if why := differ(r.decision, want, r.err, err); why != "" {
		r.evaluator.distrust("in production the compiled policy and OPA's interpreter differed: " + why)
		w.difference("the compiled policy", why)
	}
}

// differ says how two decisions differ, by their reasons alone: what a policy
// puts into the rest may be secret.
func differ(got, want authz.Decision, gotErr, wantErr error) string {
	switch {
	case gotErr != nil && wantErr != nil:
		return ""
	case gotErr != nil:
		return fmt.Sprintf("%s (allowed %t) by the interpreter, and compiled an error", want.Reason, want.Allowed)
	case wantErr != nil:
		return fmt.Sprintf("an error by the interpreter, and compiled %s (allowed %t)", got.Reason, got.Allowed)
	case reflect.DeepEqual(got, want):
		return ""
	case got.Reason == want.Reason && got.Allowed == want.Allowed:
		return fmt.Sprintf("%s (allowed %t) by both, with other members", got.Reason, got.Allowed)
	}
	return fmt.Sprintf("%s (allowed %t) by the interpreter, and compiled %s (allowed %t)", want.Reason, want.Allowed, got.Reason, got.Allowed)
}

func (w *Watch) fallback(cause string) {
	if w != nil && w.o.Fallback != nil {
		w.o.Fallback(cause)
	}
}

// every is how many evaluations there are to one that is repeated.
func (w *Watch) every() int {
	if w == nil {
		return DefaultEvery
	}
	return w.o.Every
}

func (w *Watch) compared() {
	if w != nil && w.o.Compared != nil {
		w.o.Compared()
	}
}

// difference raises the alarm, and says what is no longer evaluated compiled.
func (w *Watch) difference(what, why string) {
	if w == nil {
		return
	}
	w.o.Log.Error(what+" is switched off: it differs from OPA's interpreter, which serves from now on", "difference", why)
	if w.o.Difference != nil {
		w.o.Difference()
	}
}

// givenUp tells that a compiled policy serves no longer, since it only fails.
func (w *Watch) givenUp(times int, cause string) {
	if w != nil {
		w.o.Log.Warn("the compiled policy is switched off: OPA's interpreter, which serves from now on, had to be asked each time", "times", times, "cause", cause)
	}
}

func (w *Watch) record(r recorded) {
	v, err := ast.JSON(r.input)
	if err != nil {
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.recorded) < mostRecorded {
		w.recorded = append(w.recorded, keptInput{text, r.now})
		return
	}
	w.recorded[w.next] = keptInput{text, r.now}
	w.next = (w.next + 1) % mostRecorded
}

// inputs are the last inputs that were kept.
func (w *Watch) inputs() []recorded {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	kept := slices.Clone(w.recorded)
	w.mu.Unlock()
	out := make([]recorded, 0, len(kept))
	for _, k := range kept {
		if v, err := ast.ValueFromReader(bytes.NewReader(k.text)); err == nil {
			out = append(out, recorded{v, k.now})
		}
	}
	return out
}
