package snapshot

import (
	"fmt"
	"unsafe"

	"github.com/patrol-authz/patrol/authz"
)

// shared is what the follower keeps from one change to the next: what equal
// rows share, and which numbers are free.
type shared struct {
	words   []string
	grants  *pool[*authz.GrantSet]
	globals *pool[[]string]

	tokens, access, organizations, users, members []uint32 // freed numbers
}

func newShared() *shared {
	return &shared{words: []string{""}, grants: newPool[*authz.GrantSet](), globals: newPool[[]string]()}
}

// word numbers one of the few words that rows say again and again. Words are
// never forgotten.
func (s *shared) word(word string) (uint8, error) {
	for i, w := range s.words {
		if w == word {
			return uint8(i), nil
		}
	}
	if len(s.words) > 255 {
		return 0, fmt.Errorf("%q is one kind, source, state or role too many", word)
	}
	s.words = append(s.words, word)
	return uint8(len(s.words) - 1), nil
}

// emptySet is the number of the set without a grant, which always is there.
const emptySet = 1

// set numbers the shared set of some grants, and counts a use of it; 0 where
// there are none.
func (b *builder) set(grants []authz.Grant) uint32 {
	if len(grants) == 0 {
		return 0
	}
	// A store that loads, and an import, hand out one list for all tokens that have
	// it: that is seen without reading it.
	list := loaded{unsafe.SliceData(grants), len(grants)}
	if n := b.recent[list]; n != 0 {
		b.in.grants.again(n)
		return n
	}
	n := b.number(grants)
	if b.recent != nil && len(b.recent) < maxRecent {
		b.in.grants.again(n)
		b.recent[list] = n
	}
	return n
}

// loaded is a list of grants by its place in memory, which is not used again
// while this points to it.
type loaded struct {
	first *authz.Grant
	n     int
}

// maxRecent bounds how many lists are known by their place.
const maxRecent = 100_000

func (b *builder) number(grants []authz.Grant) uint32 {
	k := key(grants)
	if n := b.in.grants.use(k); n != 0 {
		return n
	}
	set := &authz.GrantSet{Grants: grants, Frozen: b.freezeGrants(grants)}
	by := map[string][]authz.Grant{}
	for _, g := range grants {
		by[g.Entity.Namespace] = append(by[g.Entity.Namespace], g)
	}
	var parts []uint32
	if len(by) > 1 {
		set.Parts = make(map[string]*authz.GrantSet, len(by))
		for namespace, part := range by {
			n := b.number(part)
			parts = append(parts, n)
			set.Parts[namespace] = *b.grants.at(n)
		}
	}
	return b.in.grants.keep(&b.grants, k, set, parts)
}

// list numbers the shared list of some texts; 0 for an empty one.
func (b *builder) list(texts []string) uint32 {
	if len(texts) == 0 {
		return 0
	}
	k := textsKey(texts)
	if n := b.in.globals.use(k); n != 0 {
		return n
	}
	return b.in.globals.keep(&b.globals, k, texts, nil)
}

// replace puts the number of a shared set where another was.
func (b *builder) replace(at *uint32, n uint32) {
	before := *at
	*at = n
	b.in.grants.release(&b.grants, before)
}
