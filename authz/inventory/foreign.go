package inventory

import (
	"fmt"
	"slices"

	"github.com/patrol-authz/patrol/authz"
)

// seeToken takes note of a token of another source. One that is not known is
// made; of one that is, the record comes to show what it was seen with. Nothing
// that was decided on it changes: more than was approved is asked for.
func (r *rules) seeToken(c SeeToken) error {
	if !authz.Foreign(c.Source) {
		return &Invalid{"source", fmt.Sprintf("%q is no source of tokens that are made elsewhere", c.Source)}
	}
	if c.Digest == (authz.Digest{}) {
		return &Invalid{"digest", "is missing"}
	}
	u, _, err := r.checkToken(tokenFields{owner: c.Owner, displayName: c.DisplayName, kind: c.Kind})
	if err != nil {
		return err
	}
	grants, err := r.reaching(c.Kind, c.Grants)
	if err != nil {
		return err
	}
	before, err := r.TokenByDigest(c.Digest)
	switch {
	case err != nil:
		return err
	case before == nil:
		return r.firstSeen(c, u, grants)
	case before.Deleted:
		return &Forbidden{"the token was deleted"}
	case before.Source != c.Source:
		return &Invalid{"digest", "is that of another source's token"}
	case before.OwnerID != u.ID:
		return &Invalid{"owner", "the token is known and belongs to somebody else"}
	}
	t := *before
	if t.Kind = c.Kind; c.Kind == authz.KindFineGrained {
		t.Grants = union(before.Grants, grants)
	} else {
		t.Grants = nil
	}
	if len(t.Grants) > maxGrants {
		t.Grants = grants // what it is seen with now
	}
	r.change.Subject.TokenID = t.ID
	if sameDescription(before, &t) {
		return nil
	}
	t.Version++
	r.changeToken(before, &t)
	details := map[string]any{"source": t.Source, "version": t.Version}
	if added := told(Beyond(before.Grants, t.Grants)); len(added) > 0 {
		details["added"] = added
	}
	if t.Kind != before.Kind {
		details["kind"] = t.Kind
	}
	r.audit("", t.ID, details)
	return r.afterUpdate(before, &t, "hit")
}

func (r *rules) firstSeen(c SeeToken, u *User, grants []authz.Grant) error {
	id, err := newID()
	if err != nil {
		return err
	}
	t := &Token{
		ID: id, Digest: c.Digest, DisplayName: c.DisplayName, Kind: c.Kind, OwnerID: u.ID, Source: c.Source, Grants: grants,
		CreatedAt: r.now, Version: 1,
	}
	r.change.Records.Tokens = append(r.change.Records.Tokens, t)
	r.change.Subject.TokenID = id
	r.audit("", id, map[string]any{"owner": u.Name, "display_name": t.DisplayName, "kind": t.Kind, "source": t.Source})
	return r.openForToken(t, "hit")
}

// reaching checks grants as another source told them. Those on what is not here
// grant nothing here, and are left out.
func (r *rules) reaching(kind string, given []authz.Grant) ([]authz.Grant, error) {
	if kind != authz.KindFineGrained {
		return r.grants(kind, given)
	}
	var here []authz.Grant
	for i := range given {
		one, err := r.grants(kind, given[i:i+1])
		if _, invalid := err.(*Invalid); invalid { //nolint:errorlint // made by the rules, never wrapped
			continue
		}
		if err != nil {
			return nil, err
		}
		here = union(here, one)
	}
	return here, nil
}

// union adds what b gives beyond a.
func union(a, b []authz.Grant) []authz.Grant {
	out := append([]authz.Grant(nil), a...)
	for _, g := range Beyond(a, b) {
		out = join(out, g)
	}
	return out
}

// join adds a grant, to what there is on the same entity if anything is.
func join(grants []authz.Grant, g authz.Grant) []authz.Grant {
	for i := range grants {
		if entityKey(grants[i].Entity) == entityKey(g.Entity) {
			permissions := slices.Concat(grants[i].Permissions, g.Permissions)
			slices.Sort(permissions)
			grants[i] = authz.Grant{Entity: g.Entity, Permissions: slices.Compact(permissions)}
			return grants
		}
	}
	return append(grants, g)
}

// ofElsewhere refuses what makes no sense of a token that is made elsewhere.
func ofElsewhere(t *Token, field, problem string) error {
	if authz.Foreign(t.Source) {
		return &Invalid{field, problem + ": the token is made elsewhere (" + t.Source + ")"}
	}
	return nil
}
