package sqlstore

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

const (
	organizationColumns  = `id, name, type, owner_id, token_policy, next_token_policy, enforce_at, enforcement, managed_by, settings, created_at, version, deleted`
	userColumns          = `id, name, type, email, created_at`
	periodColumns        = `organization_id, user_id, since, until, role`
	tokenColumns         = `id, digest, display_name, last4, kind, owner_id, source, grants, global, purpose, contact, created_at, expires_at, disabled, deleted, version`
	authorizationColumns = `token_id, organization_id, state, grants, expires_at, suspended, changed_at, changed_by, comment`
	requestColumns       = `id, token_id, organization_id, round, state, grants, opened_at, opened_by, decided_at, decided_by, decision, comment`
)

type scanner interface{ Scan(dest ...any) error }

func scanOrganization(r scanner) (*inventory.Organization, error) {
	var o inventory.Organization
	var enforce, created int64
	var settings string
	err := r.Scan(&o.ID, &o.Name, &o.Type, &o.OwnerID, &o.TokenPolicy, &o.NextTokenPolicy, &enforce, &o.Enforcement, &o.ManagedBy, &settings, &created, &o.Version, &o.Deleted)
	if err != nil {
		return nil, err
	}
	o.EnforceAt, o.CreatedAt = fromMillis(enforce), fromMillis(created)
	return &o, decode("settings", settings, &o.Settings)
}

func scanUser(r scanner) (*inventory.User, error) {
	var u inventory.User
	var created int64
	err := r.Scan(&u.ID, &u.Name, &u.Type, &u.Email, &created)
	u.CreatedAt = fromMillis(created)
	return &u, err
}

func scanPeriod(r scanner) (*inventory.Period, error) {
	var p inventory.Period
	var since, until int64
	err := r.Scan(&p.OrganizationID, &p.UserID, &since, &until, &p.Role)
	p.Since, p.Until = fromMillis(since), fromMillis(until)
	return &p, err
}

func scanToken(r scanner) (*inventory.Token, error) {
	return scanTokenWith(func(text string) (g []authz.Grant, err error) { return g, decode("grants", text, &g) })(r)
}

// sharingGrants scans many tokens: those with equal grants share one list.
func sharingGrants() func(scanner) (*inventory.Token, error) {
	known := map[string][]authz.Grant{}
	return scanTokenWith(func(text string) ([]authz.Grant, error) {
		if g, ok := known[text]; ok {
			return g, nil
		}
		var g []authz.Grant
		err := decode("grants", text, &g)
		if len(known) < 100_000 {
			known[text] = g
		}
		return g, err
	})
}

func scanTokenWith(grantsOf func(text string) ([]authz.Grant, error)) func(scanner) (*inventory.Token, error) {
	return func(r scanner) (*inventory.Token, error) { return tokenOf(r, grantsOf) }
}

func tokenOf(r scanner, grantsOf func(text string) ([]authz.Grant, error)) (*inventory.Token, error) {
	var t inventory.Token
	var digest []byte
	var grants, global string
	var created, expires int64
	err := r.Scan(&t.ID, &digest, &t.DisplayName, &t.Last4, &t.Kind, &t.OwnerID, &t.Source, &grants, &global, &t.Purpose, &t.Contact, &created, &expires, &t.Disabled, &t.Deleted, &t.Version)
	if err != nil {
		return nil, err
	}
	if copy(t.Digest[:], digest) != len(t.Digest) {
		return nil, fmt.Errorf("the token %s has a digest of %d bytes", t.ID, len(digest))
	}
	t.CreatedAt, t.ExpiresAt = fromMillis(created), fromMillis(expires)
	if t.Grants, err = grantsOf(grants); err != nil {
		return nil, err
	}
	return &t, decode("global", global, &t.Global)
}

func scanAuthorization(r scanner) (*inventory.Authorization, error) {
	var a inventory.Authorization
	var grants string
	var expires, changed int64
	err := r.Scan(&a.TokenID, &a.OrganizationID, &a.State, &grants, &expires, &a.Suspended, &changed, &a.ChangedBy, &a.Comment)
	if err != nil {
		return nil, err
	}
	a.ExpiresAt, a.ChangedAt = fromMillis(expires), fromMillis(changed)
	return &a, decode("grants", grants, &a.Grants)
}

func scanRequest(r scanner) (*inventory.Request, error) {
	var q inventory.Request
	var grants string
	var opened, decided int64
	err := r.Scan(&q.ID, &q.TokenID, &q.OrganizationID, &q.Round, &q.State, &grants, &opened, &q.OpenedBy, &decided, &q.DecidedBy, &q.Decision, &q.Comment)
	if err != nil {
		return nil, err
	}
	q.OpenedAt, q.DecidedAt = fromMillis(opened), fromMillis(decided)
	return &q, decode("grants", grants, &q.Grants)
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

// one turns "no rows" into nil.
func one[T any](v *T, err error) (*T, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// all scans every row.
func all[T any](rows *sql.Rows, err error, scan func(scanner) (*T, error)) ([]*T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
