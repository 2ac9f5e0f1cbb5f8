package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Options of a store. Path or Postgres, KeyCheck and Policies are required.
type Options struct {
	// Path of SQLite's file; its folder must exist.
	Path string
	// Postgres is the URL of a PostgreSQL database (14 or newer), without a
	// password; where it is given, Path is not used.
	Postgres string
	// PasswordFile holds the password; it is read for each connection.
	PasswordFile string
	// KeyCheck tells whether the digest key is the one the database was made
	// with: a value derived from the key that says nothing about it.
	KeyCheck string
	Policies inventory.Policies
	// Imported is called after imports that were written here together, with the
	// numbers of the first and the last change and what [Store.Changes] would read of
	// them. The records must not be changed.
	Imported func(first, last int64, r *inventory.Records)
	// Changed is called when another process may have written; a hint that may
	// come late, twice or never. It must not block. PostgreSQL only.
	Changed func()
	// Retention of the change log; default 7 days.
	Retention time.Duration
	Clock     func() time.Time
	// Log is told of what nobody waits for; default none.
	Log *slog.Logger
}

// Store is an inventory in SQLite or PostgreSQL. It is safe for concurrent use;
// several processes may share one database.
type Store struct {
	Options
	dialect     dialect
	name        string      // the database, as errors name it
	file        os.FileInfo // SQLite's, as it was opened
	page        int         // the size of its pages, in bytes
	writeDB     *sql.DB     // SQLite: one connection
	readDB      *sql.DB
	pools       []*pgxpool.Pool
	listening   *listener
	log         logged
	queue       queue
	narrowing   sync.Mutex
	narrow      *time.Timer                    // when the writer's cache becomes small again
	asked       func(query string, args []any) // tests only
	foresaw     func(bool)                     // tests only
	mostSorted  int                            // see order.go
	mostAudited int64                          // see find.go
	window      int                            // see stages.go
	keeps       time.Duration                  // see queue.go
}

// Open opens a database, makes its tables if they are not there, and brings them
// up to this version's schema. A database of a newer version, or one made with
// another digest key, is refused and left as it is.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Retention == 0 {
		o.Retention = 7 * 24 * time.Hour
	}
	s := &Store{Options: o, mostSorted: defaultMostSorted, mostAudited: mostAudited, window: defaultWindow, keeps: defaultKeeps}
	err := s.connect(ctx)
	if err == nil {
		err = s.migrate(ctx)
	}
	if err == nil {
		err = s.checkKey(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenPresent opens a database as it is: it is neither made nor brought up to
// date, and belongs to whatever key. It is for looking at, also while a server
// uses it.
func OpenPresent(ctx context.Context, o Options) (*Store, error) {
	if o.Postgres == "" {
		if _, err := os.Stat(o.Path); err != nil {
			return nil, fmt.Errorf("open the database: %w", err)
		}
	}
	s := &Store{Options: o, mostSorted: defaultMostSorted, mostAudited: mostAudited, window: defaultWindow, keeps: defaultKeeps}
	err := s.connect(ctx)
	if err == nil {
		err = s.current(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) connect(ctx context.Context) error {
	if s.Postgres != "" {
		return s.openPostgres(ctx)
	}
	return s.openSQLite()
}

// KeyMismatch says that the database belongs to another digest key.
type KeyMismatch struct{ Database string }

func (e *KeyMismatch) Error() string {
	return fmt.Sprintf("the digest key does not match the database %s: no token in it could be found; give it the key it was made with", e.Database)
}

const keyCheckName = "digest_key_check"

func (s *Store) checkKey(ctx context.Context) error {
	q := db.New(s.writeDB)
	have, err := q.MetaValue(ctx, keyCheckName)
	if errors.Is(err, sql.ErrNoRows) {
		if err := q.SetMetaOnce(ctx, db.SetMetaOnceParams{Name: keyCheckName, Value: s.KeyCheck}); err != nil {
			return fmt.Errorf("write the database %s: %w", s.name, err)
		}
		have, err = q.MetaValue(ctx, keyCheckName) // another process may have been first
	}
	if err != nil {
		return fmt.Errorf("read the database %s: %w", s.name, err)
	}
	if have != s.KeyCheck {
		return &KeyMismatch{s.name}
	}
	return nil
}

// Close closes the database.
func (s *Store) Close() error {
	s.listening.close()
	s.queue.written.Wait()
	s.log.beside.Wait()
	var errs []error
	for _, d := range []*sql.DB{s.readDB, s.writeDB} {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	for _, p := range s.pools {
		p.Close()
	}
	return errors.Join(errs...)
}
