package hygiene

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Pair is a token at an organization, by ids; with Token "" the organization.
type Pair struct{ Organization, Token string }

// Subject is a pair with its document.
type Subject struct {
	Pair
	Document *Document
}

// Result is what was found of a pair: all of it, so that what is not in it has
// ended.
type Result struct {
	Pair
	Findings []Finding
}

// Store is where pairs and their findings are kept.
type Store interface {
	// Lease takes a named lease until a time where it has run out or is the
	// holder's own, or says that another has it.
	Lease(ctx context.Context, name, holder string, until time.Time) (bool, error)
	// Subjects returns the next pairs after one, in a fixed order, at most limit;
	// the first ones after the zero pair. None: that was all. An organization
	// limits them to its own.
	Subjects(ctx context.Context, organization string, after Pair, limit int) ([]Subject, error)
	// SubjectsOf returns the pairs of a token.
	SubjectsOf(ctx context.Context, token string) ([]Subject, error)
	// SaveFindings replaces the findings of pairs, in one transaction. When a
	// finding was first found is kept.
	SaveFindings(ctx context.Context, results []Result) error
	// PruneFindings drops the findings of pairs that are no more.
	PruneFindings(ctx context.Context) error
}

// Options of a [Job]; Store, Rules and Holder are required.
type Options struct {
	Store Store
	// Rules gives the active bundle's; nil while there is none.
	Rules func() Asker
	// Holder names this process among those that share a store.
	Holder string
	// Interval between two rounds over all pairs; default 1 h.
	Interval time.Duration
	// Debounce is how long a change waits for others; default 1 s.
	Debounce time.Duration
	// Rest is how long a round pauses after each batch, as a multiple of the time
	// that the batch took: requests come first. Default 3: a quarter of a core.
	Rest int
	// Batch is how many pairs are read and written at once; default 200.
	Batch int
	Clock func() time.Time
	Log   *slog.Logger
}

// Job keeps findings fresh. It is safe for concurrent use.
type Job struct {
	Options
	mu       sync.Mutex
	tokens   map[string]bool
	orgs     map[string]bool
	wake     chan struct{}
	cancel   context.CancelFunc
	wait     sync.WaitGroup
	lastFull atomic.Int64 // Unix milliseconds; 0: a round is due
	again    chan struct{}
}

// maxChanged bounds the tokens that wait for a look; of more, the next round
// takes care.
const maxChanged = 10_000

// New makes a job; Start begins its work.
func New(o Options) *Job {
	if o.Interval == 0 {
		o.Interval = time.Hour
	}
	if o.Debounce == 0 {
		o.Debounce = time.Second
	}
	if o.Rest == 0 {
		o.Rest = 3
	}
	if o.Batch == 0 {
		o.Batch = 200
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Job{Options: o, tokens: map[string]bool{}, orgs: map[string]bool{}, wake: make(chan struct{}, 1), again: make(chan struct{}, 1)}
}

// Changed says that something about tokens changed: they are looked at soon. It
// never blocks.
func (j *Job) Changed(tokens ...string) {
	j.mu.Lock()
	for _, t := range tokens {
		if t != "" && len(j.tokens) < maxChanged {
			j.tokens[t] = true
		}
	}
	j.mu.Unlock()
	j.hint()
}

// ChangedOrganization says that something about an organization changed, such as
// its members: it and its tokens are looked at soon.
func (j *Job) ChangedOrganization(id string) {
	j.mu.Lock()
	if id != "" && len(j.orgs) < maxChanged {
		j.orgs[id] = true
	}
	j.mu.Unlock()
	j.hint()
}

func (j *Job) hint() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Start works until Close.
func (j *Job) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	j.cancel = cancel
	j.wait.Add(2)
	go j.followChanges(ctx)
	go j.followTime(ctx)
}

// Close ends the work; what is left is taken up at the next start.
func (j *Job) Close() {
	if j.cancel != nil {
		j.cancel()
	}
	j.wait.Wait()
}

func (j *Job) followChanges(ctx context.Context) {
	defer j.wait.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(j.Debounce):
		}
		if err := j.RefreshChanged(ctx); err != nil && ctx.Err() == nil {
			j.Log.Error("findings could not be refreshed; the next round takes care", "error", err)
		}
	}
}

