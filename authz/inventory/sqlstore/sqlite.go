package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver
)

var sqlite = dialect{
	goose: goose.DialectSQLite3, migrations: "sqlite", prepare: true, reading: sql.TxOptions{ReadOnly: true},
}

func (s *Store) openSQLite() (err error) {
	s.dialect, s.name = sqlite, s.Path
	if err := writable(s.Path); err != nil {
		return err
	}
	if s.writeDB, err = connectSQLite(s.Path, 1, 64<<10); err != nil {
		return err
	}
	s.readDB, err = connectSQLite(s.Path, 4, 8<<10)
	return err
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

// connectSQLite opens a file; each connection keeps up to cache KiB of it. Who
// writes needs more: indexes of digests and the like are written all over.
func connectSQLite(path string, connections, cache int) (*sql.DB, error) {
	q := url.Values{}
	q.Set("_txlock", "immediate") // a transaction that writes begins as the only one
	for _, p := range []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(memory)", "cache_size(-" + strconv.Itoa(cache) + ")"} {
		q.Add("_pragma", p)
	}
	made, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", path, err)
	}
	made.SetMaxOpenConns(connections)
	made.SetMaxIdleConns(connections)
	return made, nil
}
