package sqlstore

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Rows as they are stored, and records as the rules know them.

func organizationOf(o *db.Organization) (*inventory.Organization, error) {
	out := &inventory.Organization{
		ID: o.ID, Name: o.Name, Type: o.Type, OwnerID: o.OwnerID, TokenPolicy: o.TokenPolicy, NextTokenPolicy: o.NextTokenPolicy,
		EnforceAt: fromMillis(o.EnforceAt), Enforcement: o.Enforcement, ManagedBy: o.ManagedBy, CreatedAt: fromMillis(o.CreatedAt),
		Version: o.Version, Deleted: o.Deleted,
	}
	if err := decode("aliases", o.Aliases, &out.Aliases); err != nil {
		return nil, err
	}
	return out, decode("settings", o.Settings, &out.Settings)
}

func userOf(u *db.User) (*inventory.User, error) {
	return &inventory.User{
		ID: u.ID, Name: u.Name, Type: u.Type, Email: u.Email, CreatedAt: fromMillis(u.CreatedAt),
		Address: inventory.Address{ConfirmedAt: fromMillis(u.EmailConfirmedAt), ConfirmedBy: u.EmailConfirmedBy, AskedAt: fromMillis(u.EmailAskedAt)},
	}, nil
}

func periodOf(p *db.Period) (*inventory.Period, error) {
	return &inventory.Period{OrganizationID: p.OrganizationID, UserID: p.UserID, Role: p.Role, Since: fromMillis(p.Since), Until: fromMillis(p.Until)}, nil
}

func tokenOf(t *db.Token) (*inventory.Token, error) {
	out := &inventory.Token{
		ID: t.ID, DisplayName: t.DisplayName, Last4: t.Last4, Kind: t.Kind, OwnerID: t.OwnerID, Source: t.Source, Purpose: t.Purpose,
		Contact: t.Contact, CreatedAt: fromMillis(t.CreatedAt), ExpiresAt: fromMillis(t.ExpiresAt), Disabled: t.Disabled, Deleted: t.Deleted,
		Version: t.Version,
	}
	if copy(out.Digest[:], t.Digest) != len(out.Digest) {
		return nil, fmt.Errorf("the token %s has a digest of %d bytes", t.ID, len(t.Digest))
	}
	if err := decode("grants", t.Grants, &out.Grants); err != nil {
		return nil, err
	}
	if err := decode("former", t.Former, &out.Former); err != nil {
		return nil, err
	}
	return out, decode("global", t.Global, &out.Global)
}

func authorizationOf(a *db.Authorization) (*inventory.Authorization, error) {
	out := &inventory.Authorization{
		TokenID: a.TokenID, OrganizationID: a.OrganizationID, State: a.State, ExpiresAt: fromMillis(a.ExpiresAt), Suspended: a.Suspended,
		ChangedAt: fromMillis(a.ChangedAt), ChangedBy: a.ChangedBy, Comment: a.Comment,
	}
	return out, decode("grants", a.Grants, &out.Grants)
}

func requestOf(q *db.Request) (*inventory.Request, error) {
	out := &inventory.Request{
		ID: q.ID, TokenID: q.TokenID, OrganizationID: q.OrganizationID, Round: int(q.Round), State: q.State, OpenedAt: fromMillis(q.OpenedAt),
		OpenedBy: q.OpenedBy, DecidedAt: fromMillis(q.DecidedAt), DecidedBy: q.DecidedBy, Decision: q.Decision, Comment: q.Comment,
		OwnerID: q.OwnerID, Purpose: q.Purpose, Assignee: q.Assignee,
	}
	if err := decode("review", q.Review, &out.Review); err != nil {
		return nil, err
	}
	return out, decode("grants", q.Grants, &out.Grants)
}

func tokenVersionOf(v *db.TokenVersion) (*inventory.TokenVersion, error) {
	out := &inventory.TokenVersion{
		TokenID: v.TokenID, Version: v.Version, Kind: v.Kind, ExpiresAt: fromMillis(v.ExpiresAt), ChangedAt: fromMillis(v.ChangedAt), ChangedBy: v.ChangedBy,
	}
	return out, decode("grants", v.Grants, &out.Grants)
}

// encode writes a column that holds JSON.
func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

func decode(column, text string, into any) error {
	if text == "" || text == "null" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("read the column %s: %w", column, err)
	}
	return nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// one converts a row that may not be there: then it is nil.
func one[R, T any](row R, err error, convert func(*R) (*T, error)) (*T, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return convert(&row)
}

// all converts rows.
func all[R, T any](rows []R, err error, convert func(*R) (*T, error)) ([]*T, error) {
	if err != nil {
		return nil, err
	}
	out := make([]*T, 0, len(rows))
	for i := range rows {
		v, err := convert(&rows[i])
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
