package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/usage"
)

// Would returns an organization as it is and as a change of policy and settings
// would leave it. It writes nothing, and waits for no writer.
func (s *Store) Would(ctx context.Context, set inventory.SetPolicy, settings map[string]any) (before, after *inventory.Organization, err error) {
	err = s.reading(ctx, func(st *state) error {
		before, after, err = inventory.Would(st, s.Policies, set, settings, s.Clock())
		return err
	})
	return before, after, err
}

// reachedRow is a token and when it was used at an organization.
type reachedRow struct {
	TokenID           string
	UsedAt, RefusedAt int64
}

// usedRow is what a token was used for.
type usedRow struct {
	TokenID, ResourceType, Resource, Permission string
	Requests                                    int64
}

// Reached returns the tokens that reach an organization after one, as they came,
// with how they were used since a time; of one owner, by name, or of all.
func (s *Store) Reached(ctx context.Context, organization, owner, after string, since time.Time, size int) (out []preview.Reached, err error) {
	err = s.reading(ctx, func(st *state) error {
		out = make([]preview.Reached, 0, size)
		used := map[string]int{}
		q := &question{from: "token_namespaces n JOIN tokens t ON t.number = n.token LEFT JOIN token_uses u ON u.token_id = t.id AND u.organization_id = " + db.Placeholders(1, 1), args: []any{organization}}
		if owner != "" {
			who, err := st.UserByName(inventory.Fold(owner))
			if err != nil || who == nil {
				return err
			}
			number, err := st.numbered(who.ID, st.UserNumber)
			if err != nil {
				return err
			}
			q.where("t.owner = ?", number)
		}
		here, err := st.numbered(organization, st.OrganizationNumber)
		if err != nil {
			return err
		}
		behind, err := st.place(after)
		if err != nil {
			return err
		}
		q.where("n.organization = ?", here)
		q.where("n.token > ?", behind)
		query := fmt.Sprintf("SELECT t.id, coalesce(u.used_at, 0), coalesce(u.refused_at, 0) %s ORDER BY n.token LIMIT %d", q, size)
		err = db.Each(ctx, st.session, query, q.args, func(r *reachedRow) error {
			at := fromMillis(r.UsedAt)
			if !at.Before(since) {
				used[r.TokenID] = len(out)
			}
			out = append(out, preview.Reached{Token: r.TokenID, Seen: r.UsedAt+r.RefusedAt > 0, UsedAt: at})
			return nil
		})
		if err != nil {
			return err
		}
		return st.uses(organization, since, out, used)
	})
	return out, err
}

// uses reads what tokens were used for: those in at, by their place in out.
func (s *state) uses(organization string, since time.Time, out []preview.Reached, at map[string]int) error {
	ids := make([]string, 0, len(at))
	for i := range out {
		if _, ok := at[out[i].Token]; ok {
			ids = append(ids, out[i].Token)
		}
	}
	for part := range slices.Chunk(ids, most) {
		where, args := in("u.token_id", part, []any{organization, int64(usage.DayOf(since))})
		err := db.Each(s.ctx, s.session, "SELECT u.token_id, u.resource_type, u.resource, u.permission, CAST(sum(u.requests) AS BIGINT) FROM usage_counts u"+
			" WHERE u.organization_id = $1 AND u.day >= $2 AND u.allowed AND "+where+
			" GROUP BY u.token_id, u.resource_type, u.resource, u.permission", args, func(r *usedRow) error {
			one := &out[at[r.TokenID]]
			one.Requests += r.Requests
			one.Uses = append(one.Uses, preview.Use{Type: r.ResourceType, Resource: r.Resource, Permission: r.Permission, Requests: r.Requests})
			return nil
		})
		if err != nil {
			return fmt.Errorf("read usage: %w", err)
		}
		for _, id := range part {
			one := &out[at[id]]
			slices.SortFunc(one.Uses, func(a, b preview.Use) int {
				return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Permission, b.Permission))
			})
			one.Uses = slices.Clip(one.Uses[:min(len(one.Uses), preview.MostUses)])
		}
	}
	return nil
}

// Known says since when usage is known, and how many tokens in no inventory were
// seen at an organization since a time.
func (s *Store) Known(ctx context.Context, organization string, since time.Time) (known time.Time, unknown int, requests int64, err error) {
	err = s.reading(ctx, func(st *state) error {
		if known, err = st.usageKnown(); err != nil {
			return err
		}
		row, err := st.CountUnknown(ctx, db.CountUnknownParams{OrganizationID: organization, Since: millis(since)})
		unknown, requests = int(row.Tokens), row.Requests
		return err
	})
	return known, unknown, requests, err
}
