package snapshot

import (
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// interner keeps one set for all tokens with equal grants: most tokens of an
// organization ask for one of a few sets. Only the follower uses it.
type interner struct {
	sets   map[string]*authz.GrantSet
	freeze func([]authz.Grant) any
	texts  map[string]string
}

func newInterner(freeze func([]authz.Grant) any) *interner {
	if freeze == nil {
		freeze = func([]authz.Grant) any { return nil }
	}
	return &interner{sets: map[string]*authz.GrantSet{}, freeze: freeze, texts: map[string]string{}}
}

// text shares equal texts.
func (in *interner) text(s string) string {
	if have, ok := in.texts[s]; ok {
		return have
	}
	s = strings.Clone(s)
	in.texts[s] = s
	return s
}

func key(grants []authz.Grant) string {
	var b strings.Builder
	for _, g := range grants {
		for _, part := range []string{g.Entity.Type, g.Entity.ID, g.Entity.Name, g.Entity.Namespace} {
			b.WriteString(part)
			b.WriteByte(0)
		}
		for _, p := range g.Permissions {
			b.WriteString(p)
			b.WriteByte(1)
		}
		b.WriteByte(2)
	}
	return b.String()
}

// set returns the shared set of some grants.
func (in *interner) set(grants []authz.Grant) *authz.GrantSet {
	if len(grants) == 0 {
		return noGrants
	}
	k := key(grants)
	if have := in.sets[k]; have != nil {
		return have
	}
	set := &authz.GrantSet{Grants: grants, Frozen: in.freeze(grants)}
	in.sets[k] = set
	by := map[string][]authz.Grant{}
	for _, g := range grants {
		by[g.Entity.Namespace] = append(by[g.Entity.Namespace], g)
	}
	if len(by) > 1 {
		set.Parts = make(map[string]*authz.GrantSet, len(by))
		for namespace, part := range by {
			set.Parts[namespace] = in.set(part)
		}
	}
	return set
}

// sweep forgets sets that were made for tokens now gone, once there are many.
func (in *interner) sweep(tokens int) {
	if len(in.sets) > 4*tokens+10000 {
		clear(in.sets)
	}
	if len(in.texts) > 4*tokens+100000 {
		clear(in.texts)
	}
}

// intersect returns what two lists of grants have in common, pair by pair: the
// permissions that both give on the same entity.
func intersect(current, approved []authz.Grant) []authz.Grant {
	var out []authz.Grant
	for _, c := range current {
		var permissions []string
		for _, p := range c.Permissions {
			if gives(approved, c.Entity, p) {
				permissions = append(permissions, p)
			}
		}
		if len(permissions) > 0 {
			out = append(out, authz.Grant{Entity: c.Entity, Permissions: permissions})
		}
	}
	return out
}

func gives(grants []authz.Grant, e authz.Entity, permission string) bool {
	for _, g := range grants {
		if g.Entity != e {
			continue
		}
		for _, p := range g.Permissions {
			if p == permission {
				return true
			}
		}
	}
	return false
}
