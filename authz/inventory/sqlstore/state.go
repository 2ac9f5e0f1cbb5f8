package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// state reads the inventory within one transaction. Names and users are kept,
// since an import asks for the same ones many times.
type state struct {
	*db.Queries
	ctx     context.Context
	session *session
	starts  bool // see dialect.starts
	names   map[string]*inventory.Organization
	ids     map[string]*inventory.Organization
	users   map[string]*inventory.User // by name
	owners  map[string]*inventory.User // by id
	periods map[[2]string][]*inventory.Period
	// What is read ahead for many tokens at once; nil where nothing was.
	ahead *ahead
	// numbers are those of the organizations, users and tokens that were handed
	// out, by id.
	numbers map[string]int64
	// taken is what a change takes as its last statement.
	taken db.TakeNumberParams
}

func (s *Store) newState(ctx context.Context, tx *sql.Tx) *state {
	session := &session{tx: tx, prepare: s.dialect.prepare, prepared: map[string]*sql.Stmt{}, asked: s.asked}
	return &state{
		Queries: db.New(session), ctx: ctx, session: session, starts: s.dialect.starts, names: map[string]*inventory.Organization{}, ids: map[string]*inventory.Organization{},
		users: map[string]*inventory.User{}, owners: map[string]*inventory.User{}, periods: map[[2]string][]*inventory.Period{},
		numbers: map[string]int64{},
	}
}

func (s *state) close() {
	s.session.close()
	s.forget()
}

// forget drops what was kept: rows that are read from now on are as written.
func (s *state) forget() {
	clear(s.names)
	clear(s.ids)
	clear(s.users)
	clear(s.owners)
	clear(s.periods)
	s.ahead = nil
}

// kept looks into what was read before.
func kept[K comparable, V any](have map[K]V, k K, read func() (V, error)) (V, error) {
	if v, ok := have[k]; ok {
		return v, nil
	}
	v, err := read()
	if err == nil {
		have[k] = v
	}
	return v, err
}

func (s *state) OrganizationByName(name string) (*inventory.Organization, error) {
	return kept(s.names, name, func() (*inventory.Organization, error) {
		o, err := s.Queries.OrganizationByName(s.ctx, name)
		if errors.Is(err, sql.ErrNoRows) {
			o, err = s.OrganizationByAlias(s.ctx, name)
		}
		return one(o, err, s.organizationRead)
	})
}

func (s *state) OrganizationByID(id string) (*inventory.Organization, error) {
	return kept(s.ids, id, func() (*inventory.Organization, error) {
		o, err := s.Queries.OrganizationByID(s.ctx, id)
		return one(o, err, s.organizationRead)
	})
}

func (s *state) UserByName(name string) (*inventory.User, error) {
	return kept(s.users, name, func() (*inventory.User, error) {
		u, err := s.Queries.UserByName(s.ctx, name)
		return one(u, err, s.userRead)
	})
}

func (s *state) UserByID(id string) (*inventory.User, error) {
	return kept(s.owners, id, func() (*inventory.User, error) {
		u, err := s.Queries.UserByID(s.ctx, id)
		return one(u, err, s.userRead)
	})
}

func (s *state) Periods(organizationID, userID string) ([]*inventory.Period, error) {
	return kept(s.periods, [2]string{organizationID, userID}, func() ([]*inventory.Period, error) {
		rows, err := s.PeriodsOf(s.ctx, db.PeriodsOfParams{OrganizationID: organizationID, UserID: userID})
		return all(rows, err, periodOf)
	})
}

func (s *state) Responsible(organizationID, userID string) ([]string, error) {
	return s.NamedResponsible(s.ctx, db.NamedResponsibleParams{OrganizationID: organizationID, UserID: userID})
}

func (s *state) Answered(userID string, after time.Time) ([]string, error) {
	return s.AnsweredAfter(s.ctx, db.AnsweredAfterParams{UserID: userID, After: millis(after)})
}

func (s *state) Members(organizationID string) (int, error) {
	n, err := s.CountMembers(s.ctx, organizationID)
	return int(n), err
}

func (s *state) Administrators(organizationID, kind string) (int, error) {
	n, err := s.CountAdministrators(s.ctx, db.CountAdministratorsParams{OrganizationID: organizationID, Type: kind})
	return int(n), err
}

