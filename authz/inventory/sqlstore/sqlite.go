package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var sqlite = dialect{
	goose: goose.DialectSQLite3, migrations: "sqlite", prepare: true, numbers: true, starts: true, reading: sql.TxOptions{ReadOnly: true}, together: true, widen: widen, writeBack: writeLogBack, renew: renewLog, full: fullSQLite, by: func(index string) string { return " INDEXED BY " + index },
}

// fullSQLite says whether there is no room for the file, or for what stands
// beside it.
func fullSQLite(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_FULL || e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE)
}

func (s *Store) openSQLite() (err error) {
	s.dialect, s.name = sqlite, s.Path
	if err := writable(s.Path); err != nil {
		return err
	}
	if s.file, err = os.Stat(s.Path); err != nil {
		return err
	}
	var first *sql.DB
	if first, s.page, err = paged(s.Path); err != nil {
		return err
	}
	// The last one that closes writes a log back that was left: it is not that one.
	defer func() { err = errors.Join(err, first.Close()) }()
	if s.writeDB, err = connectSQLite(s.Path, 1, writeCache, s.pages(writeBack)); err != nil {
		return err
	}
	if err := s.writeDB.Ping(); err != nil {
		return fmt.Errorf("open the database %s: %w", s.Path, errors.Join(err, s.writeDB.Close()))
	}
	s.readDB, err = connectSQLite(s.Path, readers, readCache, s.pages(writeBack))
	return err
}

// paged opens a file, and gives the size of its pages, in bytes; those of a new one are
// of pageSize. It is a connection of its own, as the driver makes the log, with which
// the size is settled, before all else that it is told.
func paged(path string) (first *sql.DB, size int, err error) {
	first, err = sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String()+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, 0, err
	}
	if _, err = first.Exec(fmt.Sprintf("PRAGMA page_size=%d; PRAGMA journal_mode=WAL", pageSize)); err == nil {
		err = first.QueryRow("PRAGMA page_size").Scan(&size)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open the database %s: %w", path, errors.Join(err, first.Close()))
	}
	return first, size, nil
}

// pages is how many pages of the file have so many bytes.
func (s *Store) pages(bytes int) int { return bytes / s.page }

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

// Gone says that SQLite's file is not the one that was opened. What is written
// then is lost with the last that has it open, and SQLite does not notice.
type Gone struct{ Database string }

func (e *Gone) Error() string {
	return fmt.Sprintf("the database %s was removed or replaced while it was open: put it back, or start again", e.Database)
}

// present fails where the file was removed or replaced.
func (s *Store) present() error {
	if s.file == nil { // PostgreSQL
		return nil
	}
	now, err := os.Stat(s.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, s.file) {
		return &Gone{s.name}
	}
	return err
}

// Caches of a connection, in KiB; they take twice as much in memory. The system
// caches the file for all connections. Who writes much needs more of its own,
// for as long as it does: digests, names and the like are written all over.
const (
	readCache   = 500
	writeCache  = 2000
	importCache = 64 << 10
)

// pageSize is that of a new file's pages, in bytes. Of those that are twice as large as
// SQLite makes them by itself an import writes and finds half as many.
const pageSize = 8192

// After how many bytes the log is written back into the file. Pages that some parts
// of an import write are written again by the next.
const (
	writeBack  = 16 << 20
	importBack = 375 << 20
)

// logLimit is what is left of the log's file, in bytes, when it begins anew after
// imports.
const logLimit = 64 << 20

// readers is how many connections read at a time, more than a large import takes,
// and idleReaders how many of them are kept.
const (
	readers     = 11
	idleReaders = 4
)

// connectSQLite opens a file; each connection keeps up to cache KiB of it, and writes
// the log back after some pages.
func connectSQLite(path string, connections, cache, pages int) (*sql.DB, error) {
	q := url.Values{}
	q.Set("_txlock", "immediate") // a transaction that writes begins as the only one
	for _, p := range []string{"busy_timeout(10000)", "journal_mode(WAL)", "wal_autocheckpoint(" + strconv.Itoa(pages) + ")", "synchronous(FULL)", "foreign_keys(1)", "temp_store(memory)", "cache_size(-" + strconv.Itoa(cache) + ")"} {
		q.Add("_pragma", p)
	}
	to, err := driver.NewConnector((&url.URL{Scheme: "file", OmitHost: true, Path: path}).String() + "?" + q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", path, err)
	}
	made := sql.OpenDB(keepingStatements{to})
	made.SetMaxOpenConns(connections)
	made.SetMaxIdleConns(min(connections, idleReaders))
	return made, nil
}

// manyTokens is how many tokens of a command make a larger cache worth while.
const manyTokens = 1000

// imports is how long after an import the next one is waited for.
const imports = 30 * time.Second

// widen gives the writer a large cache while tokens are imported, and takes its
// memory back once no more come.
func widen(ctx context.Context, s *Store) {
	s.narrowing.Lock()
	defer s.narrowing.Unlock()
	if s.narrow != nil && s.narrow.Stop() {
		s.narrow.Reset(imports)
		return
	}
	if _, err := s.writeDB.ExecContext(ctx, "PRAGMA cache_size=-"+strconv.Itoa(importCache)+"; PRAGMA wal_autocheckpoint="+strconv.Itoa(s.pages(importBack))+"; PRAGMA journal_size_limit=-1"); err != nil {
		return // the import is slower
	}
	s.narrow = time.AfterFunc(imports, func() {
		s.narrowing.Lock()
		defer s.narrowing.Unlock()
		s.queue.forget()
		// After Close it fails, and there is nothing left to take back.
		_, _ = s.writeDB.Exec("PRAGMA cache_size=-" + strconv.Itoa(writeCache) + "; PRAGMA wal_autocheckpoint=" + strconv.Itoa(s.pages(writeBack)) +
			"; PRAGMA journal_size_limit=" + strconv.Itoa(logLimit) + "; PRAGMA shrink_memory")
	})
}
