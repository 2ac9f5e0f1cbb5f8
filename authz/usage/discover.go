package usage

import (
	"strings"
	"sync"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// unknowns are the unknown tokens since the last batch.
type unknowns struct {
	mu   sync.Mutex
	seen map[unknownKey]*Unknown
}

type unknownKey struct {
	organization string
	digest       authz.Digest
}

// discover takes note of an unknown token. Host, network and permission are
// those of its first request in the batch.
func (g *Gatherer) discover(o *authz.Outcome) {
	f := o.Facts
	k := unknownKey{f.Organization.ID, o.Unknown}
	at := o.Time.UTC().Truncate(time.Millisecond)
	g.unknown.mu.Lock()
	defer g.unknown.mu.Unlock()
	u := g.unknown.seen[k]
	if u == nil {
		if len(g.unknown.seen) >= g.MaxUnknown {
			g.stats.unknownDropped.Add(1)
			return
		}
		u = &Unknown{Organization: strings.Clone(k.organization), Digest: k.digest, Network: strings.Clone(f.Client.Network), First: at}
		k.organization = u.Organization
		if o.Request != nil {
			u.Host = host(o.Request.Host())
			if g.secret(u.Host, o.Request) {
				u.Host = ""
			}
		}
		if f.Route != nil {
			u.Permission = strings.Clone(f.Route.Permission)
		}
		g.unknown.seen[k] = u
	}
	u.Count++
	u.Last = later(u.Last, at)
}

// host is what is kept of a host, which the client chose.
func host(s string) string {
	s = strings.ToLower(s)
	if len(s) > 253 {
		s = s[:253]
	}
	return strings.Clone(strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, s))
}

func (u *unknowns) take() []Unknown {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.seen) == 0 {
		return nil
	}
	out := make([]Unknown, 0, len(u.seen))
	for _, one := range u.seen {
		out = append(out, *one)
	}
	u.seen = map[unknownKey]*Unknown{}
	return out
}

// giveBack takes back what was not written, as far as there is room beside what
// came since, and returns how many requests were dropped.
func (u *unknowns) giveBack(list []Unknown, most int) (dropped int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range list {
		one := list[i]
		k := unknownKey{one.Organization, one.Digest}
		now := u.seen[k]
		switch {
		case now != nil:
			one.Count, one.Last = one.Count+now.Count, later(one.Last, now.Last)
		case len(u.seen) >= most:
			dropped += one.Count
			continue
		}
		u.seen[k] = &one
	}
	return dropped
}
