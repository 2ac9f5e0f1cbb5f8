package sqlstore

import (
	"maps"
	"sync"
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
