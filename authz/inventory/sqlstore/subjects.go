package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
	"github.com/patrol-authz/patrol/authz/usage"
)

// usageShown is how far back the rules of hygiene see usage.
const usageShown = 90

// Subjects returns the pairs after one, for the rules of hygiene: of each
// organization first itself, then the tokens that reach it, by their ids.
func (s *Store) Subjects(ctx context.Context, organization string, after hygiene.Pair, size int) (out []hygiene.Subject, err error) {
	err = s.reading(ctx, func(st *state) error {
		known, err := st.usageKnown()
		if err != nil {
			return err
		}
		at := after
		for len(out) < size {
			if at.Organization != "" {
				found, err := st.subjectsOf(at, size-len(out), known, s.Clock())
				if err != nil {
					return err
				}
				if len(found) > 0 {
					out = append(out, found...)
					at = found[len(found)-1].Pair
					continue
				}
			}
			next, err := st.nextOrganization(organization, at.Organization)
			if err != nil || next == nil {
				return err
			}
			at = hygiene.Pair{Organization: next.ID}
			out = append(out, hygiene.Subject{Pair: at, Document: &hygiene.Document{Now: now(s.Clock()), Organization: organizationShown(next)}})
		}
		return nil
	})
	return out, err
}

func now(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// nextOrganization finds the organization after one by its id; limited to one,
// that one and no other.
func (s *state) nextOrganization(only, after string) (*inventory.Organization, error) {
	if only != "" {
		if after != "" {
			return nil, nil
		}
		o, err := s.OrganizationByID(only)
		if err != nil || o == nil || o.Deleted {
			return nil, err
		}
		return o, nil
	}
	rows, err := s.NextOrganization(s.ctx, after)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return organizationOf(&rows[0])
}

// subjectsOf reads the tokens of an organization after one.
func (s *state) subjectsOf(at hygiene.Pair, size int, known, clock time.Time) ([]hygiene.Subject, error) {
	after, err := s.place(at.Token)
	if err != nil {
		return nil, err
	}
	ids, err := s.ReachedTokens(s.ctx, db.ReachedTokensParams{OrganizationID: at.Organization, After: after, Size: int32(min(size, most))}) //nolint:gosec // at most 256
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	o, err := s.OrganizationByID(at.Organization)
	if err != nil || o == nil {
		return nil, err
	}
	return s.documents(o, ids, known, clock)
}

// SubjectsOf returns the pairs of a token, for the rules of hygiene.
func (s *Store) SubjectsOf(ctx context.Context, token string) (out []hygiene.Subject, err error) {
	err = s.reading(ctx, func(st *state) error {
		known, err := st.usageKnown()
		if err != nil {
			return err
		}
		organizations, err := st.ReachOfToken(ctx, token)
		for _, id := range organizations {
			o, err := st.OrganizationByID(id)
			if err != nil {
				return err
			}
			found, err := st.documents(o, []string{token}, known, s.Clock())
			if err != nil {
				return err
			}
			out = append(out, found...)
		}
		return err
	})
	return out, err
}

// documents shows tokens at an organization to the rules.
func (s *state) documents(o *inventory.Organization, ids []string, known, clock time.Time) ([]hygiene.Subject, error) {
	where, args := in("t.id", ids, nil)
	tokens, err := selectRows(s, "t", "FROM tokens t WHERE NOT t.deleted AND "+where+" ORDER BY t.number", args, tokenOf)
	if err != nil {
		return nil, err
	}
	if err := s.readTokens(o, tokens); err != nil {
		return nil, err
	}
	usages, err := s.usageOf(o.ID, ids, known, clock)
	if err != nil {
		return nil, err
	}
	byID := map[string]*inventory.Token{}
	for _, t := range tokens {
		byID[t.ID] = t
	}
	out := make([]hygiene.Subject, len(ids))
	for i, id := range ids {
		d := &hygiene.Document{Now: now(clock), Organization: organizationShown(o)}
		out[i] = hygiene.Subject{Pair: hygiene.Pair{Organization: o.ID, Token: id}, Document: d}
		t := byID[id]
		if t == nil {
			// It was deleted meanwhile: nothing is to be found.
			d.Token = &hygiene.Token{ID: id, Disabled: true}
			continue
		}
		if err := s.fill(d, o, t); err != nil {
			return nil, err
		}
		d.Usage = usages[id]
	}
	return out, nil
}

func (s *state) fill(d *hygiene.Document, o *inventory.Organization, t *inventory.Token) error {
	d.Token = tokenShown(o, t)
	owner, err := s.UserByID(t.OwnerID)
	if err != nil {
		return err
	}
	if owner != nil {
		d.Token.Owner = hygiene.Owner{Name: owner.Name, Type: owner.Type}
		if d.Token.Owner.Responsible, err = s.responsible(o, owner.ID, owner.Type); err != nil {
			return err
		}
	}
	periods, err := s.Periods(o.ID, t.OwnerID)
	if err != nil {
		return err
	}
	if n := len(periods); n > 0 && periods[n-1].Until.IsZero() {
		d.Membership = &hygiene.Membership{Role: periods[n-1].Role, Since: periods[n-1].Since}
	}
	a, err := s.Authorization(t.ID, o.ID)
	if err != nil {
		return err
	}
	d.Authorization = &hygiene.Authorization{State: "none"}
	if a != nil {
		d.Authorization = &hygiene.Authorization{State: a.State, Suspended: a.Suspended, ChangedAt: a.ChangedAt, ExpiresAt: a.ExpiresAt}
	}
	return nil
}

func organizationShown(o *inventory.Organization) *hygiene.Organization {
	return &hygiene.Organization{ID: o.ID, Name: o.Name, Type: o.Type, TokenPolicy: o.TokenPolicy, Enforcement: o.Enforcement}
}

func tokenShown(o *inventory.Organization, t *inventory.Token) *hygiene.Token {
	out := &hygiene.Token{
		ID: t.ID, DisplayName: t.DisplayName, Kind: t.Kind, Source: t.Source, Purpose: t.Purpose,
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, Disabled: t.Disabled,
	}
	for i, f := range t.Former { // the newest first
		if i == 0 {
			out.RotatedAt = f.At
		}
		if f.ReusedAt.After(out.ReusedAt) {
			out.ReusedAt = f.ReusedAt
		}
	}
	for _, g := range t.On(o.ID) {
		out.Grants = append(out.Grants, hygiene.Grant{Entity: hygiene.Entity{Type: g.Entity.Type, Name: g.Entity.Name}, Permissions: g.Permissions})
	}
	return out
}

// Rows of usage, as they are put together for the rules.
type (
	allowedRow struct {
		TokenID, ResourceType, Resource, Permission string
		Requests, LastAt                            int64
	}
	refusedRow struct {
		TokenID, Reason  string
		Day              int64
		Requests, LastAt int64
	}
	networkRow struct {
		TokenID, Network string
		LastAt           int64
	}
	useRow struct {
		TokenID string
		UsedAt  int64
	}
)

// usageOf reads how tokens were used at an organization; what concerns no
// organization, such as a secret in a query string, concerns each.
func (s *state) usageOf(organization string, ids []string, known, clock time.Time) (map[string]*hygiene.Usage, error) {
	out := map[string]*hygiene.Usage{}
	if known.IsZero() {
		return out, nil
	}
	first := usage.DayOf(clock) - usageShown
	if known.Before(first.Time()) {
		known = first.Time()
	}
	for _, id := range ids {
		out[id] = &hygiene.Usage{Since: known, Allowed: []hygiene.Allowed{}, Refused: []hygiene.Refused{}, Networks: []hygiene.Network{}}
	}
	where, args := in("u.token_id", slices.Clone(ids), []any{organization, int64(first)})
	const from = " FROM usage_counts u WHERE u.organization_id = $1 AND u.day >= $2 AND "
	err := db.Each(s.ctx, s.session, "SELECT u.token_id, u.resource_type, u.resource, u.permission, CAST(sum(u.requests) AS BIGINT), max(u.last_at)"+from+"u.allowed AND "+where+
		" GROUP BY u.token_id, u.resource_type, u.resource, u.permission", args, func(r *allowedRow) error {
		u := out[r.TokenID]
		u.Allowed = append(u.Allowed, hygiene.Allowed{ResourceType: r.ResourceType, Resource: r.Resource, Permission: r.Permission, Count: r.Requests, LastAt: fromMillis(r.LastAt)})
		return nil
	})
	if err == nil {
		err = db.Each(s.ctx, s.session, "SELECT u.token_id, u.reason, u.day, CAST(sum(u.requests) AS BIGINT), max(u.last_at) FROM usage_counts u WHERE u.organization_id IN ($1, '') AND u.day >= $2 AND NOT u.allowed AND "+
			where+" GROUP BY u.token_id, u.reason, u.day", args, func(r *refusedRow) error {
			u := out[r.TokenID]
			u.Refused = append(u.Refused, hygiene.Refused{Reason: r.Reason, Count: r.Requests, LastAt: fromMillis(r.LastAt)})
			return nil
		})
	}
	if err == nil {
		err = db.Each(s.ctx, s.session, "SELECT u.token_id, u.network, max(u.last_at)"+from+"u.network NOT IN ('', '*') AND "+where+" GROUP BY u.token_id, u.network", args, func(r *networkRow) error {
			u := out[r.TokenID]
			u.Networks = append(u.Networks, hygiene.Network{Network: r.Network, LastAt: fromMillis(r.LastAt)})
			return nil
		})
	}
	if err == nil {
		where, args = in("x.token_id", slices.Clone(ids), []any{organization})
		err = db.Each(s.ctx, s.session, "SELECT x.token_id, x.used_at FROM token_uses x WHERE x.organization_id = $1 AND "+where, args, func(r *useRow) error {
			out[r.TokenID].LastUsedAt = fromMillis(r.UsedAt)
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	return out, nil
}
