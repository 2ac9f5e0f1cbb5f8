package sqlstore

import (
	"context"
	"database/sql"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// state reads the inventory within one transaction. Names and users are kept,
// since an import asks for the same ones many times.
type state struct {
	ctx      context.Context
	tx       *sql.Tx
	prepared map[string]*sql.Stmt
	names    map[string]*inventory.Organization
	ids      map[string]*inventory.Organization
	users    map[string]*inventory.User
	periods  map[[2]string][]*inventory.Period
}

func newState(ctx context.Context, tx *sql.Tx) *state {
	return &state{
		ctx: ctx, tx: tx, prepared: map[string]*sql.Stmt{}, names: map[string]*inventory.Organization{}, ids: map[string]*inventory.Organization{},
		users: map[string]*inventory.User{}, periods: map[[2]string][]*inventory.Period{},
	}
}

// close forgets what was kept: rows that are read from now on are as written.
func (s *state) close() {
	for _, p := range s.prepared {
		p.Close()
	}
	clear(s.prepared)
	s.forget()
}

func (s *state) forget() {
	clear(s.names)
	clear(s.ids)
	clear(s.users)
	clear(s.periods)
}

func (s *state) statement(query string) (*sql.Stmt, error) {
	if p := s.prepared[query]; p != nil {
		return p, nil
	}
	p, err := s.tx.PrepareContext(s.ctx, query)
	if err == nil {
		s.prepared[query] = p
	}
	return p, err
}

func find[T any](s *state, scan func(scanner) (*T, error), query string, args ...any) (*T, error) {
	p, err := s.statement(query)
	if err != nil {
		return nil, err
	}
	return one(scan(p.QueryRowContext(s.ctx, args...)))
}

func findAll[T any](s *state, scan func(scanner) (*T, error), query string, args ...any) ([]*T, error) {
	p, err := s.statement(query)
	if err != nil {
		return nil, err
	}
	rows, err := p.QueryContext(s.ctx, args...)
	return all(rows, err, scan)
}

func (s *state) OrganizationByName(name string) (*inventory.Organization, error) {
	if o, ok := s.names[name]; ok {
		return o, nil
	}
	o, err := find(s, scanOrganization, `SELECT `+organizationColumns+` FROM organizations WHERE name = ? AND deleted = 0`, name)
	if err == nil {
		s.names[name] = o
	}
	return o, err
}

func (s *state) OrganizationByID(id string) (*inventory.Organization, error) {
	if o, ok := s.ids[id]; ok {
		return o, nil
	}
	o, err := find(s, scanOrganization, `SELECT `+organizationColumns+` FROM organizations WHERE id = ?`, id)
	if err == nil {
		s.ids[id] = o
	}
	return o, err
}

func (s *state) UserByName(name string) (*inventory.User, error) {
	if u, ok := s.users[name]; ok {
		return u, nil
	}
	u, err := find(s, scanUser, `SELECT `+userColumns+` FROM users WHERE name = ?`, name)
	if err == nil {
		s.users[name] = u
	}
	return u, err
}

func (s *state) userByID(id string) (*inventory.User, error) {
	return find(s, scanUser, `SELECT `+userColumns+` FROM users WHERE id = ?`, id)
}

func (s *state) Periods(organizationID, userID string) ([]*inventory.Period, error) {
	key := [2]string{organizationID, userID}
	if p, ok := s.periods[key]; ok {
		return p, nil
	}
	p, err := findAll(s, scanPeriod, `SELECT `+periodColumns+` FROM periods WHERE organization_id = ? AND user_id = ? ORDER BY since`, organizationID, userID)
	if err == nil {
		s.periods[key] = p
	}
	return p, err
}

func (s *state) Members(organizationID string) (n int, err error) {
	err = s.tx.QueryRowContext(s.ctx, `SELECT count(*) FROM periods WHERE organization_id = ? AND until = 0`, organizationID).Scan(&n)
	return n, err
}

func (s *state) TokenByID(id string) (*inventory.Token, error) {
	return find(s, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE id = ?`, id)
}

func (s *state) TokenByDigest(d authz.Digest) (*inventory.Token, error) {
	return find(s, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE digest = ?`, d[:])
}

func (s *state) TokensOf(userID string) ([]*inventory.Token, error) {
	return findAll(s, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE owner_id = ? AND deleted = 0`, userID)
}

func (s *state) Authorization(tokenID, organizationID string) (*inventory.Authorization, error) {
	return find(s, scanAuthorization, `SELECT `+authorizationColumns+` FROM authorizations WHERE token_id = ? AND organization_id = ?`, tokenID, organizationID)
}

func (s *state) LatestRequest(tokenID, organizationID string) (*inventory.Request, error) {
	return find(s, scanRequest, `SELECT `+requestColumns+` FROM requests WHERE token_id = ? AND organization_id = ? ORDER BY round DESC LIMIT 1`, tokenID, organizationID)
}
