package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Organizations, users and tokens have a number beside their id, by which what
// lists tokens refers to them: numbers are short, and those of tokens grow as
// their ids do.

func (s *state) organizationRead(o *db.Organization) (*inventory.Organization, error) {
	s.numbers[o.ID] = o.Number
	return organizationOf(o)
}

func (s *state) userRead(u *db.User) (*inventory.User, error) {
	s.numbers[u.ID] = u.Number
	return userOf(u)
}

func (s *state) tokenRead(t *db.Token) (*inventory.Token, error) {
	s.numbers[t.ID] = t.Number
	return tokenOf(t)
}

// numbered gives the number of what has an id, 0 where nothing has it.
func (s *state) numbered(id string, read func(context.Context, string) (int64, error)) (int64, error) {
	n, err := kept(s.numbers, id, func() (int64, error) { return read(s.ctx, id) })
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// numbering gives numbers to what is new, one after the other: who does so has
// the turn to write.
type numbering struct {
	last func(context.Context) (int64, error)
	n    int64 // the last one; 0: it was not asked for yet
}

// number gives the number of what has an id, or the one that it is to get.
func (w *writer) number(id string, read func(context.Context, string) (int64, error), in *numbering) (n int64) {
	w.then(func() (err error) {
		if n, err = w.numbered(id, read); err != nil || n != 0 {
			return err
		}
		n, err = w.nextNumber(id, in)
		return err
	})
	return n
}

func (w *writer) nextNumber(id string, in *numbering) (int64, error) {
	if in.n == 0 {
		var err error
		if in.n, err = in.last(w.ctx); err != nil {
			return 0, err
		}
	}
	in.n++
	w.numbers[id] = in.n
	return in.n, nil
}

// place is the number behind which a listing goes on that was at a token.
func (s *state) place(id string) (int64, error) {
	n, err := s.TokenPlace(s.ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// pointer is how a row refers to a token: by number, or by id.
type pointer struct {
	column string
	number bool
	id     string // the token's id
}

// inReach points as the rows of token_namespaces x do, and theToken as those of
// tokens t; others hold an id.
var (
	inReach  = pointer{"x.token", true, idOfNumber("x.token")}
	theToken = pointer{"t.number", true, "t.id"}
)

func byID(column string) pointer { return pointer{column: column, id: column} }

func idOfNumber(number string) string {
	return "(SELECT i.id FROM tokens i WHERE i.number = " + number + ")"
}

// numberOf is the number of the token of an id.
func numberOf(id string) string { return "(SELECT i.number FROM tokens i WHERE i.id = " + id + ")" }

// of is the condition that a row of tokens is the one.
func (p pointer) of(tokens string) string {
	if p.number {
		return tokens + ".number = " + p.column
	}
	return tokens + ".id = " + p.column
}

// idOf is the id of the token at which another column points in the same way.
func (p pointer) idOf(column string) string {
	if p.number {
		return idOfNumber(column)
	}
	return column
}

// value is what the column of a token of that id holds.
func (p pointer) value(s *state, id string) (any, error) {
	if p.number {
		return s.place(id)
	}
	return id, nil
}
