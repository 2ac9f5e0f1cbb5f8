package sqlstore

import (
	"context"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Dated is a token in an organization, and a time.
type Dated struct {
	Organization, Token, Request string // ids
	At                           time.Time
}

// OpenRequests returns the approval requests that were opened before a time and
// are still open, the oldest first; at most 10,000.
func (s *Store) OpenRequests(ctx context.Context, before time.Time) (out []Dated, err error) {
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.RequestsOpen(ctx, millis(before))
		for _, r := range rows {
			out = append(out, Dated{r.OrganizationID, r.TokenID, r.ID, fromMillis(r.OpenedAt)})
		}
		return err
	})
	return out, err
}

// ApprovalsEnding returns approvals whose end lies from a time on and before
// another; at most 10,000.
func (s *Store) ApprovalsEnding(ctx context.Context, from, before time.Time) (out []Dated, err error) {
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.Queries.ApprovalsEnding(ctx, db.ApprovalsEndingParams{Since: millis(from), Before: millis(before)})
		for _, r := range rows {
			out = append(out, Dated{Organization: r.OrganizationID, Token: r.TokenID, At: fromMillis(r.ExpiresAt)})
		}
		return err
	})
	return out, err
}

// TokensExpiring returns tokens whose end lies from a time on and before
// another, once for each organization that lists them; at most 10,000.
func (s *Store) TokensExpiring(ctx context.Context, from, before time.Time) (out []Dated, err error) {
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.Queries.TokensExpiring(ctx, db.TokensExpiringParams{Since: millis(from), Before: millis(before)})
		for _, r := range rows {
			out = append(out, Dated{Organization: r.OrganizationID, Token: r.ID, At: fromMillis(r.ExpiresAt)})
		}
		return err
	})
	return out, err
}

// PoliciesComing returns the organizations whose dated change of policy lies
// ahead, and before a time.
func (s *Store) PoliciesComing(ctx context.Context, before time.Time) (out []Dated, err error) {
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.Queries.PoliciesComing(ctx, db.PoliciesComingParams{Before: millis(before), Now: millis(s.Clock())})
		for _, r := range rows {
			out = append(out, Dated{Organization: r.ID, At: fromMillis(r.EnforceAt)})
		}
		return err
	})
	return out, err
}

// DateTold is a date of a change of policy that an owner (by name) was told.
type DateTold struct {
	Organization, Owner string
	At                  time.Time
}

// DatesTold returns the dates that owners were told, in that order.
func (s *Store) DatesTold(ctx context.Context) (out []DateTold, err error) {
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.Queries.DatesTold(ctx)
		for _, r := range rows {
			out = append(out, DateTold{Organization: r.OrganizationID, Owner: r.Owner, At: fromMillis(r.At)})
		}
		return err
	})
	return out, err
}

// Address is how somebody is reached.
type Address struct{ Name, Email string }

// ReachableAdministrators returns the administrators of an organization (by id)
// who have a confirmed address, by name; at most 50.
func (s *Store) ReachableAdministrators(ctx context.Context, organizationID string) (out []Address, err error) {
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.Queries.ReachableAdministrators(ctx, organizationID)
		for _, r := range rows {
			out = append(out, Address(r))
		}
		return err
	})
	return out, err
}

// Concerned is what an event is about.
type Concerned struct {
	Organization *inventory.Organization
	Token        *inventory.TokenRow // as the organization sees it; nil where the event is about none
	// Owner is empty but for the name where the address is not confirmed.
	Owner Address
	// Responsible are those who answer for the owner, a service account, and have a
	// confirmed address.
	Responsible []Address
}

// ConcernedOwner is an organization and somebody who has tokens there, by name;
// nil where one of them is gone.
func (s *Store) ConcernedOwner(ctx context.Context, organizationID, owner string) (out *Concerned, err error) {
	err = s.reading(ctx, func(st *state) error {
		o, err := st.OrganizationByID(organizationID)
		if err != nil || o == nil || o.Deleted {
			return err
		}
		c := &Concerned{Organization: o}
		if owner != "" {
			u, err := st.UserByName(owner)
			if err != nil || u == nil {
				return err
			}
			c.Owner = address(u)
			if c.Responsible, err = st.responsibleAddresses(o.ID, u); err != nil {
				return err
			}
		}
		out = c
		return nil
	})
	return out, err
}

// Concerned reads what an event is about as it stands now; nil where it is gone.
func (s *Store) Concerned(ctx context.Context, organizationID, tokenID string) (out *Concerned, err error) {
	err = s.reading(ctx, func(st *state) error {
		o := &inventory.Organization{}
		if organizationID != "" {
			var err error
			if o, err = st.OrganizationByID(organizationID); err != nil || o == nil || o.Deleted {
				return err
			}
		}
		c := &Concerned{Organization: o}
		if tokenID == "" {
			out = c
			return nil
		}
		t, err := st.TokenByID(tokenID)
		if err != nil || t == nil || t.Deleted {
			return err
		}
		seen := o
		if organizationID == "" {
			seen = nil // as its operators see it
		}
		if c.Token, err = s.tokenRow(st, seen, tokenID); err != nil {
			return err
		}
		u, err := st.UserByID(t.OwnerID)
		if err != nil {
			return err
		}
		if u != nil {
			c.Owner = address(u)
			c.Responsible, err = st.responsibleAddresses(o.ID, u)
		}
		out = c
		return err
	})
	return out, err
}
