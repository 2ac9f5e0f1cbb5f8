package usage

import (
	"context"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/redact"
)

// Store writes what was gathered.
type Store interface {
	// WriteUsage adds a batch to what is stored, in one transaction: all of it
	// or, with an error, nothing. left are the unknown tokens that it had no room
	// for.
	WriteUsage(context.Context, *Batch) (left []Unknown, err error)
	// ForgetUsage deletes what lies before a day.
	ForgetUsage(ctx context.Context, before Day) error
}

// Options of a [Gatherer]; Store is required.
type Options struct {
	Store Store
	// Interval between two writes, which is what a kill loses; default 5 s.
	Interval time.Duration
	// Keep is how many days of usage are kept; default 90.
	Keep int
	// MaxKeys bounds the keys that are counted apart at a time; default 100,000.
	// Beyond, resources and then networks are counted together as [Other].
	MaxKeys int
	// MaxRows bounds the rows of one transaction; default 10,000. Of more there are
	// several, between which other writers have their turn.
	MaxRows int
	// TokenKeys is how many keys one token may add in a day before its resources
	// and networks are counted together; default 500.
	TokenKeys int
	// MaxUnknown bounds the unknown tokens that are gathered between two writes;
	// default 10,000. Further ones are dropped and counted.
	MaxUnknown int
	// CredentialHeaders are those whose words are secrets: of a resource or a host
	// whose name holds one, or what looks like one, the name is not kept.
	CredentialHeaders redact.Headers
	// Written is told of each batch that the store has. May be nil.
	Written func(*Batch)
	Clock   func() time.Time
	Log     *slog.Logger
}

// Gatherer counts outcomes. It is safe for concurrent use.
type Gatherer struct {
	Options
	seed    maphash.Seed
	shards  [shardCount]shard
	unknown unknowns
	stats   stats

	flushing sync.Mutex
	cancel   context.CancelFunc
	done     chan struct{}
}

const shardCount = 64

// shard counts the tokens of one part of all hashes.
type shard struct {
	mu    sync.Mutex
	cells map[Key]*cell
	day   Day
	// spent counts the keys that the tokens of a bucket added today. Tokens that
	// share a bucket share their allowance: memory does not grow with tokens.
	spent [4096]uint16
}

// cell is a count under way. It stays for a while once it is written, so that
// what comes again finds it.
type cell struct {
	count       int64
	first, last int64 // Unix milliseconds
	idle        uint8 // batches without a count
}

// maxIdle is how many batches a cell without a count is kept for.
const maxIdle = 12

