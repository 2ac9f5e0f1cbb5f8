package snapshot

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Feed is where the inventory is read from.
type Feed interface {
	// LoadEach reads all, row by row, and returns the number of the last change
	// in it.
	LoadEach(ctx context.Context, into inventory.Loading) (int64, error)
	// Changes reads what changed after a number, and the new number; gap means
	// that it cannot and Load is to be called.
	Changes(ctx context.Context, after int64) (r *inventory.Records, last int64, gap bool, err error)
}

// Options of a follower; Feed is required.
type Options struct {
	Feed Feed
	// FreezeOrganization and FreezeGrants make the evaluator's own form of
	// records, kept beside them. They may be nil.
	FreezeOrganization func(*authz.Organization) any
	FreezeGrants       func([]authz.Grant) any
	// Settle waits until what was written here is handed over ([Follower.Take]), so
	// that it is not read at the same time; nil: nothing is.
	Settle func(context.Context)
	// Interval between two looks at the change counter; default 500 ms.
	Interval time.Duration
	Clock    func() time.Time
	Log      *slog.Logger
}

// Follower keeps a snapshot fresh.
type Follower struct {
	Options
	in      *shared // nil when it cannot be relied on: load anew
	current atomic.Pointer[Snapshot]
	mu      sync.Mutex // one reader of the change log at a time
	hint    chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}
}

// Start loads the inventory and follows it until Close.
func Start(ctx context.Context, o Options) (*Follower, error) {
	if o.Interval == 0 {
		o.Interval = 500 * time.Millisecond
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FreezeOrganization == nil {
		o.FreezeOrganization = func(*authz.Organization) any { return nil }
	}
	if o.FreezeGrants == nil {
		o.FreezeGrants = func([]authz.Grant) any { return nil }
	}
	f := &Follower{Options: o, hint: make(chan struct{}, 1), done: make(chan struct{})}
	if err := f.load(ctx); err != nil {
		return nil, err
	}
	following, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go f.follow(following)
	return f, nil
}

// Snapshot returns the present state.
func (f *Follower) Snapshot() *Snapshot { return f.current.Load() }

// Hint says that something changed: look soon. It never blocks.
func (f *Follower) Hint() {
	select {
	case f.hint <- struct{}{}:
	default:
	}
}

// CatchUp reads the change log up to its end: what was committed before the
// call is in force when it returns.
func (f *Follower) CatchUp(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.Clock()
	from := f.current.Load()
	if f.in == nil {
		return f.load(ctx)
	}
	r, last, gap, err := f.Feed.Changes(ctx, from.change)
	if err != nil {
		return fmt.Errorf("follow the inventory: %w", err)
	}
	switch {
	case gap:
		return f.load(ctx)
	case r == nil:
		fresh := *from
		fresh.asOf = now
		f.current.Store(&fresh)
		return nil
	}
	return f.change(from, r, last, now, nil)
}

// Take takes in what changes wrote, by the numbers of the first and the last one,
// so that it need not be read from the change log. Where the snapshot holds not all
// that was before them, nothing is taken in: the next look finds it.
func (f *Follower) Take(first, last int64, r *inventory.Records) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := f.current.Load()
	if f.in == nil || from.change != first-1 {
		return
	}
	// Nothing was read: the snapshot is as old as it was.
	if err := f.change(from, r, last, from.asOf, map[loaded]uint32{}); err != nil {
		f.Log.Error("what was imported is read anew", "error", err)
	}
}

// change publishes a snapshot with what changed. Readers go on meanwhile with
// the one before it. recent is given where many rows may have one list of grants.
func (f *Follower) change(from *Snapshot, r *inventory.Records, last int64, now time.Time, recent map[loaded]uint32) error {
	in := f.in
	f.in = nil // until all is well: half a change leaves wrong counts of uses behind
	b := f.builder(from, in, false)
	b.recent = recent
	if err := b.take(r); err != nil {
		return fmt.Errorf("take in what changed: %w", err)
	}
	next, err := b.done(last, now)
	if err != nil {
		return fmt.Errorf("take in what changed: %w", err)
	}
	f.current.Store(next)
	f.in = in
	return nil
}

func (f *Follower) load(ctx context.Context) error {
	now := f.Clock()
	in := newShared()
	b := f.builder(&Snapshot{}, in, true)
	change, err := f.Feed.LoadEach(ctx, b)
	if err != nil {
		return err
	}
	next, err := b.done(change, now)
	if err != nil {
		return fmt.Errorf("take in the inventory: %w", err)
	}
	f.current.Store(next)
	f.in = in
	return nil
}

func (f *Follower) follow(ctx context.Context) {
	defer close(f.done)
	ticker := time.NewTicker(f.Interval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-f.hint:
		}
		if f.Settle != nil {
			f.Settle(ctx)
		}
		err := f.CatchUp(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			f.Log.Error("the inventory cannot be read; decisions close when it is too old", "error", err)
		}
		failing = err != nil
	}
}

// Close stops following.
func (f *Follower) Close() {
	f.cancel()
	<-f.done
}
