package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// reuses reports that secrets are used which were rotated away: whoever has one
// may have stolen it. The decision path only notes them, within bounds; the
// inventory is told each at most once an hour, and itself reports one a day.
type reuses struct {
	do     func(context.Context, inventory.Command) error
	log    *slog.Logger
	clock  func() time.Time
	queue  chan reuse
	mu     sync.Mutex
	recent map[authz.Digest]time.Time
}

type reuse struct {
	token  string
	digest authz.Digest
}

const (
	reuseQueue  = 256
	reuseRecent = 10_000
	reusePause  = time.Hour
)

func newReuses(do func(context.Context, inventory.Command) error, log *slog.Logger, clock func() time.Time) *reuses {
	return &reuses{do: do, log: log, clock: clock, queue: make(chan reuse, reuseQueue), recent: map[authz.Digest]time.Time{}}
}

// Record notes the use of a secret that is accepted no more. It never blocks.
func (r *reuses) Record(o *authz.Outcome) {
	if o.Reused == nil || !r.due(o.ReusedDigest) {
		return
	}
	select {
	case r.queue <- reuse{o.Reused.ID, o.ReusedDigest}:
	default: // too many at once: the next use is noted
		r.forget(o.ReusedDigest)
	}
}

func (r *reuses) due(d authz.Digest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	if last, ok := r.recent[d]; ok && now.Sub(last) < reusePause {
		return false
	}
	if len(r.recent) >= reuseRecent {
		clear(r.recent)
	}
	r.recent[d] = now
	return true
}

func (r *reuses) forget(d authz.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.recent, d)
}

// run reports until the context ends.
func (r *reuses) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case u := <-r.queue:
			within, cancel := context.WithTimeout(ctx, 10*time.Second)
			if err := r.do(within, inventory.ReportReuse{Token: u.token, Digest: u.digest}); err != nil && ctx.Err() == nil {
				r.log.Error("the use of a rotated secret could not be reported; its next use is", "token", u.token, "error", err)
				r.forget(u.digest)
			}
			cancel()
		}
	}
}
