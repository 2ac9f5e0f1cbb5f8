package console

import (
	"context"
	"fmt"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
)

// standings say how tokens stand, in each organization that lists them, by the
// token's id.
func (c *Console) standings(ctx context.Context, rows []inventory.TokenRow) (map[string][]*standing, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	on, err := c.Queries.Reach(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read where tokens reach: %w", err)
	}
	out := map[string][]*standing{}
	for len(on) > 0 { // one organization after the other, as they come
		n := 1
		for n < len(on) && on[n].Organization == on[0].Organization {
			n++
		}
		list, err := c.standingsIn(ctx, on[0].Organization, on[:n], preview.FewTries)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			out[s.Row.ID] = append(out[s.Row.ID], s)
		}
		on = on[n:]
	}
	return out, nil
}

// standingsIn say how tokens stand in an organization, as it sees them.
func (c *Console) standingsIn(ctx context.Context, organization string, rows []inventory.TokenRow, most int) ([]*standing, error) {
	judged, p, err := c.judged(ctx, organization, rows, most)
	if err != nil {
		return nil, err
	}
	out := make([]*standing, len(rows))
	for i := range rows {
		out[i] = stand(&rows[i], judged[rows[i].ID], p)
	}
	return out, nil
}

// judged is what the policy decides on tokens in an organization, by their ids, and
// what else is told with it.
func (c *Console) judged(ctx context.Context, organization string, rows []inventory.TokenRow, most int) (map[string]*preview.Standing, *present, error) {
	o, err := c.Queries.Organization(ctx, organization)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	all, err := c.Standings.Stand(ctx, o.Name, ids, most)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if err != nil { // an organization that this server has not read yet, perhaps: the rest of a page is good
		c.Log.Warn("how tokens stand cannot be judged at present", "organization", o.Name, "error", err)
	}
	for id, j := range all {
		if j.Error != "" {
			c.Log.Error("how a token stands cannot be judged", "token", id, "organization", o.Name, "error", j.Error)
		}
	}
	return all, &present{now: c.Clock(), organization: o, catalogue: c.catalogue(), policy: c.describe(o.TokenPolicy), next: c.describe(o.NextTokenPolicy)}, nil
}
