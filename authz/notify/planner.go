package notify

import (
	"context"
	"fmt"
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
	// Stopped returns the tokens that a dated change of policy will refuse, as
	// present facts have it; At is when.
	Stopped(ctx context.Context) ([]Dated, error)
	// Organizations returns the ids of those with findings.
	Findings(ctx context.Context) ([]string, error)
}

// Dated is a token in an organization, and a time.
type Dated struct {
	Organization, Token, Request string
	At                           time.Time
}

// Planner adds the events that time brings. It may run anywhere and as often as
// one likes: each event has a key, and is added once.
type Planner struct {
	Queue    Queue
	Calendar Calendar
	// Before are the times before an end at which the owner is told; default 7
	// days and 1 day.
	Before []time.Duration
	// Remind is after how long administrators are reminded of a request, and how
	// often from then on; default 3 days.
	Remind time.Duration
	// Escalate is after how long operators are told of one; default 14 days.
	Escalate time.Duration
	// Digest is the day of the week on which findings are told; default Monday.
	Digest time.Weekday
}

// NewPlanner makes a planner with defaults.
func NewPlanner(q Queue, c Calendar) *Planner {
	const day = 24 * time.Hour
	return &Planner{Queue: q, Calendar: c, Before: []time.Duration{7 * day, day}, Remind: 3 * day, Escalate: 14 * day, Digest: time.Monday}
}

// Plan adds what is due at a time.
func (p *Planner) Plan(ctx context.Context, now time.Time) error {
	var events []Event
	for what, f := range map[string]func(context.Context, time.Time) ([]Event, error){
		"requests": p.requests, "ends": p.ends, "policies": p.policies, "digests": p.digests,
	} {
		more, err := f(ctx, now)
		if err != nil {
			return fmt.Errorf("plan %s: %w", what, err)
		}
		events = append(events, more...)
	}
	if len(events) == 0 {
		return nil
	}
	return p.Queue.Add(ctx, events, now)
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
	// Ended within the last day: what came while nobody ran is told too.
	ended, err := p.Calendar.ApprovalsEnding(ctx, now.Add(-24*time.Hour), now)
	for _, d := range ended {
		out = append(out, d.event(ApprovalEnded, ""))
	}
	return out, err
}

func (p *Planner) policies(ctx context.Context, now time.Time) ([]Event, error) {
	stopped, err := p.Calendar.Stopped(ctx)
	var out []Event
	for _, d := range stopped {
		if d.At.After(now) {
			out = append(out, d.event(PolicyDated, ""))
		}
	}
	return out, err
}

func (p *Planner) digests(ctx context.Context, now time.Time) ([]Event, error) {
	if now.UTC().Weekday() != p.Digest {
		return nil, nil
	}
	organizations, err := p.Calendar.Findings(ctx)
	var out []Event
	for _, id := range organizations {
		out = append(out, Dated{Organization: id, At: now.UTC().Truncate(24 * time.Hour)}.event(HygieneDigest, ""))
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
