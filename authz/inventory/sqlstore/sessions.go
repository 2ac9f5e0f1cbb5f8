package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Session is a login to the console: who it is, as its owner wrote it.
type Session struct {
	Hash, Caller     string
	Created, Expires time.Time
}

// PutSession adds a session, and forgets those that have ended.
func (s *Store) PutSession(ctx context.Context, one Session, now time.Time) error {
	return s.writing(ctx, "begin a session", func(st *state) error {
		if err := st.ForgetSessions(ctx, millis(now)); err != nil {
			return err
		}
		return st.InsertSession(ctx, db.InsertSessionParams{Hash: one.Hash, Caller: one.Caller, CreatedAt: millis(one.Created), ExpiresAt: millis(one.Expires)})
	})
}

// Session reads a session; nil where there is none.
func (s *Store) Session(ctx context.Context, hash string) (out *Session, err error) {
	err = s.reading(ctx, func(st *state) error {
		row, err := st.SessionOf(ctx, hash)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		out = &Session{row.Hash, row.Caller, fromMillis(row.CreatedAt), fromMillis(row.ExpiresAt)}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// EndSession ends a session.
func (s *Store) EndSession(ctx context.Context, hash string) error {
	return s.writing(ctx, "end a session", func(st *state) error { return st.EndSession(ctx, hash) })
}

// Roles returns the organizations, by name, in which a user is a member, with
// the present role.
func (s *Store) Roles(ctx context.Context, user string) (out map[string]string, err error) {
	out = map[string]string{}
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.RolesOf(ctx, inventory.Fold(user))
		for _, r := range rows {
			out[r.Name] = r.Role
		}
		return err
	})
	return out, err
}
