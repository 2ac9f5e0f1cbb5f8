package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver

	"github.com/patrol-authz/patrol/authz/inventory"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options of a store. Path, KeyCheck and Policies are required.
type Options struct {
	// Path of the database file; its folder must exist.
	Path string
	// KeyCheck tells whether the digest key is the one the database was made
	// with: a value derived from the key that says nothing about it.
	KeyCheck string
	Policies inventory.Policies
	// Committed is called after each change that was written. It must not block.
	Committed func()
	// Retention of the change log; default 7 days.
	Retention time.Duration
	Clock     func() time.Time
}

// Store is an inventory in SQLite. It is safe for concurrent use; several
// processes may share one file.
type Store struct {
	Options
	write *sql.DB // one connection
	read  *sql.DB
}

// Open opens a database, makes it if it is not there, and brings it up to this
// version's schema. A database of a newer version, or one made with another
// digest key, is refused and left as it is.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Retention == 0 {
		o.Retention = 7 * 24 * time.Hour
	}
	if err := writable(o.Path); err != nil {
		return nil, err
	}
	s := &Store{Options: o}
	var err error
	if s.write, err = connect(o.Path, 1); err != nil {
		return nil, err
	}
	if s.read, err = connect(o.Path, 4); err == nil {
		if err = s.migrate(ctx); err == nil {
			err = s.checkKey(ctx)
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// writable finds out before anything is made whether the file can be written.
func writable(path string) error {
	dir := filepath.Dir(path)
	probe, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("the data directory %s cannot be written: %w", dir, errors.Unwrap(err))
	}
	probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return err
	}
	if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
		return f.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the database cannot be written: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("the database cannot be made: %w", err)
	}
	return f.Close()
}

func connect(path string, connections int) (*sql.DB, error) {
	q := url.Values{}
	q.Set("_txlock", "immediate")
	for _, p := range []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(memory)", "cache_size(-8000)"} {
		q.Add("_pragma", p)
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// NewerDatabase says that the database was made by a newer patrol.
type NewerDatabase struct {
	Path       string
	Has, Knows int64
}

func (e *NewerDatabase) Error() string {
	return fmt.Sprintf("the database %s has schema version %d, and this patrol knows versions up to %d: use the newer patrol that made it", e.Path, e.Has, e.Knows)
}

// KeyMismatch says that the database belongs to another digest key.
type KeyMismatch struct{ Path string }

func (e *KeyMismatch) Error() string {
	return fmt.Sprintf("the digest key does not match the database %s: no token in it could be found; give it the key it was made with", e.Path)
}

func (s *Store) migrate(ctx context.Context) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, sub)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	has, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the database %s: %w", s.Path, err)
	}
	sources := p.ListSources()
	if knows := sources[len(sources)-1].Version; has > knows {
		return &NewerDatabase{s.Path, has, knows}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the database %s up to date: %w", s.Path, err)
	}
	return nil
}

func (s *Store) checkKey(ctx context.Context) error {
	if _, err := s.write.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('digest_key_check', ?) ON CONFLICT (name) DO NOTHING`, s.KeyCheck); err != nil {
		return fmt.Errorf("write the database %s: %w", s.Path, err)
	}
	var have string
	if err := s.write.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'digest_key_check'`).Scan(&have); err != nil {
		return fmt.Errorf("read the database %s: %w", s.Path, err)
	}
	if have != s.KeyCheck {
		return &KeyMismatch{s.Path}
	}
	return nil
}

// Close closes the database.
func (s *Store) Close() error {
	var err error
	if s.read != nil {
		err = s.read.Close()
	}
	return errors.Join(err, s.write.Close())
}