func (s *state) TokenByID(id string) (*inventory.Token, error) {
	t, err := s.Queries.TokenByID(s.ctx, id)
	return one(t, err, s.tokenRead)
}

func (s *state) TokenByDigest(d authz.Digest) (*inventory.Token, error) {
	if t, ok := s.ahead.token(d); ok {
		return t, nil
	}
	t, err := s.Queries.TokenByDigest(s.ctx, db.TokenByDigestParams{DigestStart: startOf(d), Digest: d[:]})
	return one(t, err, s.tokenRead)
}

func (s *state) TokenByFormer(d authz.Digest) (*inventory.Token, error) {
	if s.ahead.neverFormer(d) {
		return nil, nil
	}
	t, err := s.Queries.TokenByFormer(s.ctx, d[:])
	return one(t, err, s.tokenRead)
}

func (s *state) TokenVersion(tokenID string, version int64) (*inventory.TokenVersion, error) {
	v, err := s.TokenVersionOf(s.ctx, db.TokenVersionOfParams{TokenID: tokenID, Version: version})
	return one(v, err, tokenVersionOf)
}

func (s *state) TokensOn(organizationID string) ([]*inventory.Token, error) {
	rows, err := s.Queries.TokensOn(s.ctx, organizationID)
	list, err := all(rows, err, s.tokenRead)
	on := list[:0:0]
	for _, t := range list {
		if len(t.On(organizationID)) > 0 {
			on = append(on, t)
		}
	}
	return on, err
}

func (s *state) LastUsed(tokenID, organizationID string) (time.Time, error) {
	used, err := s.LastUsedAt(s.ctx, db.LastUsedAtParams{TokenID: tokenID, OrganizationID: organizationID})
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return fromMillis(used), err
}

func (s *state) OpenRequests(organizationID, ownerID string) (int, error) {
	n, err := s.CountOpenRequests(s.ctx, db.CountOpenRequestsParams{OrganizationID: organizationID, OwnerID: ownerID})
	return int(n), err
}

func (s *state) AuthorizationsOn(organizationID string) ([]*inventory.Authorization, error) {
	rows, err := s.Queries.AuthorizationsOn(s.ctx, organizationID)
	return all(rows, err, authorizationOf)
}

func (s *state) RequestsOn(organizationID string) ([]*inventory.Request, error) {
	rows, err := s.OpenRequestsOn(s.ctx, organizationID)
	return all(rows, err, requestOf)
}

func (s *state) TokensOf(userID string) ([]*inventory.Token, error) {
	rows, err := s.Queries.TokensOf(s.ctx, userID)
	return all(rows, err, s.tokenRead)
}

func (s *state) Authorization(tokenID, organizationID string) (*inventory.Authorization, error) {
	if a, ok := s.ahead.authorization(s, tokenID, organizationID); ok {
		return a, nil
	}
	a, err := s.AuthorizationOf(s.ctx, db.AuthorizationOfParams{TokenID: tokenID, OrganizationID: organizationID})
	return one(a, err, authorizationOf)
}

func (s *state) LatestRequest(tokenID, organizationID string) (*inventory.Request, error) {
	if q, ok := s.ahead.request(s, tokenID, organizationID); ok {
		return q, nil
	}
	q, err := s.Queries.LatestRequest(s.ctx, db.LatestRequestParams{TokenID: tokenID, OrganizationID: organizationID})
	return one(q, err, requestOf)
}

// selectRows runs a query that is put together; from begins with FROM.
func selectRows[R, T any](s *state, alias, from string, args []any, convert func(*R) (*T, error)) ([]*T, error) {
	var out []*T
	err := db.Each(s.ctx, s.session, "SELECT "+db.Columns[R](alias)+" "+from, args, func(r *R) error {
		v, err := convert(r)
		out = append(out, v)
		return err
	})
	return out, err
}

// in is a condition that a column is one of some values, whose placeholders
// are appended to args. Lists are filled up to few sizes, so that statements
// are prepared once.
func in[T any](column string, values []T, args []any) (string, []any) {
	n := 1
	for n < len(values) {
		n *= 4
	}
	list := db.Placeholders(len(args)+1, n)
	for i := range n {
		args = append(args, values[min(i, len(values)-1)])
	}
	return column + " IN (" + list + ")", args
}
