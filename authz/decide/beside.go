package decide

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Beside says what other rules would make of a request that was decided by the
// active ones, as of its time: on the facts that it was decided on where both take it to be
// about the same, else on those of now. There both are asked, so that what changed
// meanwhile is no difference between them: was is then what the active rules make
// of it now. q is the request, of which nobody else reads. It opens, counts and
// records nothing, and asks nobody else about a token: where one would have to be
// asked there is no decision, and was has no reason.
func (p *Pipeline) Beside(ctx context.Context, o *authz.Outcome, q authz.Request, active, other *authz.Ruleset) (was, would authz.Decision) {
	if alike(q, active, other) {
		switch f := o.Facts; {
		case f == nil: // no policy was asked, nor would it be
			return o.Decision, o.Decision
		case f.Route == nil || len(f.Route.Organizations) < 2:
			return o.Decision, on(ctx, f, q, other)
		}
	}
	ctx = authz.WithoutAsking(ctx)
	was, asks := p.anew(ctx, o.Time, q, active)
	would, wouldAsk := p.anew(ctx, o.Time, q, other)
	if asks || wouldAsk {
		return authz.Decision{}, authz.Decision{}
	}
	return was, would
}

// alike says whether two rulesets take a request to be about the same.
func alike(q authz.Request, a, b *authz.Ruleset) (same bool) {
	defer func() {
		if recover() != nil { // the pipeline makes a refusal of it
			same = false
		}
	}()
	one, oneErr := a.Router.Route(q)
	other, otherErr := b.Router.Route(q)
	if oneErr != nil || otherErr != nil {
		return oneErr != nil && otherErr != nil && oneErr.Error() == otherErr.Error()
	}
	return reflect.DeepEqual(one, other)
}

// on decides by other rules on the facts of a request that was decided.
func on(ctx context.Context, f *authz.Facts, q authz.Request, rules *authz.Ruleset) (d authz.Decision) {
	failed := authz.Decision{Reason: authz.ReasonPolicyError, Reasons: []string{authz.ReasonPolicyError}}
	defer func() {
		if recover() != nil {
			d = failed
		}
	}()
	of := *f
	of.Request = q
	d, err := Judge(ctx, rules, &of)
	if err != nil {
		return failed
	}
	return d
}

// anew decides on a request by given rules, as [Pipeline.Explain] does, as of a
// time. asks: somebody would have to be asked about the token.
func (p *Pipeline) anew(ctx context.Context, at time.Time, q authz.Request, rules *authz.Ruleset) (d authz.Decision, asks bool) {
	run := p.start(q)
	run.rules, run.started, run.now = rules, at, at.UTC().Truncate(time.Second)
	run.begin(ctx)
	run.Evaluate(ctx)
	out := run.Outcome()
	return out.Decision, errors.Is(out.Err, authz.ErrNotAsked)
}
