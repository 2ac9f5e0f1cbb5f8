package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// Another process on the file asks for its turn each 100 ms at least, and gives up
// after 10 s. So before imports kept the turn to write for longer than defaultKeeps,
// the file is left alone for as long as gap.
const (
	defaultKeeps = 5 * time.Second
	gap          = 120 * time.Millisecond
)

// mostTogether is how many imports have one transaction, at most.
const mostTogether = 4

// queue are the imports that wait for their turn to write. Those that are there when
// it comes have it together: a page that each of them writes is written to the
// disk once, and the disk is waited for once. Each is a change of its own all the
// same; where one fails, each has its turn alone.
type queue struct {
	mu      sync.Mutex
	waiting []*queued
	turn    bool           // somebody carries them out
	since   time.Time      // when the file was left alone last, for as long as gap
	ended   time.Time      // when the last turn did
	written sync.WaitGroup // who does so, and tells of it
	told    chan struct{}  // closed when the last ones were told of
	brought []brought      // of late, the last one last
}

// queued is an import that waits.
type queued struct {
	ctx     context.Context
	actor   inventory.Actor
	command inventory.Command
	ready   *foreseen
	made    carriedOut
	err     error
	done    chan struct{}
}

// brought are the digests of an import's tokens, in order, whose numbers follow on
// after.
type brought struct {
	after, last int64
	digests     []authz.Digest
}

// mostBrought is of how many imports the digests are known: more than those that
// are foreseen at a time.
const mostBrought = 16

// free says whether the digests of what was foreseen are those of no token that was
// made since: those that imports brought here are known, and others it does not know.
func (q *queue) free(st *state, p *foreseen) (bool, error) {
	last, err := st.LastToken(st.ctx)
	if err != nil {
		return false, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := len(q.brought) - 1; i >= 0 && last > p.last; i-- {
		b := &q.brought[i]
		if b.last != last || meet(b.digests, p.digests) {
			return false, nil
		}
		last = b.after
	}
	return last <= p.last, nil
}

// meet says whether two lists that are in order have one in common.
func meet(a, b []authz.Digest) bool {
	for len(a) > 0 && len(b) > 0 {
		switch n := bytes.Compare(a[0][:], b[0][:]); {
		case n == 0:
			return true
		case n < 0:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}

// bring notes the digests of an import that is being written.
func (q *queue) bring(b brought) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.brought = append(slices.Clone(q.brought[max(0, len(q.brought)+1-mostBrought):]), b)
}

// forget drops what was brought: it is not known what is there.
func (q *queue) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.brought = nil
}

// wait waits until an import was carried out.
func (q *queue) wait(s *Store, one *queued) (inventory.Result, error) {
	one.done = make(chan struct{})
	q.mu.Lock()
	q.waiting = append(q.waiting, one)
	if !q.turn {
		q.turn = true
		if time.Since(q.ended) >= gap {
			q.since = time.Now()
		}
		q.written.Go(func() {
			for q.any() {
				if took := time.Since(s.writeTogether()); time.Since(q.since)+took > s.keeps { // with one more like it
					time.Sleep(gap)
					q.since = time.Now()
				}
			}
		})
	}
	q.mu.Unlock()
	<-one.done
	return one.made.result, one.err
}

// any says whether one waits; if not, the next one begins a new turn.
func (q *queue) any() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turn, q.ended = len(q.waiting) > 0, time.Now()
	return q.turn
}

// next is the one that has waited longest, and whose caller waits still.
func (q *queue) next() *queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) > 0 {
		one := q.waiting[0]
		q.waiting = q.waiting[1:]
		if one.err = one.ctx.Err(); one.err == nil {
			return one
		}
		close(one.done)
	}
	return nil
}

