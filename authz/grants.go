package authz

import "slices"

// Intersect returns what two lists of grants have in common, pair by pair: the
// permissions that both give on the same entity.
func Intersect(current, approved []Grant) []Grant {
	var out []Grant
	for _, c := range current {
		var permissions []string
		for _, p := range c.Permissions {
			if Gives(approved, c.Entity, p) {
				permissions = append(permissions, p)
			}
		}
		if len(permissions) > 0 {
			out = append(out, Grant{Entity: c.Entity, Permissions: permissions})
		}
	}
	return out
}

// Gives says whether grants give a permission on an entity.
func Gives(grants []Grant, e Entity, permission string) bool {
	for _, g := range grants {
		if g.Entity == e && slices.Contains(g.Permissions, permission) {
			return true
		}
	}
	return false
}

// NewGrantSet makes a set of grants that no snapshot holds, with its parts.
func NewGrantSet(grants []Grant) *GrantSet {
	set := &GrantSet{Grants: grants}
	for _, g := range grants {
		if g.Entity.Namespace != grants[0].Entity.Namespace {
			set.Parts = map[string]*GrantSet{}
			break
		}
	}
	if set.Parts == nil {
		return set
	}
	for _, g := range grants {
		part := set.Parts[g.Entity.Namespace]
		if part == nil {
			part = &GrantSet{}
			set.Parts[g.Entity.Namespace] = part
		}
		part.Grants = append(part.Grants, g)
	}
	return set
}
