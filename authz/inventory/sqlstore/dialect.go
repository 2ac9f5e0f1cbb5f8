package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"

	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// dialect is what differs between the databases; all else is the same SQL.
type dialect struct {
	goose      goose.Dialect
	migrations string // folder below migrations
	// prepare says that statements are to be prepared here; the driver of
	// PostgreSQL keeps its own.
	prepare bool
	// numbers says that a row which is inserted without a number gets the one that
	// follows the last one.
	numbers bool
	// starts says that tokens are found by the starts of digests alone.
	starts bool
	// writing and reading are a command's and a query's transaction.
	writing, reading sql.TxOptions
	// lock lets one transaction write at a time; nil where it begins so.
	lock func(context.Context, *sql.Tx) error
	// notify tells other processes when the transaction is committed; nil
	// where they cannot be told.
	notify func(context.Context, db.DBTX) error
	// together says that imports which wait for their turn have one transaction.
	together bool
	// widen prepares for a command that writes very many rows; nil where there
	// is nothing to prepare.
	widen func(context.Context, *Store)
	// writeBack writes a log back beside, after such a command, and renew lets it
	// begin anew before one; nil where there is none.
	writeBack func(*Store)
	renew     func(context.Context, *Store)
	// dead says whether an error is that of a connection which is no more; nil
	// where there are none.
	dead func(error) bool
	// by names the index that a table is to be read by, where the database would
	// not find it without statistics; nil where it keeps them.
	by func(index string) string
	// full says whether an error is that of a disk without room.
	full func(error) bool
	// options of the migrations.
	options []goose.ProviderOption
}

// begin begins a transaction that writes: no other one does at the same time,
// in whatever process, so that a command acts on what the one before left.
func (s *Store) begin(ctx context.Context) (*sql.Tx, error) {
	if err := s.present(); err != nil {
		return nil, err
	}
	o := s.dialect.writing
	tx, err := s.beginOn(ctx, s.writeDB, &o)
	if err != nil {
		return nil, err
	}
	if s.dialect.lock != nil {
		if err := s.dialect.lock(ctx, tx); err != nil {
			tx.Rollback()
			return nil, fmt.Errorf("wait for the turn to write: %w", err)
		}
	}
	return tx, nil
}

// reading runs f on one consistent state.
func (s *Store) reading(ctx context.Context, f func(*state) error) error {
	if err := s.present(); err != nil {
		return fmt.Errorf("read the inventory: %w", err)
	}
	o := s.dialect.reading
	tx, err := s.beginOn(ctx, s.readDB, &o)
	if err != nil {
		return fmt.Errorf("read the inventory: %w", err)
	}
	defer tx.Rollback()
	st := s.newState(ctx, tx)
	defer st.close()
	return f(st)
}

// beginOn begins a transaction, on another connection where the first ones
// proved dead: those that are left from before the database was away. Nothing
// was asked on them yet.
func (s *Store) beginOn(ctx context.Context, pool *sql.DB, o *sql.TxOptions) (tx *sql.Tx, err error) {
	for range 1 + connections {
		if tx, err = pool.BeginTx(ctx, o); err == nil || s.dialect.dead == nil || ctx.Err() != nil || !s.dialect.dead(err) {
			break
		}
	}
	return tx, err
}
