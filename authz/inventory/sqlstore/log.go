package sqlstore

import (
	"context"
	"sync"
	"sync/atomic"
)

// SQLite appends what is written to a log, which is written back into the file
// from time to time. It begins anew once all of it was, and nobody reads a state
// that is in it; a long one makes each page that is read costly. While tokens are
// imported, it is written back beside the next part, and whoever has the turn need
// not do so.

// logged is how a store's log stands.
type logged struct {
	one      sync.Mutex     // one writes it back
	beside   sync.WaitGroup // who does so
	long     atomic.Bool    // it has to begin anew
	foreseen sync.RWMutex   // read by who reads a state to foresee what an import comes to
}

// writeLogBack writes the log back beside, but for what is written or read
// meanwhile. What goes wrong is done by the next who does so.
func writeLogBack(s *Store) {
	if !s.log.one.TryLock() {
		return
	}
	s.log.beside.Go(func() {
		defer s.log.one.Unlock()
		var busy, pages, done int
		if err := s.readDB.QueryRow("PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &done); err == nil && pages > s.pages(importBack) {
			s.log.long.Store(true)
		}
	})
}

// renewLog lets a long log begin anew with the next change: it is written back as
// a whole, while no import is foreseen and nothing is written.
func renewLog(ctx context.Context, s *Store) {
	if !s.log.long.Swap(false) {
		return
	}
	turn, err := s.writeDB.Conn(ctx)
	if err != nil {
		return // who has the turn tells of it
	}
	defer func() { _ = turn.Close() }()
	s.log.one.Lock()
	defer s.log.one.Unlock()
	s.log.foreseen.Lock()
	defer s.log.foreseen.Unlock()
	_, _ = turn.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)") // it is found to be long again
}
