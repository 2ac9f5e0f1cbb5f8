package sqlstore

import (
	"context"
	"database/sql"
	"regexp"
	"strconv"
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
	asked    func(query string, args []any) // nil but in tests
}

func (s *session) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if p := s.prepared[query]; p != nil {
		return p, nil
	}
	p, err := s.tx.PrepareContext(ctx, manyRows(nameless(query)))
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
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The driver starts a goroutine for each statement that can be cancelled;
	// one that writes a row is over before.
	return p.ExecContext(context.WithoutCancel(ctx), args...)
}

// QueryContext implements db.DBTX.
func (s *session) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := checkArgs(args); err != nil {
		return nil, err
	}
	if s.asked != nil {
		s.asked(query, args)
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
	if s.asked != nil {
		s.asked(query, args)
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

var numbered = regexp.MustCompile(`\$\d+`)

// nameless writes ? for the many parameters of a query, where each stands first in
// order: SQLite looks the name of a numbered one up among all.
func nameless(query string) string {
	const few = 16
	found := numbered.FindAllString(query, -1)
	if len(found) < few {
		return query
	}
	stood := 0
	for _, name := range found {
		switch n, _ := strconv.Atoi(name[1:]); { // it is digits
		case n == stood+1:
			stood++
		case n > stood:
			return query
		}
	}
	stood = 0
	return numbered.ReplaceAllStringFunc(query, func(name string) string {
		if name == "$"+strconv.Itoa(stood+1) {
			stood++
			return "?"
		}
		return "?" + name[1:]
	})
}

// manyRows lets an INSERT of many rows that fails leave a part of them, where
// SQLite would else keep each page as it was before the statement: who writes
// many rows rolls all of the transaction back.
func manyRows(query string) string {
	if !strings.Contains(query, "), (") {
		return query
	}
	return strings.Replace(query, "\nINSERT INTO ", "\nINSERT OR FAIL INTO ", 1)
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