// RefreshChanged looks at what changed since the last time.
func (j *Job) RefreshChanged(ctx context.Context) error {
	j.mu.Lock()
	tokens, orgs := j.tokens, j.orgs
	j.tokens, j.orgs = map[string]bool{}, map[string]bool{}
	j.mu.Unlock()
	var batch []Subject
	gone := false
	for t := range tokens {
		list, err := j.Store.SubjectsOf(ctx, t)
		if err != nil {
			return fmt.Errorf("read the token %s: %w", t, err)
		}
		gone = gone || len(list) == 0
		if batch = append(batch, list...); len(batch) >= j.Batch {
			if err := j.judge(ctx, batch); err != nil {
				return err
			}
			batch = nil
		}
	}
	if err := j.judge(ctx, batch); err != nil {
		return err
	}
	for id := range orgs {
		if err := j.round(ctx, id, nil); err != nil {
			return err
		}
	}
	if gone {
		return j.Store.PruneFindings(ctx)
	}
	return nil
}

// The lease of the round over all pairs: held for a short time while it goes on,
// and then for the interval, in which nobody makes another.
const (
	leaseName = "hygiene"
	leaseTime = 5 * time.Minute
)

func (j *Job) followTime(ctx context.Context) {
	defer j.wait.Done()
	ticker := time.NewTicker(min(j.Interval, time.Minute))
	defer ticker.Stop()
	for {
		if err := j.Round(ctx); err != nil && ctx.Err() == nil {
			j.Log.Error("the round over all tokens for findings failed; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-j.again:
		}
	}
}

// Again makes a round soon, where this process has the lease. It never blocks.
func (j *Job) Again() {
	j.lastFull.Store(0)
	select {
	case j.again <- struct{}{}:
	default:
	}
}

// Round looks at all pairs where this process gets the lease and no round was
// made within the interval.
func (j *Job) Round(ctx context.Context) error {
	if j.Rules() == nil {
		return nil // not before there are rules
	}
	if last := j.lastFull.Load(); last != 0 && j.Clock().Sub(time.UnixMilli(last)) < j.Interval {
		return nil
	}
	hold := func(span time.Duration) (bool, error) {
		ok, err := j.Store.Lease(ctx, leaseName, j.Holder, j.Clock().Add(span))
		if err != nil {
			err = fmt.Errorf("take the lease: %w", err)
		}
		return ok, err
	}
	if ok, err := hold(leaseTime); err != nil || !ok {
		return err
	}
	if err := j.round(ctx, "", func() (bool, error) { return hold(leaseTime) }); err != nil {
		return err
	}
	if err := j.Store.PruneFindings(ctx); err != nil {
		return fmt.Errorf("drop the findings of what is gone: %w", err)
	}
	j.lastFull.Store(j.Clock().UnixMilli())
	_, err := hold(j.Interval)
	return err
}

// round looks at all pairs, or an organization's, batch by batch, and rests
// behind each: an organization may have as many as all others together. It stops
// where the lease is lost.
func (j *Job) round(ctx context.Context, organization string, held func() (bool, error)) error {
	for after := (Pair{}); ; {
		started := time.Now()
		list, err := j.Store.Subjects(ctx, organization, after, j.Batch)
		if err != nil {
			return fmt.Errorf("read tokens: %w", err)
		}
		if len(list) == 0 {
			return nil
		}
		if err := j.judge(ctx, list); err != nil {
			return err
		}
		after = list[len(list)-1].Pair
		if held != nil {
			if ok, err := held(); err != nil || !ok {
				return err
			}
		}
		if held == nil && len(list) < j.Batch {
			continue // the last ones, most likely: who waits for a change need not wait longer
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(j.Rest) * time.Since(started)):
		}
	}
}

// judge evaluates pairs and saves what was found.
func (j *Job) judge(ctx context.Context, list []Subject) error {
	if len(list) == 0 {
		return nil
	}
	rules := j.Rules()
	results := make([]Result, len(list))
	for i := range list {
		found, err := Evaluate(ctx, rules, list[i].Document)
		if err != nil {
			return err
		}
		results[i] = Result{list[i].Pair, found}
	}
	if err := j.Store.SaveFindings(ctx, results); err != nil {
		return fmt.Errorf("save findings: %w", err)
	}
	return nil
}
