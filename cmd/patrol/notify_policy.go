package main

import (
	"context"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/notify"
	"github.com/patrol-authz/patrol/authz/preview"
)

// What a dated change of policy will stop is what its preview says.

func (c calendar) Policies(ctx context.Context, before time.Time) ([]notify.Dated, error) {
	return dated(c.Store.PoliciesComing(ctx, before))
}

func (c calendar) Told(ctx context.Context) ([]notify.Told, error) {
	rows, err := c.Store.DatesTold(ctx)
	out := make([]notify.Told, len(rows))
	for i, r := range rows {
		out[i] = notify.Told(r)
	}
	return out, err
}

// moved is what an event of a date that was moved or taken back is about; nil
// where it was moved again.
func (d directory) moved(ctx context.Context, e notify.Event) (*notify.Subject, error) {
	c, err := d.Store.ConcernedOwner(ctx, e.Organization, e.Owner)
	if err != nil || c == nil {
		return nil, err
	}
	present, next := c.Organization.Policies(d.Clock())
	if (next == "") != e.At.IsZero() || next != "" && !c.Organization.EnforceAt.Equal(e.At) {
		return nil, nil
	}
	s, err := d.subject(ctx, c)
	if err != nil {
		return nil, err
	}
	if present != s.Organization.TokenPolicy { // the dated one came into force
		s.Organization.Title = s.Organization.NextTitle
	}
	s.Organization.TokenPolicy, s.Organization.NextTokenPolicy = present, next
	return s, nil
}

func (c calendar) Stopped(ctx context.Context, organization string) ([]string, error) {
	o, err := c.Store.ConcernedOwner(ctx, organization, "")
	if err != nil || o == nil {
		return nil, err
	}
	if _, next := o.Organization.Policies(c.Clock()); next == "" {
		return nil, nil // taken back meanwhile
	}
	return c.Preview.Stopped(ctx, preview.Change{Policy: inventory.SetPolicy{Organization: o.Organization.Name}})
}

// mostTold is how many tokens a mail lists.
const mostTold = 100

// stopped is what an event of a dated change is about: nil where the change was
// moved or taken back, and for an owner of whom nothing stops any more.
func (d directory) stopped(ctx context.Context, e notify.Event) (*notify.Subject, error) {
	c, err := d.Store.ConcernedOwner(ctx, e.Organization, e.Owner)
	if err != nil || c == nil {
		return nil, err
	}
	o := c.Organization
	if _, next := o.Policies(d.Clock()); next == "" || !o.EnforceAt.Equal(e.At) {
		return nil, nil
	}
	p, err := d.Preview.Preview(ctx, preview.Change{Policy: inventory.SetPolicy{Organization: o.Name}, Owner: e.Owner}, preview.Query{Page: inventory.Page{Limit: mostTold}})
	if err != nil {
		return nil, err
	}
	s, err := d.subject(ctx, c)
	if err != nil {
		return nil, err
	}
	if e.Kind == notify.PolicyComing {
		s.Stops = &notify.Stops{Tokens: p.Counts.Breaks, Owners: p.Counts.Owners, Used: p.Counts.Used, Days: p.Coverage.Days, Unknown: p.Coverage.Unknown}
		if p.Coverage.Since != nil {
			s.Stops.Since = *p.Coverage.Since
		}
		return s, nil
	}
	if p.Counts.Breaks == 0 {
		return nil, nil
	}
	words := map[string]string{}
	for _, r := range p.Reasons {
		words[r.Reason] = r.Title
	}
	for i := range p.Tokens {
		t := &p.Tokens[i]
		s.Tokens = append(s.Tokens, notify.Token{
			ID: t.ID, Name: t.DisplayName, Last4: t.Last4, Kind: t.Kind, Owner: t.Owner, Status: t.Status, Why: words[t.Reason], Asks: t.Asks,
		})
	}
	s.More = p.Counts.Breaks - len(p.Tokens)
	return s, nil
}
