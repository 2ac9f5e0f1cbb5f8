package sources

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/patrol-authz/patrol/authz"
)

const (
	// maxRefused bounds the identities of which it is remembered that they get
	// no record, and maxMaking the records that are being made.
	maxRefused = 10_000
	maxMaking  = 256
	// refusedFor is how long that is remembered: an owner may be added.
	refusedFor = 10 * time.Second
	// quiet is how long after a record was made or widened it is not widened
	// again: tokens of one identity that differ do not write at each use.
	quiet = time.Minute
	// makeTimeout bounds one attempt.
	makeTimeout = 10 * time.Second
)

// records sees to it that tokens have records: each identity once at a time.
type records struct {
	*Sources
	limit   *rate.Limiter
	refused *lru.Cache[authz.Digest, time.Time] // until when
	made    *lru.Cache[authz.Digest, time.Time] // until when that is enough

	mu     sync.Mutex
	making map[authz.Digest]*making
	closed bool
	wait   sync.WaitGroup
}

type making struct {
	done chan struct{}
	err  error
}

func newRecords(s *Sources) *records {
	return &records{
		Sources: s, refused: remember(maxRefused), made: remember(maxRefused), making: map[authz.Digest]*making{},
		limit: rate.NewLimiter(rate.Limit(s.NewPerSecond), max(1, int(100*s.NewPerSecond))),
	}
}

func remember(size int) *lru.Cache[authz.Digest, time.Time] {
	c, err := lru.New[authz.Digest, time.Time](size)
	if err != nil {
		panic(err) // for a size that is not above zero
	}
	return c
}

// Record makes the record of a token, or widens a known one; false: it gets none.
// It waits a little, and the work goes on without it; what is not done then is an
// error, as is what there is too much of.
func (s *Sources) Record(ctx context.Context, c *authz.Claimed, known bool) (bool, error) {
	r := s.records
	if until, there := r.refused.Get(c.Digest); there && s.Clock().Before(until) {
		return false, nil
	}
	if until, there := r.made.Get(c.Digest); known && there && s.Clock().Before(until) {
		return true, nil
	}
	job, err := r.begin(c)
	if err != nil {
		s.metrics.record(c.Source, "limited")
		return false, unavailable(err)
	}
	timer := time.NewTimer(s.Wait)
	defer timer.Stop()
	select {
	case <-job.done:
		switch {
		case job.err == nil:
			return true, nil
		case errors.Is(job.err, ErrRefused):
			return false, nil
		}
		return false, unavailable(job.err)
	case <-timer.C:
		return false, unavailable(errors.New("the record of a token is still being made"))
	case <-ctx.Done():
		return false, unavailable(ctx.Err())
	}
}

func (r *records) begin(c *authz.Claimed) (*making, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if job := r.making[c.Digest]; job != nil {
		return job, nil
	}
	switch {
	case r.closed:
		return nil, errors.New("patrol is stopping")
	case len(r.making) >= maxMaking:
		return nil, errors.New("too many records of tokens are being made")
	case !r.limit.AllowN(r.Clock(), 1):
		return nil, fmt.Errorf("more tokens are new than %v a second", r.NewPerSecond)
	}
	job := &making{done: make(chan struct{})}
	r.making[c.Digest] = job
	r.wait.Add(1)
	go r.work(c, job)
	return job, nil
}

func (r *records) work(c *authz.Claimed, job *making) {
	defer r.wait.Done()
	ctx, cancel := context.WithTimeout(context.Background(), makeTimeout)
	defer cancel()
	job.err = r.Register(ctx, c)
	switch {
	case job.err == nil:
		r.metrics.record(c.Source, "made")
		r.made.Add(c.Digest, r.Clock().Add(quiet))
	case errors.Is(job.err, ErrRefused):
		r.metrics.record(c.Source, "refused")
		r.refused.Add(c.Digest, r.Clock().Add(refusedFor))
		r.Log.Warn("a token of elsewhere gets no record", "source", c.Source, "cause", job.err)
	default:
		r.metrics.record(c.Source, "failed")
		r.Log.Error("a token of elsewhere has no record", "source", c.Source, "error", job.err)
	}
	r.mu.Lock()
	delete(r.making, c.Digest)
	r.mu.Unlock()
	close(job.done)
}

func (r *records) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.wait.Wait()
}
