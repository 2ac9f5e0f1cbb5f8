package preview

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// batch is how many tokens are read and judged at a time: between two batches
// the work can be cancelled.
const batch = 1000

// Preview says whom a change would break. Errors are the change's own
// ([*inventory.Invalid], [*inventory.NotFound], [*inventory.Forbidden]), or
// say why it could not be judged.
func (p *Previewer) Preview(ctx context.Context, c Change, q Query) (*Preview, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	whole, err := p.whole(ctx, c)
	if err != nil {
		return nil, err
	}
	return whole.page(q)
}

// Stopped returns the owners, by name, of all tokens that a change would break.
func (p *Previewer) Stopped(ctx context.Context, c Change) ([]string, error) {
	whole, err := p.whole(ctx, c)
	if err != nil {
		return nil, err
	}
	return whole.owners, nil
}

// whole judges all tokens, or finds what came of it a moment ago.
func (p *Previewer) whole(ctx context.Context, c Change) (*whole, error) {
	if c.Days == 0 {
		c.Days = DefaultDays
	}
	if c.Days < 1 || c.Days > MaxDays {
		return nil, &inventory.Invalid{Field: "days", Problem: "must be 1 to 90"}
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, err := p.prepare(ctx, c)
	if err != nil {
		return nil, err
	}
	whole := p.kept.find(r)
	if whole == nil {
		if err := r.judgeAll(ctx); err != nil {
			return nil, err
		}
		whole = r.finish()
		p.kept.keep(r, whole)
	}
	return whole, nil
}

// run is one preview under way.
type run struct {
	*Previewer
	started       time.Time
	change        Change
	rules         *authz.Ruleset
	snapshot      Snapshot
	names         []string // the organization's, as routes have it
	before, after *authz.Organization
	now           time.Time // of the clock
	at            time.Time // for when it is judged
	since         time.Time
	tried         map[string][]string
	key           string // of what is kept

	mu     sync.Mutex
	report Preview
	counts map[string]*counted // by "outcome reason"
	owners map[string]*OwnerCount
	status map[string]*StatusCount
	tokens []TokenOutcome
	// approved tokens are those that existing_tokens would approve.
	approved int
}

func (p *Previewer) prepare(ctx context.Context, c Change) (*run, error) {
	r := &run{
		Previewer: p, started: time.Now(), change: c, rules: p.Rules(), snapshot: p.Snapshot(), now: p.Clock().UTC().Truncate(time.Second),
		counts: map[string]*counted{}, owners: map[string]*OwnerCount{}, status: map[string]*StatusCount{},
	}
	if r.rules == nil || r.rules.Evaluator == nil {
		return nil, errors.New("no policy bundle is active")
	}
	if r.snapshot == nil {
		return nil, errors.New("the inventory has not been read yet")
	}
	before, after, err := p.Store.Would(ctx, c.Policy, c.Settings)
	if err != nil {
		return nil, err
	}
	if !r.shape(before, after) {
		return nil, &inventory.Invalid{Field: "body", Problem: "changes nothing: give token_policy, enforcement, clear_next or settings"}
	}
	r.since = usageFrom(r.now, c.Days)
	if r.tried, err = fallbacks(ctx, r.rules); err != nil {
		return nil, err
	}
	r.names = []string{before.Name}
	r.report = Preview{
		Organization: before.Name, ManagedBy: before.ManagedBy, Revision: r.rules.Revision, At: r.at, From: stateOf(r.before), To: stateOf(r.after),
		Coverage: Coverage{Days: c.Days},
	}
	r.key = keyOf(r, before, after)
	return r, nil
}

// usageFrom is the beginning of the first of some days, today included.
func usageFrom(now time.Time, days int) time.Time {
	return now.Truncate(24*time.Hour).AddDate(0, 0, 1-days)
}

// shape makes the organization that is judged by as it is and as it would be,
// both at the time when the change comes into force: what would have ended by
// then anyway is not the change's doing. It says whether there is a change at all.
func (r *run) shape(before, after *inventory.Organization) bool {
	set, waits := &r.change.Policy, before.NextTokenPolicy != "" && r.now.Before(before.EnforceAt)
	if r.change.still() && !waits {
		return false
	}
	dated := !set.EnforceAt.IsZero() || r.change.still()
	r.at = r.now
	present, next := before.Policies(r.now)
	then, thenNext := after.Policies(r.now)
	if dated {
		r.at = after.EnforceAt
		then, next, thenNext = after.NextTokenPolicy, "", ""
	}
	r.before = r.form(before, present, next)
	r.after = r.form(after, then, thenNext)
	return true
}

// still says whether a change changes nothing of policy and settings.
func (c *Change) still() bool {
	p := &c.Policy
	return p.TokenPolicy == "" && p.Enforcement == "" && !p.ClearNext && len(c.Settings) == 0
}

func (r *run) form(o *inventory.Organization, policy, next string) *authz.Organization {
	out := &authz.Organization{
		ID: o.ID, Name: o.Name, Type: o.Type, TokenPolicy: policy, NextTokenPolicy: next, Enforcement: o.Enforcement,
		ManagedBy: o.ManagedBy, Settings: o.Settings, OwnerID: o.OwnerID,
	}
	if next != "" {
		out.EnforceAt = o.EnforceAt
	}
	if known := r.snapshot.Organization(o.Name); known != nil && known.ID == o.ID {
		out.Ref = known.Ref
	}
	out.Frozen = r.Freeze(out)
	return out
}

func stateOf(o *authz.Organization) Chosen {
	return Chosen{TokenPolicy: o.TokenPolicy, Enforcement: o.Enforcement, Settings: o.Settings}
}

// judgeAll judges the tokens, batch by batch.
func (r *run) judgeAll(ctx context.Context) error {
	since, unknown, requests, err := r.Store.Known(ctx, r.before.ID, r.since)
	if err != nil {
		return err
	}
	r.report.Coverage.Unknown, r.report.Coverage.UnknownRequests = unknown, requests
	if !since.IsZero() {
		if since.Before(r.since) {
			since = r.since
		}
		r.report.Coverage.Since = &since
	}
	for after := ""; ; {
		list, err := r.Store.Reached(ctx, r.before.ID, r.change.Owner, after, r.since, batch)
		if err != nil {
			return fmt.Errorf("read the tokens of %s: %w", r.before.Name, err)
		}
		if len(list) == 0 {
			return nil
		}
		after = list[len(list)-1].Token
		if err := r.judgeBatch(ctx, list); err != nil {
			return err
		}
	}
}

// judgeBatch shares the tokens among the workers. One that panics must not take
// the server with it: a rule's mistake is an error.
func (r *run) judgeBatch(ctx context.Context, list []Reached) error {
	var wait sync.WaitGroup
	errs := make([]error, r.Workers)
	for w := range r.Workers {
		wait.Go(func() {
			defer func() {
				if broke := recover(); broke != nil {
					errs[w] = fmt.Errorf("panic while judging: %v", broke)
				}
			}()
			j := &judge{run: r}
			for i := w; i < len(list); i += r.Workers {
				if errs[w] = ctx.Err(); errs[w] != nil {
					return
				}
				j.one(ctx, &list[i])
			}
			r.add(j)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}
