package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Load reads the whole inventory, and the number of the last change in it.
func (s *Store) Load(ctx context.Context) (*inventory.Records, int64, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, fmt.Errorf("read the inventory: %w", err)
	}
	defer tx.Rollback()
	var change int64
	if err := tx.QueryRowContext(ctx, `SELECT change FROM counter`).Scan(&change); err != nil {
		return nil, 0, fmt.Errorf("read the inventory: %w", err)
	}
	r := &inventory.Records{}
	st := newState(ctx, tx)
	defer st.close()
	if r.Organizations, err = findAll(st, scanOrganization, `SELECT `+organizationColumns+` FROM organizations WHERE deleted = 0`); err == nil {
		r.Users, err = findAll(st, scanUser, `SELECT `+userColumns+` FROM users`)
	}
	if err == nil {
		r.Periods, err = findAll(st, scanPeriod, `SELECT `+periodColumns+` FROM periods ORDER BY organization_id, user_id, since`)
	}
	if err == nil {
		r.Tokens, err = findAll(st, sharingGrants(), `SELECT `+tokenColumns+` FROM tokens WHERE deleted = 0`)
	}
	if err == nil {
		r.Authorizations, err = findAll(st, scanAuthorization, `SELECT `+authorizationColumns+` FROM authorizations`)
	}
	if err == nil {
		r.Requests, err = findAll(st, scanRequest, `SELECT `+requestColumns+` FROM requests q WHERE round = (SELECT max(round) FROM requests p WHERE p.token_id = q.token_id AND p.organization_id = q.organization_id)`)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the inventory: %w", err)
	}
	return r, change, nil
}

// Changes reads what changed after a change number, as it stands now, and the
// number of the last change. gap is true when the log no longer reaches back
// that far, or when so much changed that loading is better: load again.
func (s *Store) Changes(ctx context.Context, after int64) (r *inventory.Records, last int64, gap bool, err error) {
	if err := s.read.QueryRowContext(ctx, `SELECT change FROM counter`).Scan(&last); err != nil {
		return nil, 0, false, fmt.Errorf("read the change counter: %w", err)
	}
	if last == after {
		return nil, last, false, nil
	}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, false, fmt.Errorf("read the change log: %w", err)
	}
	defer tx.Rollback()
	var first sql.NullInt64
	var rows int
	err = tx.QueryRowContext(ctx, `SELECT (SELECT change FROM counter), min(change), count(*) FROM changes WHERE change > ?`, after).Scan(&last, &first, &rows)
	if err != nil {
		return nil, 0, false, fmt.Errorf("read the change log: %w", err)
	}
	if last < after || !first.Valid && last > after || first.Valid && first.Int64 != after+1 || rows > maxChanges {
		return nil, last, true, nil
	}
	r, err = s.changed(ctx, tx, after)
	return r, last, false, err
}

// maxChanges is how many changed rows are read one by one.
const maxChanges = 20000

func (s *Store) changed(ctx context.Context, tx *sql.Tx, after int64) (*inventory.Records, error) {
	rows, err := tx.QueryContext(ctx, `SELECT DISTINCT kind, key1, key2 FROM changes WHERE change > ?`, after)
	keys, err := all(rows, err, func(r scanner) (*touched, error) {
		var k touched
		return &k, r.Scan(&k.kind, &k.key1, &k.key2)
	})
	if err != nil {
		return nil, fmt.Errorf("read the change log: %w", err)
	}
	st := newState(ctx, tx)
	defer st.close()
	r := &inventory.Records{}
	for _, k := range keys {
		if err := readChanged(st, r, k); err != nil {
			return nil, fmt.Errorf("read the changed %s %s: %w", k.kind, k.key1, err)
		}
	}
	return r, nil
}

func readChanged(st *state, r *inventory.Records, k *touched) error {
	switch k.kind {
	case "organization":
		o, err := st.OrganizationByID(k.key1)
		if o != nil {
			r.Organizations = append(r.Organizations, o)
		}
		return err
	case "user":
		u, err := st.userByID(k.key1)
		if u != nil {
			r.Users = append(r.Users, u)
		}
		return err
	case "member":
		p, err := st.Periods(k.key1, k.key2)
		r.Periods = append(r.Periods, p...)
		return err
	case "token":
		t, err := st.TokenByID(k.key1)
		if t != nil {
			r.Tokens = append(r.Tokens, t)
		}
		return err
	case "authorization":
		a, err := st.Authorization(k.key1, k.key2)
		if a != nil {
			r.Authorizations = append(r.Authorizations, a)
		}
		return err
	case "request":
		q, err := st.LatestRequest(k.key1, k.key2)
		if q != nil {
			r.Requests = append(r.Requests, q)
		}
		return err
	}
	return fmt.Errorf("the change log names an unknown kind %q", k.kind)
}