// New makes a gatherer. Start begins its writing.
func New(o Options) *Gatherer {
	if o.Interval == 0 {
		o.Interval = 5 * time.Second
	}
	if o.Keep == 0 {
		o.Keep = 90
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = 100_000
	}
	if o.MaxRows == 0 {
		o.MaxRows = 10_000
	}
	if o.TokenKeys == 0 {
		o.TokenKeys = 500
	}
	if o.MaxUnknown == 0 {
		o.MaxUnknown = 10_000
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gatherer{Options: o, seed: maphash.MakeSeed()}
	for i := range g.shards {
		g.shards[i].cells = map[Key]*cell{}
	}
	g.unknown.seen = map[unknownKey]*Unknown{}
	return g
}

// Record counts an outcome. It implements the pipeline's Recorder: it never
// waits for the store, and what it keeps of the request is copied.
func (g *Gatherer) Record(o *authz.Outcome) {
	if f := o.Facts; f != nil {
		if f.Token != nil {
			k := keyOf(f, o)
			g.count(&k, o)
			for _, other := range o.Others {
				k := keyOf(other, o)
				g.count(&k, o)
			}
		} else if o.Unknown != (authz.Digest{}) && f.Organization != nil && f.Organization.Enforcement == authz.Observe {
			g.discover(o)
		}
	}
	g.sighted(o.Disabled, ReasonDisabled, o)
	g.sighted(o.Leaked, ReasonSeenInQuery, o)
}

func keyOf(f *authz.Facts, o *authz.Outcome) Key {
	k := Key{
		Day: DayOf(o.Time), Token: f.Token.ID, Network: f.Client.Network, Reason: o.Decision.Reason, Allowed: o.Decision.Allowed,
	}
	if f.Organization != nil {
		k.Organization = f.Organization.ID
	}
	if r := f.Route; r != nil {
		k.Permission = r.Permission
		if r.Resource != nil {
			k.ResourceType, k.Resource = r.Resource.Type, r.Resource.Name
		}
	}
	return k
}

// sighted counts a token that the facts do not show.
func (g *Gatherer) sighted(t *authz.Token, reason string, o *authz.Outcome) {
	if t == nil {
		return
	}
	k := Key{Day: DayOf(o.Time), Token: t.ID, Reason: reason}
	if f := o.Facts; f != nil {
		k.Network = f.Client.Network
		if f.Organization != nil {
			k.Organization = f.Organization.ID
		}
	}
	g.count(&k, o)
}

func (g *Gatherer) count(k *Key, o *authz.Outcome) {
	hash := maphash.String(g.seed, k.Token)
	s := &g.shards[hash%shardCount]
	ms := o.Time.UnixMilli()
	s.mu.Lock()
	c := s.cells[*k]
	if c == nil {
		c = g.admit(s, *k, uint16(hash>>32)%uint16(len(s.spent)), o.Request)
	}
	if c != nil {
		c.add(1, ms, ms)
	}
	s.mu.Unlock()
	if c == nil {
		g.stats.dropped.Add(1)
	}
}

func (c *cell) add(n, first, last int64) {
	if c.count == 0 || first < c.first {
		c.first = first
	}
	if c.count == 0 || last > c.last {
		c.last = last
	}
	c.count += n
	c.idle = 0
}

// admit makes the cell of a key that is new: its own while token and shard are
// within their bounds, then that of a coarser key, then none.
func (g *Gatherer) admit(s *shard, k Key, bucket uint16, r authz.Request) *cell {
	if k.Day > s.day {
		s.day = k.Day
		clear(s.spent[:])
	}
	if clean(k.Resource) == Other || clean(k.ResourceType) == Other || g.secret(k.Resource, r) {
		k.Resource, k.ResourceType = Other, clean(k.ResourceType)
		if c := s.cells[k]; c != nil {
			return c
		}
	}
	limit := max(1, g.MaxKeys/shardCount)
	if int(s.spent[bucket]) < g.TokenKeys && len(s.cells) < limit {
		s.spent[bucket]++
		return s.put(k)
	}
	g.stats.folded.Add(1)
	if k.Resource != "" {
		k.Resource = Other
	}
	if c := s.cells[k]; c != nil {
		return c
	}
	if k.Network != "" {
		k.Network = Other
	}
	if c := s.cells[k]; c != nil {
		return c
	}
	// What is left of the key is bounded by the token's organizations, the route
	// table and the catalogue; the sum of all tokens is not.
	if len(s.cells) < 2*limit {
		return s.put(k)
	}
	return nil
}

// clean is a name of a resource that every store can keep, or [Other].
func clean(name string) string {
	if len(name) > 300 || !utf8.ValidString(name) || strings.Contains(name, "\x00") {
		return Other
	}
	return name
}

// secret says whether a name holds what looks like a secret, or is the request's
// own: people do put tokens into paths.
func (g *Gatherer) secret(name string, r authz.Request) bool {
	if r == nil {
		return redact.Text(name) != name
	}
	if g.CredentialHeaders.Of(r).Text(name) != name {
		return true
	}
	sent, _ := r.Header("authorization")
	for part := range strings.SplitSeq(name, "/") {
		if len(part) >= 12 && strings.Contains(sent, part) {
			return true
		}
	}
	return false
}

// put keeps a key. Its texts may lie in the request's buffer: they are copied.
func (s *shard) put(k Key) *cell {
	k.Token, k.Organization = strings.Clone(k.Token), strings.Clone(k.Organization)
	k.ResourceType, k.Resource = strings.Clone(k.ResourceType), strings.Clone(k.Resource)
	k.Permission, k.Network, k.Reason = strings.Clone(k.Permission), strings.Clone(k.Network), strings.Clone(k.Reason)
	c := &cell{}
	s.cells[k] = c
	return c
}

// stats are counted for metrics.
type stats struct {
	flushes, failures, rows, dropped, folded, unknownDropped atomic.Int64
	seconds                                                  atomic.Uint64 // float64 bits of the last flush's duration
	lastFlush                                                atomic.Int64  // Unix milliseconds
}
