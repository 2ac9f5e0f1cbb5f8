package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// LoadEach reads the whole inventory, row by row, and returns the number of the
// last change in it.
func (s *Store) LoadEach(ctx context.Context, into inventory.Loading) (change int64, err error) {
	err = s.reading(ctx, func(st *state) error {
		counter, err := st.Counter(ctx)
		if err != nil {
			return err
		}
		change = counter.Change
		l := &loader{state: st, known: map[string]*common{}}
		for _, read := range []func(inventory.Loading) error{l.organizations, l.people, l.tokens, l.authorizations, l.requests} {
			if err := read(into); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read the inventory: %w", err)
	}
	return change, nil
}

// loader reads all rows. The time goes to handing columns over one by one and
// to decoding JSON, so it asks for few columns (several as one text, between
// separators) and decodes what many rows share once.
type loader struct {
	*state
	known map[string]*common
}

// separator is in no text that people write, in no id and in no JSON.
const separator = "\x1f"

// maxKnown bounds how many shared parts are remembered.
const maxKnown = 100_000

// common is what tokens share: most of an owner's or an organization's tokens
// are alike but for their names and times.
type common struct {
	owner, kind, source string
	grants              []authz.Grant
	global              []string
}

// each reads the rows of a query with scan.
func (l *loader) each(scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := l.session.QueryContext(l.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return errors.Join(rows.Close(), rows.Err())
}

func (l *loader) organizations(into inventory.Loading) error {
	rows, err := l.AllOrganizations(l.ctx)
	list, err := all(rows, err, organizationOf)
	if err != nil {
		return err
	}
	for _, o := range list {
		if err := into.Organization(o); err != nil {
			return err
		}
	}
	return nil
}

// people reads the users and their memberships.
func (l *loader) people(into inventory.Loading) error {
	rows, err := l.AllUsers(l.ctx)
	list, err := all(rows, err, userOf)
	if err != nil {
		return err
	}
	for _, u := range list {
		if err := into.User(u); err != nil {
			return err
		}
	}
	return l.EachPeriod(l.ctx, func(p *db.Period) error {
		period, err := periodOf(p)
		if err != nil {
			return err
		}
		return into.Period(period)
	})
}

func (l *loader) tokens(into inventory.Loading) error {
	var t inventory.Token
	var own, shared string
	var digest sql.RawBytes
	var created, expires int64
	scan := func(rows *sql.Rows) error {
		if err := rows.Scan(&own, &shared, &digest, &created, &expires, &t.Disabled, &t.Version); err != nil {
			return err
		}
		var rest string
		t.ID, rest, _ = strings.Cut(own, separator)
		t.DisplayName, rest, _ = strings.Cut(rest, separator)
		var former string
		t.Last4, former, _ = strings.Cut(rest, separator)
		t.Former = nil
		if err := decode("former", former, &t.Former); err != nil {
			return fmt.Errorf("the token %s: %w", t.ID, err)
		}
		if len(digest) != len(t.Digest) {
			return fmt.Errorf("the token %s has a digest of %d bytes", t.ID, len(digest))
		}
		copy(t.Digest[:], digest)
		c, err := l.common(shared)
		if err != nil {
			return fmt.Errorf("the token %s: %w", t.ID, err)
		}
		t.OwnerID, t.Kind, t.Source, t.Grants, t.Global = c.owner, c.kind, c.source, c.grants, c.global
		t.CreatedAt, t.ExpiresAt = fromMillis(created), fromMillis(expires)
		return into.Token(&t)
	}
	return l.each(scan, `SELECT id || $1 || display_name || $1 || last4 || $1 || former, owner_id || $1 || kind || $1 || source || $1 || grants || $1 || global,
		digest, created_at, expires_at, disabled, version FROM tokens WHERE NOT deleted`, separator)
}

func (l *loader) common(text string) (*common, error) {
	if c := l.known[text]; c != nil {
		return c, nil
	}
	part := strings.SplitN(text, separator, 5)
	if len(part) != 5 {
		return nil, fmt.Errorf("it has %d of 5 shared columns", len(part))
	}
	c := &common{owner: part[0], kind: part[1], source: part[2]}
	var err error
	if c.grants, err = l.grants(part[3]); err != nil {
		return nil, err
	}
	if err := decode("global", part[4], &c.global); err != nil {
		return nil, err
	}
	l.remember(text, c)
	return c, nil
}

func (l *loader) remember(text string, c *common) {
	if len(l.known) < maxKnown {
		l.known[text] = c
	}
}

// grants decodes a list of grants; equal ones are one list.
func (l *loader) grants(text string) ([]authz.Grant, error) {
	if c := l.known[text]; c != nil {
		return c.grants, nil
	}
	c := &common{}
	if err := decode("grants", text, &c.grants); err != nil {
		return nil, err
	}
	l.remember(text, c)
	return c.grants, nil
}

func (l *loader) authorizations(into inventory.Loading) error {
	var a inventory.Authorization
	var grants string
	var expires, changed int64
	scan := func(rows *sql.Rows) error {
		err := rows.Scan(&a.TokenID, &a.OrganizationID, &a.State, &grants, &expires, &a.Suspended, &changed, &a.Comment)
		if err != nil {
			return err
		}
		if a.Grants, err = l.grants(grants); err != nil {
			return err
		}
		a.ExpiresAt, a.ChangedAt = fromMillis(expires), fromMillis(changed)
		return into.Authorization(&a)
	}
	return l.each(scan, `SELECT token_id, organization_id, state, grants, expires_at, suspended, changed_at, comment FROM authorizations`)
}

func (l *loader) requests(into inventory.Loading) error {
	var q inventory.Request
	var grants string
	var opened int64
	scan := func(rows *sql.Rows) error {
		err := rows.Scan(&q.ID, &q.TokenID, &q.OrganizationID, &q.Round, &q.State, &grants, &opened)
		if err != nil {
			return err
		}
		if q.Grants, err = l.grants(grants); err != nil {
			return err
		}
		q.OpenedAt = fromMillis(opened)
		return into.Request(&q)
	}
	return l.each(scan, `SELECT id, token_id, organization_id, round, state, grants, opened_at FROM requests q
		WHERE NOT EXISTS (SELECT 1 FROM requests p WHERE p.token_id = q.token_id AND p.organization_id = q.organization_id AND p.round > q.round)`)
}
