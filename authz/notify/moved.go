package notify

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// farthest is beyond what a change of policy may be dated (90 days).
const farthest = 100 * 24 * time.Hour

// moves tells owners who were told a date that it is another now, or none.
// Where the new one is so near that they are told what stops then, that is
// enough, but for a date that they were told before: it has had its mails.
func (p *Planner) moves(ctx context.Context, now time.Time) ([]Event, error) {
	if len(p.PolicyBefore) == 0 {
		return nil, nil
	}
	told, err := p.Calendar.Told(ctx)
	if err != nil || len(told) == 0 {
		return nil, err
	}
	coming, err := p.Calendar.Policies(ctx, now.Add(farthest))
	if err != nil {
		return nil, err
	}
	present := map[string]time.Time{}
	for _, d := range coming {
		present[d.Organization] = d.At
	}
	type owner struct{ organization, name string }
	dates := map[owner][]time.Time{}
	var owners []owner
	for _, d := range told {
		o := owner{d.Organization, d.Owner}
		if dates[o] == nil {
			owners = append(owners, o)
		}
		dates[o] = append(dates[o], d.At)
	}
	var out []Event
	for _, o := range owners {
		at, had := present[o.organization], dates[o]
		last := had[len(had)-1]
		if !last.After(now) || last.Equal(at) {
			continue // it came, or holds
		}
		near := !at.IsZero() && at.Sub(now) <= slices.Max(p.PolicyBefore)
		if near && !slices.ContainsFunc(had, at.Equal) {
			continue
		}
		out = append(out, Event{
			Kind: PolicyMoved, Organization: o.organization, Owner: o.name, At: at,
			Key: fmt.Sprintf("%s/%s/%d/%d/%s", PolicyMoved, o.organization, last.Unix(), at.Unix(), o.name),
		})
	}
	return out, nil
}
