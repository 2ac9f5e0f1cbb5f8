package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// entityKey identifies what a grant is about, whatever its namespace is called
// today: two grants with equal keys reach the same.
func entityKey(e authz.Entity) string {
	if e.ID != "" {
		return e.Type + "\x00" + e.ID
	}
	_, rest, _ := strings.Cut(e.Name, "/")
	return e.Type + "\x00" + e.Namespace + "\x00" + rest
}

// Covers says whether grants hold every permission that others ask for.
func Covers(have, asked []authz.Grant) bool { return len(Beyond(have, asked)) == 0 }

// Beyond returns what is asked for and not had, grant by grant.
func Beyond(have, asked []authz.Grant) []authz.Grant {
	var out []authz.Grant
	for _, g := range asked {
		key := entityKey(g.Entity)
		var missing []string
		for _, p := range g.Permissions {
			if !slices.ContainsFunc(have, func(h authz.Grant) bool {
				return entityKey(h.Entity) == key && slices.Contains(h.Permissions, p)
			}) {
				missing = append(missing, p)
			}
		}
		if len(missing) > 0 {
			out = append(out, authz.Grant{Entity: g.Entity, Permissions: missing})
		}
	}
	return out
}

// sameGrants says whether two lists grant the same.
func sameGrants(a, b []authz.Grant) bool { return Covers(a, b) && Covers(b, a) }

// Differences are what changed between what was reviewed and what is present,
// in so far as it concerns one organization.
func Differences(organizationID string, reviewed, present *TokenVersion) []Difference {
	var out []Difference
	if reviewed.Kind != present.Kind {
		out = append(out, Difference{"kind", reviewed.Kind, present.Kind})
	}
	if !reviewed.ExpiresAt.Equal(present.ExpiresAt) {
		out = append(out, Difference{"expires_at", end(reviewed.ExpiresAt), end(present.ExpiresAt)})
	}
	before, after := on(reviewed.Grants, organizationID), on(present.Grants, organizationID)
	for _, text := range told(Beyond(before, after)) {
		out = append(out, Difference{Field: "grants", Present: text})
	}
	for _, text := range told(Beyond(after, before)) {
		out = append(out, Difference{Field: "grants", Reviewed: text})
	}
	return out
}

func end(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// told lists grants permission by permission.
func told(grants []authz.Grant) []string {
	var out []string
	for _, g := range grants {
		for _, p := range g.Permissions {
			out = append(out, p+" on "+g.Entity.Type+" "+g.Entity.Name)
		}
	}
	return out
}

func on(grants []authz.Grant, organizationID string) []authz.Grant {
	var out []authz.Grant
	for _, g := range grants {
		if g.Entity.Namespace == organizationID {
			out = append(out, g)
		}
	}
	return out
}

// Reviewable is what a reviewer of the token's present version sees.
func (t *Token) Reviewable() *TokenVersion {
	return &TokenVersion{TokenID: t.ID, Version: t.Version, Kind: t.Kind, Grants: t.Grants, ExpiresAt: t.ExpiresAt}
}

// GroupKey is the same for requests that ask an organization for the same, so
// that they can be reviewed once and decided on together.
func GroupKey(organizationID string, asked []authz.Grant) string {
	var lines []string
	for _, g := range asked {
		for _, p := range g.Permissions {
			lines = append(lines, entityKey(g.Entity)+"\x00"+p)
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(organizationID + "\x01" + strings.Join(slices.Compact(lines), "\x01")))
	return hex.EncodeToString(sum[:8])
}
