package snapshot

import (
	"maps"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// former is a secret that a token had before it was rotated. Few tokens have
// one, so they are kept in a map, which a change to one of them copies.
type former struct {
	token string    // id
	until time.Time // the end of the overlap; zero where there was none
}

// Former fills in the token that had a secret before it was rotated, and says
// until when that secret is accepted (zero: not at all) and whether there is one.
func (s *Snapshot) Former(d authz.Digest, t *authz.Token) (until time.Time, known bool) {
	f, known := s.formers[d]
	if !known {
		return time.Time{}, false
	}
	n := s.tokenNumber(&authz.Token{ID: f.token})
	if n == 0 || s.tokens.at(n).flags&tokenGone != 0 {
		return time.Time{}, false
	}
	s.fill(n, s.tokens.at(n), t)
	return f.until, true
}

// former takes in the secrets that a token had before.
func (b *builder) former(t *inventory.Token) {
	if len(t.Former) == 0 {
		return
	}
	if !b.formersOwn {
		b.formers, b.formersOwn = maps.Clone(b.formers), true
		if b.formers == nil {
			b.formers = map[authz.Digest]former{}
		}
	}
	for _, f := range t.Former {
		kept := former{token: t.ID}
		if f.Until.After(f.At) {
			kept.until = f.Until
		}
		b.formers[f.Digest] = kept
	}
}
