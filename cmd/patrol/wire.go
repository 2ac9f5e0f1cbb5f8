package main

import (
	"context"
	"errors"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/decide"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/snapshot"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/routing"
	"github.com/patrol-authz/patrol/authz/telemetry"
)

// The small adapters by which the parts meet.

// follower is the snapshot as the pipeline asks for it.
type follower struct{ *snapshot.Follower }

func (f follower) Snapshot() decide.Snapshot {
	if s := f.Follower.Snapshot(); s != nil {
		return s
	}
	return nil
}

// commands carries out commands, and waits until they are in force here.
type commands struct{ *App }

func (c *commands) Do(ctx context.Context, actor inventory.Actor, cmd inventory.Command) (inventory.Result, error) {
	c.begin(cmd)
	r, err := c.Store.Do(ctx, actor, cmd)
	if err != nil {
		return r, err
	}
	if r.Changed {
		c.decided(cmd, &r)
		c.lookAgain(cmd, &r)
		c.Notify.Hint()
		if err := c.Follower.CatchUp(ctx); err != nil {
			// The change is on the disk; the follower goes on trying by itself.
			c.Log.Error("the change is stored and not yet in force", "action", cmd.Action(), "error", err)
			c.Follower.Hint()
		}
	}
	return r, nil
}

// begin prepares for what leaves much garbage.
func (c *commands) begin(cmd inventory.Command) {
	if list, ok := cmd.(inventory.ImportTokens); ok && len(list.Tokens) >= manyTokens {
		c.memory.busy(garbageOfImport)
	}
}

// manyTokens is how many tokens of an import leave much.
const manyTokens = 1000

// Check says what is wrong with a command, and carries nothing out.
func (c *commands) Check(ctx context.Context, actor inventory.Actor, cmd inventory.Command) error {
	c.begin(cmd)
	_, err := c.Store.Check(ctx, actor, cmd)
	return err
}

// decided counts how long a request waited for its decision.
func (c *commands) decided(cmd inventory.Command, r *inventory.Result) {
	switch cmd.(type) {
	case inventory.Approve, inventory.Deny:
		if a := r.Approval; a != nil && a.DecidedAt != nil {
			c.Metrics.Decided(a.DecidedAt.Sub(a.OpenedAt))
		}
	}
}

// OpenRequest opens an approval request at a token's first hit.
func (c *commands) OpenRequest(ctx context.Context, token, organization string) (*authz.ApprovalRequest, error) {
	r, err := c.Do(ctx, inventory.Actor{Kind: "system", Name: "patrol"}, inventory.OpenRequest{Organization: organization, Token: token})
	var gone *inventory.NotFound
	if errors.As(err, &gone) {
		return nil, nil // the token or the organization went meanwhile: there is nothing to try again
	}
	if err != nil || r.Approval == nil {
		return nil, err
	}
	return &authz.ApprovalRequest{ID: r.Approval.ID, State: r.Approval.State, OpenedAt: r.Approval.OpenedAt}, nil
}

// policyAdmin is the active policy as the API shows it.
type policyAdmin struct{ app *App }

func (p policyAdmin) Ruleset() *authz.Ruleset { return p.app.Bundles.Ruleset() }
func (p policyAdmin) Bundles() any            { return p.app.Bundles.Status() }
func (p policyAdmin) Routes() any             { return routes(p.Ruleset()) }

// explainer decides without a trace, for the API's check.
type explainer App

func (e *explainer) Explain(ctx context.Context, r authz.Request) *authz.Outcome {
	return e.Pipeline.Explain(ctx, r)
}

func (e *explainer) Input(f *authz.Facts) (map[string]any, error) {
	return input.Document(f, e.Config.Policy.CredentialHeaders...)
}

func (e *explainer) Sentence(o *authz.Outcome) string {
	return answer.Sentence(o, (*App)(e).answerOptions())
}

// decider decides on the tokens of the API's callers.
type decider App

func (d *decider) DecideOn(ctx context.Context, r authz.Request, on *authz.Route) *authz.Outcome {
	return d.Pipeline.DecideOn(ctx, r, on)
}

func (d *decider) ExplainOn(ctx context.Context, r authz.Request, on *authz.Route) *authz.Outcome {
	return d.Pipeline.ExplainOn(ctx, r, on)
}

func (d *decider) Memberships(user string) (all []admin.Membership) {
	s := d.Follower.Snapshot()
	s.EachOrganization(func(o *authz.Organization) bool {
		if o.Type == authz.TypeOrganization {
			if m := s.Membership(o, &authz.Owner{ID: user}); m != nil {
				all = append(all, admin.Membership{Organization: o.At(d.Clock()), Role: m.Role})
			}
		}
		return true
	})
	return all
}

// routes is the route table in the order in which it is tried.
func routes(r *authz.Ruleset) any {
	if r == nil {
		return []routing.Entry{}
	}
	if table, ok := r.Router.(interface{ Entries() []routing.Entry }); ok {
		return table.Entries()
	}
	return []routing.Entry{}
}

// previewer says whom a change of policy would break.
func (a *App) previewer() *preview.Previewer {
	return preview.New(preview.Options{
		Store: a.Store, Rules: a.Bundles.Ruleset, Judge: decide.Judge, Freeze: input.FreezeOrganization, Clock: a.Clock,
		Sentence: func(o *authz.Outcome) string {
			told, _ := answer.Told(o, a.answerOptions())
			return told
		},
		Snapshot: func() preview.Snapshot {
			if s := a.Follower.Snapshot(); s != nil {
				return s
			}
			return nil
		},
	})
}

// inventoryMetrics is what the metrics ask of the inventory.
type inventoryMetrics App

func (m *inventoryMetrics) Pending() map[string]telemetry.Queue {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	out := map[string]telemetry.Queue{}
	list, err := m.Store.PendingApprovals(ctx)
	if err != nil {
		m.Log.Error("count approval requests", "error", err)
	}
	for _, p := range list {
		out[p.Organization] = telemetry.Queue{Count: p.Count, Oldest: p.Oldest}
	}
	return out
}

func (m *inventoryMetrics) Tokens() int     { return m.Follower.Snapshot().Tokens() }
func (m *inventoryMetrics) AsOf() time.Time { return m.Follower.Snapshot().AsOf() }

func (m *inventoryMetrics) Modes() map[string]int {
	out := map[string]int{authz.Enforce: 0, authz.Observe: 0}
	m.Follower.Snapshot().EachOrganization(func(o *authz.Organization) bool {
		if o.Type == authz.TypeOrganization {
			out[o.Enforcement]++
		}
		return true
	})
	return out
}
