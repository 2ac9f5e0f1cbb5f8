package sqlstore

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
)

// TestAFileKeepsItsPages: those of a new one are large, those of one that was made
// before are as they were, and the log is bounded in bytes in both.
func TestAFileKeepsItsPages(t *testing.T) {
	for name, c := range map[string]struct{ before, want int }{
		"new":         {0, pageSize},
		"made before": {4096, 4096},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			if c.before > 0 {
				old, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := old.Exec("CREATE TABLE stands (n INTEGER)"); err != nil {
					t.Fatal(err)
				}
				if err := old.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Open(context.Background(), Options{Path: path, KeyCheck: "check"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var size, after int
			if err := s.readDB.QueryRow("PRAGMA page_size").Scan(&size); err != nil {
				t.Fatal(err)
			}
			if err := s.writeDB.QueryRow("PRAGMA wal_autocheckpoint").Scan(&after); err != nil {
				t.Fatal(err)
			}
			if size != c.want || size*after != writeBack {
				t.Errorf("pages of %d bytes, not %d; the log is written back after %d of them", size, c.want, after)
			}
		})
	}
}
