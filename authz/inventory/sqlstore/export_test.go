package sqlstore

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// Asked notes the queries that a store is asked from now on, for tests: the
// function returns them with the values of one time.
func Asked(s *Store) func() map[string][]any {
	var mu sync.Mutex
	queries := map[string][]any{}
	s.asked = func(query string, args []any) {
		mu.Lock()
		defer mu.Unlock()
		queries[query] = args
	}
	return func() map[string][]any {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(queries)
	}
}

// SortUpTo says up to how many tokens a store sorts, for tests: those of more it
// walks in order.
func SortUpTo(s *Store, n int) { s.mostSorted = n }

// LookThrough says through how many tokens a look goes for those of a stage, for
// tests.
func LookThrough(s *Store, n int) { s.window = n }

// LookAtAudit says how many entries of the audit log a narrowed page looks at, for
// tests.
func LookAtAudit(s *Store, n int64) { s.mostAudited = n }

// Foresaw is called, for tests, when a store has found out what an import comes to,
// before its turn to write; or that its turn has to say.
func Foresaw(s *Store, f func(foreseen bool)) { s.foresaw = f }

// NoRoom lets SQLite's file of a store grow no more, for tests: as a full disk
// does. Its function gives room again.
func NoRoom(ctx context.Context, s *Store) (room func() error, err error) {
	var pages int
	if err := s.writeDB.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return nil, err
	}
	limit := func(n int) error {
		_, err := s.writeDB.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count=%d", n))
		return err
	}
	return func() error { return limit(1 << 30) }, limit(pages)
}

// KeepTheTurn says for how long imports may keep the turn to write, for tests.
func KeepTheTurn(s *Store, d time.Duration) { s.keeps = d }
