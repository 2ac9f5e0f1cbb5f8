package authz

import (
	"regexp"
	"slices"
)

var (
	validPermission = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,63}$`)
	validType       = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)
)

// MaxPermissions is how many permissions one grant may hold.
const MaxPermissions = 100

// ValidPermission says whether a text can be a permission's name.
func ValidPermission(name string) bool { return validPermission.MatchString(name) }

// ValidType says whether a text can be a type of entity.
func ValidType(name string) bool { return validType.MatchString(name) }

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
