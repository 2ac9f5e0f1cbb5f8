package sqlstore

import (
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Copy writes the database in one state to a new file, while it is in use.
// SQLite only: a PostgreSQL database is copied by its own tools.
func (s *Store) Copy(ctx context.Context, path string) error {
	if s.Postgres != "" {
		return &inventory.Conflict{Problem: "the inventory is in PostgreSQL: back it up with pg_dump"}
	}
	if _, err := s.readDB.ExecContext(ctx, `VACUUM INTO $1`, path); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	return nil
}

// Damaged says that a backup is not whole.
type Damaged struct{ Err error }

func (e *Damaged) Error() string { return "the backup is damaged: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *Damaged) Unwrap() error { return e.Err }

// Restore puts a gzipped copy in the place of a SQLite database that no server
// uses. A copy that is damaged, of a newer patrol or of another digest key is
// refused, and nothing is changed. What was there before is kept beside it; its
// path is returned, or "" where nothing was.
func Restore(ctx context.Context, from io.Reader, path, keyCheck string, now time.Time) (kept string, err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".restore-*") // 0600
	if err != nil {
		return "", fmt.Errorf("restore: %w", err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(unpack(f, from), f.Close()); err != nil {
		return "", err
	}
	if err := checkCopy(ctx, f.Name(), keyCheck); err != nil {
		return "", err
	}
	if kept, err = setAside(ctx, path, now); err != nil {
		return "", fmt.Errorf("put the present database aside: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return "", fmt.Errorf("restore: %w", err)
	}
	return kept, syncDir(dir)
}

func unpack(to *os.File, from io.Reader) error {
	z, err := gzip.NewReader(from)
	if err != nil {
		return &Damaged{err}
	}
	if _, err := io.Copy(to, z); err != nil { //nolint:gosec // an operator's own file
		var path *fs.PathError
		if errors.As(err, &path) {
			return err
		}
		return &Damaged{err}
	}
	return to.Sync()
}

// checkCopy looks at a database before it is used. It is not changed.
func checkCopy(ctx context.Context, path, keyCheck string) error {
	raw, err := sql.Open("sqlite", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }()
	var told string
	if err := raw.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&told); err != nil {
		return &Damaged{err}
	}
	if told != "ok" {
		return &Damaged{errors.New(told)}
	}
	s := &Store{dialect: sqlite, name: "in the backup", writeDB: raw}
	p, err := s.provider()
	if err != nil {
		return err
	}
	var has int64
	if err := raw.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&has); err != nil {
		return &Damaged{fmt.Errorf("it is no database of patrol's: %w", err)}
	}
	sources := p.ListSources()
	if knows := sources[len(sources)-1].Version; has > knows {
		return &NewerDatabase{s.name, has, knows}
	}
	have, err := db.New(raw).MetaValue(ctx, keyCheckName)
	if err != nil {
		return &Damaged{fmt.Errorf("it is no database of patrol's: %w", err)}
	}
	if have != keyCheck {
		return &KeyMismatch{s.name}
	}
	return nil
}

// setAside gives the present database another name as well; the old one is
// replaced by a rename, so that there is a database at any moment.
func setAside(ctx context.Context, path string, now time.Time) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	// What is in the log beside the file belongs into the file.
	if raw, err := connectSQLite(path, 1, 8<<10, writeBack/pageSize); err == nil {
		_, err = raw.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
		if err = errors.Join(err, raw.Close()); err != nil && ctx.Err() != nil {
			return "", err
		}
	}
	kept := path + ".before-" + now.UTC().Format("20060102T150405Z")
	if err := os.Link(path, kept); err != nil {
		return "", err
	}
	for _, more := range []string{"-wal", "-shm"} { // left only by a database that cannot be read
		if err := os.Rename(path+more, kept+more); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return kept, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Note writes an entry of the audit log that comes with no other change.
func (s *Store) Note(ctx context.Context, actor inventory.Actor, action string, details map[string]any) (err error) {
	defer func() { err = s.room(err) }()
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("begin %s: %w", action, err)
	}
	defer tx.Rollback()
	st := s.newState(ctx, tx)
	defer st.close()
	if err = s.write(st, &inventory.Change{Audit: &inventory.AuditEntry{Actor: actor, Action: action, Details: details}}, s.Clock()); err == nil {
		err = s.take(st)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", action, err)
	}
	st.close()
	return tx.Commit()
}
