package sqlstore

import (
	"context"
	"database/sql"
	"strings"
	"unicode/utf8"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// session is a transaction as the queries see it. It prepares each statement
// once where the driver does not do so itself, and refuses text that not every
// database takes, so that both answer alike.
type session struct {
	tx       *sql.Tx
	prepare  bool
	prepared map[string]*sql.Stmt
}

func (s *session) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if p := s.prepared[query]; p != nil {
		return p, nil
	}
	p, err := s.tx.PrepareContext(ctx, query)
	if err == nil {
		s.prepared[query] = p
	}
	return p, err
}

// ExecContext implements db.DBTX.
func (s *session) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := checkArgs(args); err != nil {
		return nil, err
	}
	if !s.prepare {
		return s.tx.ExecContext(ctx, query, args...)
	}
	p, err := s.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return p.ExecContext(ctx, args...)
}

// QueryContext implements db.DBTX.
func (s *session) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := checkArgs(args); err != nil {
		return nil, err
	}
	if !s.prepare {
		return s.tx.QueryContext(ctx, query, args...)
	}
	p, err := s.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return p.QueryContext(ctx, args...)
}

// QueryRowContext implements db.DBTX.
func (s *session) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if checkArgs(args) != nil {
		// No row has such a text: ask for one that isn't there.
		for i := range args {
			if text, ok := args[i].(string); ok && !storable(text) {
				args[i] = strings.Repeat("-", 300)
			}
		}
	}
	if s.prepare {
		if p, err := s.statement(ctx, query); err == nil {
			return p.QueryRowContext(ctx, args...)
		}
	}
	return s.tx.QueryRowContext(ctx, query, args...)
}

// PrepareContext implements db.DBTX.
func (s *session) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return s.tx.PrepareContext(ctx, query)
}

func (s *session) close() {
	for _, p := range s.prepared {
		p.Close()
	}
	clear(s.prepared)
}

// storable says whether every database can hold a text.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

func checkArgs(args []any) error {
	for _, a := range args {
		if text, ok := a.(string); ok && !storable(text) {
			return &inventory.Invalid{Field: "text", Problem: "is not UTF-8, or holds a NUL character"}
		}
	}
	return nil
}

// OneByOne implements db.OneByOne.
func (s *session) OneByOne() bool { return s.prepare }
