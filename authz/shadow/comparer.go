package shadow

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/redact"
)

// Options of a [Comparer]; Beside is required.
type Options struct {
	// Beside says what the active rules made of a request that was decided (anew,
	// where its facts had to be gathered again), and what others would.
	Beside func(ctx context.Context, o *authz.Outcome, q authz.Request, active, other *authz.Ruleset) (was, would authz.Decision)
	// CredentialHeaders are those whose words are erased from a request's id.
	CredentialHeaders redact.Headers
	// Share is how much of one processor's time evaluations take at most; default
	// 0.2.
	Share float64
	Clock func() time.Time
	Log   *slog.Logger
}

// Comparer compares. It is safe for concurrent use. While there is no shadow, a
// request costs it a look at a pointer.
type Comparer struct {
	Options
	now   atomic.Pointer[comparison]
	queue chan waiting
	held  atomic.Int64 // bytes of the requests that wait
	stop  context.CancelFunc
	done  chan struct{}

	evaluated, dropped prometheus.Counter
	differences        *prometheus.CounterVec
	kinds              map[kind]bool // that are labels; the worker's
}

// comparison is of one active ruleset with one shadow.
type comparison struct {
	active, other *authz.Ruleset
	sample        float64
	since         time.Time
	dropped       atomic.Int64

	mu        sync.Mutex // guards what follows
	evaluated int64
	different int64
	kinds     map[kind]*authz.ShadowDifference
}

// kind of a difference.
type kind struct{ from, to string }

// waiting is a request that waits for its evaluation.
type waiting struct {
	of      *comparison
	outcome *authz.Outcome
	request rereadable
	size    int64
}

// rereadable is a request that never changes, of a known size: those of Envoy are.
type rereadable interface {
	Size() int
	Again() (authz.Request, error)
}

// What is kept at most.
const (
	mostWaiting  = 256
	maxRequest   = 32 << 10 // bytes of one that waits
	maxHeld      = 4 << 20  // and of all that do
	mostKinds    = 100      // of differences
	mostLabels   = 200      // of pairs of reasons, over all shadows
	mostExamples = 3        // of a kind
	otherKind    = "other"
)

// New starts a comparer; Close ends it.
func New(o Options) *Comparer {
	if o.Share <= 0 || o.Share > 1 {
		o.Share = 0.2
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Comparer{Options: o, queue: make(chan waiting, mostWaiting), stop: stop, done: make(chan struct{}), kinds: map[kind]bool{}}
	c.evaluated = prometheus.NewCounter(prometheus.CounterOpts{Name: "patrol_shadow_evaluations_total", Help: "Requests on which a shadow bundle was evaluated."})
	c.dropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "patrol_shadow_dropped_total", Help: "Requests of a shadow's sample on which it was not evaluated."})
	c.differences = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "patrol_shadow_differences_total", Help: "Requests that a shadow bundle would answer otherwise, by reason; all allows are allow.",
	}, []string{"from", "to"})
	go c.work(ctx)
	return c
}

// Close ends the comparing, and waits for it. What is recorded after it is left out.
func (c *Comparer) Close() {
	c.now.Store(nil)
	c.stop()
	<-c.done
}

// Compare begins to compare rulesets on a part of the requests, and to count anew;
// with no other one it ends.
func (c *Comparer) Compare(active, other *authz.Ruleset, sample float64) {
	if active == nil || other == nil {
		c.now.Store(nil)
		return
	}
	c.now.Store(&comparison{active: active, other: other, sample: sample, since: c.Clock().UTC(), kinds: map[kind]*authz.ShadowDifference{}})
}

// Record implements the pipeline's Recorder. It waits for nothing.
func (c *Comparer) Record(o *authz.Outcome) {
	of := c.now.Load()
	if of == nil || o.Revision != of.active.Revision || rand.Float64() >= of.sample { //nolint:gosec // a sample, no secret
		return
	}
	q, ok := o.Request.(rereadable)
	if !ok {
		return // none of Envoy's: the admin API decides on its callers' tokens
	}
	w := waiting{of, o, q, int64(q.Size())}
	if w.size <= maxRequest && c.held.Add(w.size) <= maxHeld {
		select {
		case c.queue <- w:
			return
		default:
		}
	}
	if w.size <= maxRequest {
		c.held.Add(-w.size)
	}
	c.drop(of)
}

func (c *Comparer) drop(of *comparison) {
	of.dropped.Add(1)
	c.dropped.Inc()
}

// work evaluates one request after the other, and rests in between, so that
// requests under way have the processor.
func (c *Comparer) work(ctx context.Context) {
	defer close(c.done)
	const slice = time.Millisecond
	var busy time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-c.queue:
			c.held.Add(-w.size)
			if w.of != c.now.Load() {
				continue // it is over
			}
			began := time.Now()
			c.compare(ctx, &w)
			busy += time.Since(began)
		}
		if busy < slice {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(float64(busy) * (1/c.Share - 1))):
			busy = 0
		}
	}
}

func (c *Comparer) compare(ctx context.Context, w *waiting) {
	was, would, err := c.beside(ctx, w)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		c.Log.Error("a request could not be compared with a shadow", "error", err)
		c.drop(w.of)
		return
	}
	from := answer(&was)
	if from != answer(&w.outcome.Decision) {
		c.drop(w.of) // what it was decided on has changed since
		return
	}
	c.evaluated.Inc()
	k := kind{from, answer(&would)}
	if k.from != k.to {
		if !c.kinds[k] && len(c.kinds) < mostLabels {
			c.kinds[k] = true
		}
		label := k
		if !c.kinds[k] {
			label = kind{otherKind, otherKind}
		}
		c.differences.WithLabelValues(label.from, label.to).Inc()
	}
	w.of.count(k, c.example(w))
}

func (c *Comparer) beside(ctx context.Context, w *waiting) (was, would authz.Decision, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	q, err := w.request.Again()
	if err != nil {
		return was, would, err
	}
	was, would = c.Beside(ctx, w.outcome, q, w.of.active, w.of.other)
	return was, would, nil
}

// answer is what a client is told, as far as shadows are compared: that it is
// allowed, or the reason why it is not.
func answer(d *authz.Decision) string {
	if d.Allowed {
		return authz.ShadowAnswerAllow
	}
	return d.Reason
}

// example is what is kept of a request; its texts are its own.
func (c *Comparer) example(w *waiting) authz.ShadowExample {
	o := w.outcome
	e := authz.ShadowExample{Time: o.Time.UTC().Truncate(time.Millisecond)}
	if q, err := w.request.Again(); err == nil {
		e.RequestID = strings.Clone(c.CredentialHeaders.Of(q).Text(o.RequestID))
	}
	if o.Facts != nil && o.Facts.Organization != nil {
		e.Organization = o.Facts.Organization.Name
	}
	return e
}

func (c *comparison) count(k kind, e authz.ShadowExample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evaluated++
	if k.from == k.to {
		return
	}
	c.different++
	d := c.kinds[k]
	if d == nil && len(c.kinds) >= mostKinds {
		k = kind{otherKind, otherKind}
		d = c.kinds[k]
	}
	if d == nil {
		d = &authz.ShadowDifference{From: k.from, To: k.to}
		c.kinds[k] = d
	}
	d.Requests++
	if d.Examples = append(d.Examples, e); len(d.Examples) > mostExamples {
		d.Examples = append([]authz.ShadowExample{}, d.Examples[1:]...)
	}
}
