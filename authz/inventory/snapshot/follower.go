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
	// Load reads all, with the number of the last change in it.
	Load(ctx context.Context) (*inventory.Records, int64, error)
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
	// Interval between two looks at the change counter; default 250 ms.
	Interval time.Duration
	Clock    func() time.Time
	Log      *slog.Logger
}

// Follower keeps a snapshot fresh.
type Follower struct {
	Options
	in      *interner
	current atomic.Pointer[Snapshot]
	mu      sync.Mutex // one reader of the change log at a time
	hint    chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}
}

// Start loads the inventory and follows it until Close.
func Start(ctx context.Context, o Options) (*Follower, error) {
	if o.Interval == 0 {
		o.Interval = 250 * time.Millisecond
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Follower{Options: o, in: newInterner(o.FreezeGrants), hint: make(chan struct{}, 1), done: make(chan struct{})}
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
	default:
		f.current.Store(f.build(from, r, last, now, false))
	}
	return nil
}

func (f *Follower) load(ctx context.Context) error {
	now := f.Clock()
	r, change, err := f.Feed.Load(ctx)
	if err != nil {
		return err
	}
	f.current.Store(f.build(empty(), r, change, now, true))
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
