package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Calendar tells what time will bring.
type Calendar interface {
	// Open returns the approval requests that are open.
	Open(ctx context.Context) ([]Dated, error)
	// ApprovalsEnding returns approvals whose end lies from a time on and before
	// another.
	ApprovalsEnding(ctx context.Context, from, before time.Time) ([]Dated, error)
	// TokensExpiring does so for tokens, with each organization that they reach.
	TokensExpiring(ctx context.Context, from, before time.Time) ([]Dated, error)
	// Policies returns the organizations whose policy changes at a time before
	// another; At is when.
	Policies(ctx context.Context, before time.Time) ([]Dated, error)
	// Stopped returns, by name, the owners of the tokens that an organization's
	// dated change will stop, as present facts have it.
	Stopped(ctx context.Context, organization string) ([]string, error)
	// Told returns the dates of changes of policy that owners were told, in that
	// order, whether they hold still or not.
	Told(ctx context.Context) ([]Told, error)
	// Organizations returns the ids of those with findings.
	Findings(ctx context.Context) ([]string, error)
}

// Dated is a token in an organization, and a time.
type Dated struct {
	Organization, Token, Request string
	At                           time.Time
}

// Told is a date that an owner (by name) was told of an organization.
type Told struct {
	Organization, Owner string
	At                  time.Time
}

// Planner adds the events that time brings. It may run anywhere and as often as
// one likes: each event has a key, and is added once. What was due while nobody
// planned is added late.
type Planner struct {
	Queue    Queue
	Calendar Calendar
	// Before are the times before an end at which the owner is told; default 7
	// days and 1 day.
	Before []time.Duration
	// PolicyBefore are the times before a dated change of policy at which owners
	// and administrators are told what it will stop; default 14, 3 and 1 days.
	PolicyBefore []time.Duration
	// Remind is after how long administrators are reminded of a request, and how
	// often from then on; default 3 days.
	Remind time.Duration
	// Escalate is after how long operators are told of one; default 14 days.
	Escalate time.Duration
	// Digest is the day of the week on which findings are told; default Monday.
	Digest time.Weekday

	// looked at are the changes of policy of which it was found out what they
	// will stop: that takes a while, and is done once for each time before.
	looked map[string]bool
}

// NewPlanner makes a planner with defaults.
func NewPlanner(q Queue, c Calendar) *Planner {
	const day = 24 * time.Hour
	return &Planner{PolicyBefore: []time.Duration{14 * day, 3 * day, day}, Queue: q, Calendar: c, Before: []time.Duration{7 * day, day}, Remind: 3 * day, Escalate: 14 * day, Digest: time.Monday}
}

// Parts of what time brings of which it is noted until when they were planned: they
// are over when they are due, and are not found any more later.
const (
	partEnds    = "ends"
	partDigests = "digests"
)

// Plan adds what is due at a time. What cannot be found out does not hold up the
// rest.
func (p *Planner) Plan(ctx context.Context, now time.Time) error {
	var events []Event
	var failed error
	var done []string
	looked := maps.Clone(p.looked)
	for what, f := range map[string]func(context.Context, time.Time) ([]Event, error){
		"requests": p.requests, partEnds: p.ends, "policies": p.policies, "moves": p.moves, partDigests: p.digests,
	} {
		more, err := f(ctx, now)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("plan %s: %w", what, err))
			continue
		}
		events = append(events, more...)
		if what == partEnds || what == partDigests {
			done = append(done, what)
		}
	}
	if len(events) > 0 {
		if err := p.Queue.Add(ctx, events, now); err != nil {
			p.looked = looked
			return errors.Join(failed, err)
		}
	}
	// Only now: what is noted as planned is looked for no more.
	if err := p.Queue.SetPlanned(ctx, done, now); err != nil {
		return errors.Join(failed, fmt.Errorf("note until when it was planned: %w", err))
	}
	return failed
}

func (p *Planner) requests(ctx context.Context, now time.Time) ([]Event, error) {
	open, err := p.Calendar.Open(ctx)
	var out []Event
	for _, d := range open {
		age := now.Sub(d.At)
		if age >= p.Remind {
			out = append(out, d.event(ApprovalReminder, fmt.Sprint(int(age/p.Remind))))
		}
		if age >= p.Escalate {
			out = append(out, d.event(ApprovalEscalated, ""))
		}
	}
	return out, err
}

