package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// Before a compiled policy serves, it is held against OPA's interpreter: on
// facts made up of the policy's own words, on documents made after the schema
// of the input, and on the inputs that were last seen in production.

// How many are made. Each takes the interpreter some tenths of a millisecond.
const (
	rehearsedFacts     = 160
	rehearsedDocuments = 96
)

// rehearsalSeed is always the same, so that a difference is found again.
const rehearsalSeed = 20261124

// A rehearsal takes some 100 ms. On a machine that stalls it may take longer,
// and a few evaluations may not end in their time: they are left out.
const (
	rehearsalTimeout = 30 * time.Second
	mostStalls       = 3
)

// errTooLong says that the evaluators could not be compared.
var errTooLong = errors.New("evaluating sample inputs takes too long to compare it with OPA's interpreter")

// errFails says that a compiled policy would be evaluated twice mostly.
var errFails = errors.New("compiled it fails on most sample inputs, which the interpreter decides on")

// rehearse returns the first difference, errTooLong or errFails.
func (e *Evaluator) rehearse(ctx context.Context, o *Options) error {
	ctx, cancel := context.WithTimeout(ctx, rehearsalTimeout)
	defer cancel()
	r := rand.New(rand.NewPCG(rehearsalSeed, 1)) //nolint:gosec // Repeatable on purpose.
	w := wordsOf(o.Compiler, r)
	stalls := 0
	bears := func(err error) bool { // whether to go on after it
		if errors.Is(err, errTooLong) {
			stalls++
			return stalls <= mostStalls && ctx.Err() == nil
		}
		return err == nil
	}
	failed := 0
	for i := range rehearsedFacts {
		err := e.rehearseFacts(ctx, w.facts())
		if errors.Is(err, errFails) {
			failed++
			continue
		}
		if !bears(err) {
			return fmt.Errorf("on made-up facts %d: %w", i, err)
		}
	}
	if failed > rehearsedFacts/2 {
		return errFails
	}
	var schema map[string]any
	if len(o.Schema) > 0 {
		if err := json.Unmarshal(o.Schema, &schema); err != nil {
			return fmt.Errorf("read the input's schema: %w", err)
		}
	}
	if schema != nil {
		for i := range rehearsedDocuments {
			if err := e.rehearseInput(ctx, recorded{w.document(schema), rehearsalTime}); !bears(err) {
				return fmt.Errorf("on a made-up input %d: %w", i, err)
			}
		}
	}
	for _, r := range o.Watch.inputs() {
		if err := e.rehearseInput(ctx, r); !bears(err) {
			return fmt.Errorf("on an input of before: %w", err)
		}
	}
	return nil
}

// rehearseFacts compares decisions. errFails: only the interpreter has one.
func (e *Evaluator) rehearseFacts(ctx context.Context, f *authz.Facts) error {
	got, gotErr := e.run(ctx, f)
	if compiled.Stopped(gotErr) {
		return errTooLong
	}
	want, wantErr := e.oracle.Evaluate(ctx, f)
	switch {
	case compiled.Stopped(wantErr):
		return errTooLong
	case fails(gotErr) && wantErr == nil:
		return errFails
	case fails(gotErr):
		return nil
	}
	if why := differ(got, want, gotErr, wantErr); why != "" {
		return errors.New(why)
	}
	return nil
}

// rehearseInput compares what each entry comes to, as it is.
func (e *Evaluator) rehearseInput(ctx context.Context, r recorded) error {
	for i := range e.programs {
		if err := e.rehearseEntry(ctx, i, r); err != nil {
			return fmt.Errorf("%s: %w", e.programs[i].name, err)
		}
	}
	return nil
}

func (e *Evaluator) rehearseEntry(ctx context.Context, at int, r recorded) error {
	limited, cancel := context.WithTimeout(ctx, e.oracle.timeout)
	defer cancel()
	m := e.programs[at].Begin()
	defer m.End()
	got, gotErr := m.Eval(limited, compiled.Call{Input: m.FromTerm(r.input), Now: r.now})
	want, wantErr := e.oracle.evaluate(limited, &e.oracle.entries[at], r.input, r.now)
	switch {
	case compiled.Stopped(gotErr) || compiled.Stopped(wantErr) || limited.Err() != nil:
		return errTooLong
	case gotErr != nil && wantErr != nil:
		return nil
	case errors.Is(gotErr, compiled.ErrUndefined):
		return errors.New("undefined, and by the interpreter not")
	case gotErr != nil:
		return nil // the interpreter will be asked
	case wantErr != nil:
		return errors.New("a value, and by the interpreter an error")
	case want.String() != got.String():
		return errors.New("another value than the interpreter's")
	}
	return nil
}

// fails says whether an evaluation is one that the interpreter would repeat.
func fails(err error) bool {
	var f *failure
	return errors.As(err, &f)
}
