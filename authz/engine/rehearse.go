package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"

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

// rehearse returns the first difference, "" where there is none.
func (e *Evaluator) rehearse(ctx context.Context, o *Options) string {
	r := rand.New(rand.NewPCG(rehearsalSeed, 1)) //nolint:gosec // Repeatable on purpose.
	w := wordsOf(o.Compiler, r)
	for i := range rehearsedFacts {
		if why := e.rehearseFacts(ctx, w.facts()); why != "" {
			return fmt.Sprintf("on made-up facts %d: %s", i, why)
		}
	}
	var schema map[string]any
	if len(o.Schema) > 0 {
		if err := json.Unmarshal(o.Schema, &schema); err != nil {
			return "the schema can't be read: " + err.Error()
		}
	}
	if schema != nil {
		for i := range rehearsedDocuments {
			if why := e.rehearseInput(ctx, recorded{w.document(schema), rehearsalTime}); why != "" {
				return fmt.Sprintf("on a made-up input %d: %s", i, why)
			}
		}
	}
	for _, r := range o.Watch.inputs() {
		if why := e.rehearseInput(ctx, r); why != "" {
			return "on an input of before: " + why
		}
	}
	return ""
}

// rehearseFacts compares decisions.
func (e *Evaluator) rehearseFacts(ctx context.Context, f *authz.Facts) string {
	got, gotErr := e.run(ctx, f)
	want, wantErr := e.oracle.Evaluate(ctx, f)
	if fails(gotErr) || compiled.Stopped(gotErr) || compiled.Stopped(wantErr) {
		return ""
	}
	return differ(got, want, gotErr, wantErr)
}

// rehearseInput compares what each entry comes to, as it is.
func (e *Evaluator) rehearseInput(ctx context.Context, r recorded) string {
	for i := range e.programs {
		if why := e.rehearseEntry(ctx, i, r); why != "" {
			return e.programs[i].name + ": " + why
		}
	}
	return ""
}

func (e *Evaluator) rehearseEntry(ctx context.Context, at int, r recorded) string {
	limited, cancel := context.WithTimeout(ctx, e.oracle.timeout)
	defer cancel()
	want, wantErr := e.oracle.evaluate(limited, &e.oracle.entries[at], r.input, r.now)
	m := e.programs[at].Begin()
	defer m.End()
	got, gotErr := m.Eval(limited, compiled.Call{Input: m.FromTerm(r.input), Now: r.now, Timeout: e.oracle.timeout})
	switch {
	case compiled.Stopped(gotErr) || compiled.Stopped(wantErr) || limited.Err() != nil:
		return ""
	case gotErr != nil && wantErr != nil:
		return ""
	case gotErr != nil:
		if gotErr == compiled.ErrUndefined { //nolint:errorlint // It is never wrapped.
			return "undefined, and by the interpreter not"
		}
		return "" // the interpreter will be asked
	case wantErr != nil:
		return "a value, and by the interpreter an error"
	}
	if want.String() != got.String() {
		return "another value than the interpreter's"
	}
	return ""
}

// fails says whether an evaluation is one that the interpreter would repeat.
func fails(err error) bool {
	var f *failure
	return errors.As(err, &f)
}