func (p *Planner) ends(ctx context.Context, now time.Time) ([]Event, error) {
	var out []Event
	for i, before := range p.Before {
		// The narrower span has a message of its own.
		from := now
		if i+1 < len(p.Before) {
			from = now.Add(p.Before[i+1])
		}
		approvals, err := p.Calendar.ApprovalsEnding(ctx, from, now.Add(before))
		if err != nil {
			return nil, err
		}
		tokens, err := p.Calendar.TokensExpiring(ctx, from, now.Add(before))
		if err != nil {
			return nil, err
		}
		for _, d := range approvals {
			out = append(out, d.event(ApprovalEnds, before.String()))
		}
		for _, d := range tokens {
			out = append(out, d.event(TokenExpires, before.String()))
		}
	}
	ended, err := p.ended(ctx, now)
	return append(out, ended...), err
}

const (
	// overlap is how far back it is looked in any case: replicas' clocks differ.
	overlap = 24 * time.Hour
	// latest is how late something is told at most: keys are kept for longer, so
	// that nothing is told twice.
	latest = 90 * 24 * time.Hour
)

// ended tells what has ended since it was last planned; late, where nobody
// planned when it did.
func (p *Planner) ended(ctx context.Context, now time.Time) (out []Event, err error) {
	since, err := p.Queue.Planned(ctx, partEnds)
	if err != nil {
		return nil, err
	}
	if since.IsZero() || since.After(now) {
		since = now
	}
	if since = since.Add(-overlap); since.Before(now.Add(-latest)) {
		since = now.Add(-latest)
	}
	// Day by day: a calendar tells only so much at once.
	for from := since; from.Before(now); from = from.Add(24 * time.Hour) {
		before := from.Add(24 * time.Hour)
		if before.After(now) {
			before = now
		}
		approvals, err := p.Calendar.ApprovalsEnding(ctx, from, before)
		if err != nil {
			return nil, err
		}
		for _, d := range approvals {
			e := d.event(ApprovalEnded, "")
			if now.Sub(d.At) > overlap {
				e.At = d.At
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// policies tells what the changes of policy that come near will stop: owners of
// their tokens, each once for a date and a time before, and administrators.
func (p *Planner) policies(ctx context.Context, now time.Time) ([]Event, error) {
	if len(p.PolicyBefore) == 0 {
		return nil, nil
	}
	coming, err := p.Calendar.Policies(ctx, now.Add(slices.Max(p.PolicyBefore)))
	if err != nil {
		return nil, err
	}
	var out []Event
	found := map[string]bool{}
	for _, d := range coming {
		if !d.At.After(now) {
			continue
		}
		key := d.Organization + "/" + d.At.UTC().Format(time.RFC3339) + "/" + nearest(p.PolicyBefore, d.At.Sub(now)).String()
		if found[key] = true; p.looked[key] {
			continue
		}
		owners, err := p.Calendar.Stopped(ctx, d.Organization)
		if err != nil {
			return nil, err // looked at again, all of them
		}
		out = append(out, Event{Kind: PolicyComing, Organization: d.Organization, At: d.At, Key: PolicyComing + "/" + key})
		for _, owner := range owners {
			out = append(out, Event{Kind: PolicyDated, Organization: d.Organization, Owner: owner, At: d.At, Key: PolicyDated + "/" + key + "/" + owner})
		}
	}
	p.looked = found
	return out, nil
}

// nearest is the least of some spans that is not less than what is left.
func nearest(spans []time.Duration, left time.Duration) time.Duration {
	best := slices.Max(spans)
	for _, s := range spans {
		if s >= left && s < best {
			best = s
		}
	}
	return best
}

// digests tells on one day of the week what was found; later, where nobody
// planned on that day.
func (p *Planner) digests(ctx context.Context, now time.Time) ([]Event, error) {
	today := now.UTC().Truncate(24 * time.Hour)
	due := today.AddDate(0, 0, -((int(today.Weekday()) - int(p.Digest) + 7) % 7))
	late := !due.Equal(today)
	if late {
		until, err := p.Queue.Planned(ctx, partDigests)
		if err != nil || until.IsZero() || !until.Before(due) {
			return nil, err
		}
	}
	organizations, err := p.Calendar.Findings(ctx)
	var out []Event
	for _, id := range organizations {
		e := Dated{Organization: id, At: due}.event(HygieneDigest, "")
		if late {
			e.At = due
		}
		out = append(out, e)
	}
	return out, err
}

// event has a key made of what it is about and when: planned twice, it is one.
func (d Dated) event(kind, part string) Event {
	return Event{
		Kind: kind, Organization: d.Organization, Token: d.Token, Request: d.Request,
		Key: fmt.Sprintf("%s/%s/%s/%s/%d/%s", kind, d.Organization, d.Token, d.Request, d.At.Unix(), part),
	}
}