// writeTogether carries out imports that wait, in one transaction. It gives way to
// whoever else waits to write. It returns when it began.
func (s *Store) writeTogether() (began time.Time) {
	ctx := context.Background() // each has a caller of its own
	began = time.Now()
	if s.dialect.renew != nil {
		s.dialect.renew(ctx, s)
	}
	var list []*queued
	tx, err := s.begin(ctx)
	if err == nil {
		defer func() { _ = tx.Rollback() }()
		list, err = s.carryOutWaiting(ctx, tx)
	}
	before, told := s.queue.telling()
	if err == nil && len(list) > 0 {
		err = s.commit(tx, list[0].command.Action())
	}
	if err != nil { // each tries alone
		if tx != nil {
			_ = tx.Rollback()
		}
		s.queue.forget()
		if len(list) == 0 {
			if one := s.queue.next(); one != nil {
				list = append(list, one)
			}
		}
	}
	// The next ones need not wait until these are taken in, which is done in order.
	s.queue.written.Go(func() {
		if before != nil {
			<-before
		}
		defer func() {
			close(told)
			for _, one := range list {
				one.err = err
				close(one.done)
			}
		}()
		if err == nil && len(list) > 0 {
			s.handOver(list)
		}
	})
	return began
}

// handOver tells of what imports wrote, and which is on the disk. Who fails to take it
// finds it in the change log.
func (s *Store) handOver(list []*queued) {
	if s.Imported == nil || slices.ContainsFunc(list, func(one *queued) bool { return !one.made.result.Changed }) {
		return
	}
	defer func() {
		if cause := recover(); cause != nil {
			s.Log.Error("panic while imported tokens were taken in", "cause", cause)
		}
	}()
	s.Imported(list[0].made.number, list[len(list)-1].made.number, recordsOf(list))
}

// telling gives a channel to close when what is written now was told of, and the one
// before it.
func (q *queue) telling() (before, told chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before, told = q.told, make(chan struct{})
	q.told = told
	return before, told
}

// settling is how long it is waited for what is handed over.
const settling = 300 * time.Millisecond

// Settle waits a little until all that imports wrote here was handed over: see
// [Options.Imported].
func (s *Store) Settle(ctx context.Context) {
	s.queue.mu.Lock()
	told := s.queue.told
	s.queue.mu.Unlock()
	if told == nil {
		return
	}
	select {
	case <-told:
	case <-ctx.Done():
	case <-time.After(settling):
	}
}

// recordsOf is what imports wrote, all of them.
func recordsOf(list []*queued) *inventory.Records {
	if len(list) == 1 {
		return &list[0].made.change.Records
	}
	var r inventory.Records
	for _, one := range list {
		more := &one.made.change.Records
		r.Tokens = append(r.Tokens, more.Tokens...)
		r.Authorizations = append(r.Authorizations, more.Authorizations...)
		r.Requests = append(r.Requests, more.Requests...)
	}
	// One may describe anew what another one brought.
	r.Tokens = newest(r.Tokens, func(t *inventory.Token) string { return t.ID })
	r.Authorizations = newest(r.Authorizations, func(a *inventory.Authorization) [2]string { return [2]string{a.TokenID, a.OrganizationID} })
	return &r
}

// carryOutWaiting carries out some that wait.
func (s *Store) carryOutWaiting(ctx context.Context, tx *sql.Tx) (list []*queued, err error) {
	defer func() { // the callers wait elsewhere, and would not hear of it
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic while tokens were imported: %v", cause)
		}
	}()
	waited := s.writeDB.Stats().WaitCount
	tokens := brought{}
	if tokens.last, err = db.New(tx).LastToken(ctx); err != nil {
		return nil, err
	}
	for one := s.queue.next(); one != nil; one = s.queue.next() {
		list = append(list, one)
		if one.made, err = s.carryOut(ctx, tx, one.actor, one.command, one.ready); err != nil {
			return list, err // of all: each tries alone
		}
		tokens.after, tokens.digests = tokens.last, one.ready.digests
		if tokens.last, err = db.New(tx).LastToken(ctx); err != nil {
			return list, err
		}
		s.queue.bring(tokens)
		if len(list) == mostTogether || s.writeDB.Stats().WaitCount > waited { // somebody waits
			return list, nil
		}
	}
	return list, nil
}
