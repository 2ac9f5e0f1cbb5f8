package decide

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// openRequest sees to it that an approval request is open for a pending token.
func (r *run) openRequest(ctx context.Context, f *authz.Facts) *authz.ApprovalRequest {
	if f.Token == nil || f.Organization == nil || f.Authorization == nil {
		return nil
	}
	if q := f.Authorization.Request; q != nil && q.State != authz.RequestDecided && q.State != authz.RequestWithdrawn {
		return q
	}
	if !r.real {
		return nil
	}
	pair := pair{token: f.Token.ID, organization: f.Organization.ID}
	if f.Token.Owner != nil {
		pair.owner = f.Token.Owner.ID
	}
	return r.opening.open(ctx, pair, f.Authorization.Request, r.started)
}

// openings opens approval requests, each pair of token and organization once
// at a time: a decision waits a little, and the work goes on without it.
type openings struct {
	opener  Opener
	timeout time.Duration
	after   func(time.Duration) <-chan time.Time
	failed  atomic.Int64

	mu       sync.Mutex
	running  map[pair]*opening
	declines declines
	closed   bool
	wait     sync.WaitGroup
	stop     context.Context
	cancel   context.CancelFunc
}

// pair is a token at an organization, for which one request may be open.
type pair struct{ token, organization, owner string }

type opening struct {
	done    chan struct{}
	request *authz.ApprovalRequest
	// declined: the store has nothing to ask now.
	declined bool
}

// following is the request that comes after the latest one of a pair, which may
// be nil: its id is known before the store has it, on every replica alike.
func following(token, organization string, latest *authz.ApprovalRequest) *authz.ApprovalRequest {
	round := 0
	if latest != nil {
		round = latest.Round + 1
	}
	return &authz.ApprovalRequest{ID: authz.RequestID(token, organization, round), Round: round, State: authz.RequestOpening}
}

// unasked is what an answer tells where the store has nothing to ask now: of the
// request that the owner withdrew, or that one will follow, whose id is no one's yet.
func unasked(latest *authz.ApprovalRequest) *authz.ApprovalRequest {
	if latest != nil && latest.State == authz.RequestWithdrawn {
		return latest
	}
	return &authz.ApprovalRequest{State: authz.RequestOpening}
}

// maxOpenings bounds the requests that wait for a store that does not answer.
const maxOpenings = 1024

func newOpenings(o *Options) *openings {
	stop, cancel := context.WithCancel(context.Background())
	return &openings{opener: o.Opener, timeout: o.OpenTimeout, after: o.After, running: map[pair]*opening{}, declines: newDeclines(), stop: stop, cancel: cancel}
}

// OpeningFailures counts attempts to open an approval request that failed;
// each is tried again.
func (p *Pipeline) OpeningFailures() int64 { return p.opening.failed.Load() }

// open opens the request after the latest one of a pair, nil where there was
// none. Until the store has it, it is told as opening.
func (o *openings) open(ctx context.Context, key pair, latest *authz.ApprovalRequest, now time.Time) *authz.ApprovalRequest {
	if o.opener == nil {
		return unasked(latest)
	}
	o.mu.Lock()
	job := o.running[key]
	if job == nil {
		if o.declines.hold(key, now) {
			o.mu.Unlock()
			return unasked(latest)
		}
		if o.closed || len(o.running) >= maxOpenings {
			o.mu.Unlock()
			o.failed.Add(1)
			return following(key.token, key.organization, latest) // the next hit tries again
		}
		job = &opening{done: make(chan struct{})}
		o.running[key] = job
		o.wait.Add(1)
		go o.work(key, job)
	}
	o.mu.Unlock()
	authz.Blocking(ctx)
	select {
	case <-job.done:
		switch {
		case job.request != nil:
			return job.request
		case job.declined:
			return unasked(latest)
		}
	case <-o.after(o.timeout):
	case <-ctx.Done():
	}
	return following(key.token, key.organization, latest)
}

func (o *openings) work(key pair, job *opening) {
	defer o.wait.Done()
	defer func() {
		o.mu.Lock()
		if job.declined {
			o.declines.add(key)
		}
		delete(o.running, key)
		o.mu.Unlock()
		close(job.done)
	}()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		attempt, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		request, err := o.opener.OpenRequest(attempt, key.token, key.organization)
		cancel()
		if err == nil {
			job.request, job.declined = request, request == nil
			return
		}
		o.failed.Add(1)
		select {
		case <-o.stop.Done():
			return
		case <-o.after(pause):
		}
	}
}

func (o *openings) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.cancel()
	o.wait.Wait()
}
