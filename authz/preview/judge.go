package preview

import (
	"context"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// judge is one worker's part of a batch.
type judge struct {
	*run
	routes       []authz.Route
	token        authz.Token
	access       authz.Access
	was, would   []authz.Decision
	judged       []judged
	disabled     int
	used, unseen int
	failed       int
	failure      error
}

// judged is a token with what is not shown of it.
type judged struct {
	TokenOutcome
	used bool // in the days looked at
	open bool // a request on it is open
	// approved: existing_tokens would approve it.
	approved bool
}

// one judges a token, and takes note of what becomes of it.
func (j *judge) one(ctx context.Context, u *Reached) {
	if !j.snapshot.TokenByID(u.Token, &j.token) {
		return // deleted meanwhile
	}
	used := u.Requests > 0 || !u.UsedAt.Before(j.since)
	switch {
	case used:
		j.used++
	case !u.Seen:
		j.unseen++
	}
	t := &j.token
	if t.Disabled {
		j.disabled++
		return
	}
	j.snapshot.Access(t, j.before, &j.access)
	a := &j.access
	out := judged{used: used, open: a.Authorization.Request != nil && a.Authorization.Request.State == authz.RequestOpen}
	out.TokenOutcome = TokenOutcome{
		ID: t.ID, DisplayName: t.DisplayName, Last4: t.Last4, Kind: t.Kind, Status: status(&a.Authorization, j.now), Requests: u.Requests,
	}
	if t.Owner != nil {
		out.Owner = t.Owner.Name
	}
	if !u.UsedAt.IsZero() {
		out.LastUsedAt = &u.UsedAt
	}
	j.routes = j.run.routes(u, t.Kind, a.Current.All(), j.routes)
	if err := j.decide(ctx, u, &out); err != nil {
		j.failed++
		j.failure = err
		return
	}
	j.judged = append(j.judged, out)
}

// decide lets Rego decide on the token, as the organization is and as it would
// be.
func (j *judge) decide(ctx context.Context, u *Reached, out *judged) (err error) {
	f := authz.Facts{
		Now: j.at, Credential: authz.CredentialFacts{State: authz.CredentialPresent, Scheme: authz.SchemeBearer}, Token: &j.token,
		Authorization: &j.access.Authorization, Current: j.access.Current, Effective: j.access.Effective,
	}
	if j.was, err = j.each(ctx, f, j.before, j.was); err != nil {
		return err
	}
	if j.would, err = j.each(ctx, f, j.after, j.would); err != nil {
		return err
	}
	out.Asks = asks(j.would)
	if e := j.change.Policy.Existing; e != nil && out.Asks && e.Approves(j.access.Authorization.State, j.access.Authorization.Suspended, u.UsedAt, j.now) {
		given := j.access.Authorization
		given.State, given.Grants, given.ExpiresAt = authz.StateApproved, j.access.Current, e.Until.UTC().Truncate(time.Second)
		f.Authorization, f.Effective = &given, j.access.Current
		if j.would, err = j.each(ctx, f, j.after, j.would); err != nil {
			return err
		}
		out.approved, out.Asks = true, asks(j.would)
	}
	j.compare(out)
	return nil
}

func asks(all []authz.Decision) bool {
	return slices.ContainsFunc(all, func(d authz.Decision) bool { return d.RequestApproval })
}

// each decides on all that the token is tried on.
func (j *judge) each(ctx context.Context, f authz.Facts, o *authz.Organization, out []authz.Decision) ([]authz.Decision, error) {
	f.Organization = o
	if j.token.Owner != nil {
		f.Membership = j.snapshot.Membership(o, j.token.Owner)
	}
	out = out[:0]
	for i := range j.routes {
		f.Route = &j.routes[i]
		d, err := j.Judge(ctx, j.rules, &f)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// compare says what becomes of the token: what breaks outweighs what starts, and
// that what goes on.
func (j *judge) compare(out *judged) {
	out.Tried = len(j.would)
	shown := -1
	for i := range j.would {
		was, would := &j.was[i], &j.would[i]
		outcome := outcomeOf(was, would)
		if outcome == Breaks {
			out.Broken++
		}
		if shown < 0 || weight[outcome] > weight[out.Outcome] {
			out.Outcome, shown = outcome, i
		}
	}
	if shown < 0 {
		out.Outcome = Refused // it may do nothing at all: no permission of its kind is known
		return
	}
	if out.approved && (out.Outcome == GoesOn || out.Outcome == Starts) {
		out.Outcome = Approved
	}
	would := &j.would[shown]
	out.Reason, out.Reasons, out.Before = would.Reason, would.Reasons, j.was[shown].Reason
	if out.Outcome == Waived {
		out.Reason = would.Reasons[0]
	}
}

// outcomeOf says what becomes of what was decided one way and would be another.
func outcomeOf(was, would *authz.Decision) string {
	switch {
	case was.Allowed && !would.Allowed:
		return Breaks
	case !was.Allowed && would.Allowed:
		return Starts
	case would.Allowed && len(would.Reasons) > 0:
		return Waived
	case would.Allowed:
		return GoesOn
	}
	return Refused
}

var weight = map[string]int{Breaks: 5, Starts: 4, Waived: 3, GoesOn: 2, Refused: 1}

// status is what administrators call the present state.
func status(a *authz.Authorization, now time.Time) string {
	switch {
	case a.State == authz.StateRevoked:
		return "revoked"
	case a.Suspended:
		return "suspended"
	case a.State == authz.StateApproved && !a.ExpiresAt.IsZero() && !now.Before(a.ExpiresAt):
		return "approval_ended"
	case a.State != authz.StateNone:
		return a.State
	case a.Request != nil && a.Request.State == authz.RequestOpen:
		return "pending"
	}
	return "none"
}
