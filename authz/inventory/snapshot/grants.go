package snapshot

import (
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// pool keeps one value for all rows with an equal one, and counts those who
// use it. Only the follower touches it; readers see the rows.
type pool[V any] struct {
	numbers map[string]uint32 // by content
	entries []entry           // by number
	free    []uint32
}

type entry struct {
	key   string
	uses  uint32
	parts []uint32 // values that this one is made of, and uses
}

func newPool[V any]() *pool[V] { return &pool[V]{numbers: map[string]uint32{}} }

// use counts one more use of the value with a content; 0 where it is not kept.
func (p *pool[V]) use(key string) uint32 {
	n := p.numbers[key]
	if n != 0 {
		p.entries[n].uses++
	}
	return n
}

// keep keeps a value under a content, used once.
func (p *pool[V]) keep(rows *rowEdit[V], key string, v V, parts []uint32) uint32 {
	n := rows.add()
	*rows.write(n) = v
	for int(n) >= len(p.entries) {
		p.entries = append(p.entries, entry{})
	}
	p.entries[n] = entry{key, 1, parts}
	p.numbers[key] = n
	return n
}

// again counts one more use of a value by its number.
func (p *pool[V]) again(n uint32) {
	if n != 0 {
		p.entries[n].uses++
	}
}

// release takes a use back; a value that nobody uses goes.
func (p *pool[V]) release(rows *rowEdit[V], n uint32) {
	if n == 0 {
		return
	}
	e := &p.entries[n]
	if e.uses--; e.uses > 0 {
		return
	}
	delete(p.numbers, e.key)
	parts := e.parts
	*e = entry{}
	rows.drop(n)
	for _, part := range parts {
		p.release(rows, part)
	}
}

// key writes the content of grants.
func key(grants []authz.Grant) string {
	var b strings.Builder
	for _, g := range grants {
		for _, part := range []string{g.Entity.Type, g.Entity.ID, g.Entity.Name, g.Entity.Namespace} {
			b.WriteString(part)
			b.WriteByte(0)
		}
		b.WriteString(textsKey(g.Permissions))
		b.WriteByte(2)
	}
	return b.String()
}

func textsKey(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(s)
		b.WriteByte(1)
	}
	return b.String()
}

// on returns the grants of a set that reach a namespace.
func on(set *authz.GrantSet, namespace string) *authz.GrantSet {
	if set == nil {
		return noGrants
	}
	if set.Parts != nil {
		if part := set.Parts[namespace]; part != nil {
			return part
		}
		return noGrants
	}
	if len(set.Grants) > 0 && set.Grants[0].Entity.Namespace == namespace {
		return set
	}
	return noGrants
}
