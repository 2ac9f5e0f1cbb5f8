package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

const (
	maxGrants = 500
	maxText   = 2000
)

// grants checks grants and fills in the ids of what they reach.
func (r *rules) grants(kind string, given []authz.Grant) ([]authz.Grant, error) {
	if kind != authz.KindFineGrained {
		if len(given) > 0 {
			return nil, &Invalid{"grants", "belong to fine-grained tokens; this one is a " + kind + " token"}
		}
		return nil, nil
	}
	if len(given) > maxGrants {
		return nil, &Invalid{"grants", fmt.Sprintf("are more than %d", maxGrants)}
	}
	if len(given) == 0 {
		return []authz.Grant{}, nil
	}
	// An import gives one list for all tokens that have it.
	place := givenList{&given[0], len(given)}
	out, known := r.checked[place]
	if known {
		return out, nil
	}
	out, err := r.checkGrants(given)
	if err == nil {
		r.checked[place] = out
	}
	return out, err
}

// givenList is a list of grants by its place in memory.
type givenList struct {
	first *authz.Grant
	n     int
}

func (r *rules) checkGrants(given []authz.Grant) ([]authz.Grant, error) {
	out := make([]authz.Grant, len(given))
	for i, g := range given {
		field := fmt.Sprintf("grants[%d]", i)
		if !authz.ValidType(g.Entity.Type) {
			return nil, &Invalid{field + ".entity.type", fmt.Sprintf("%q is no type of entity", g.Entity.Type)}
		}
		if len(g.Permissions) == 0 || len(g.Permissions) > authz.MaxPermissions {
			return nil, &Invalid{field + ".permissions", "must name 1 to 100 permissions"}
		}
		for _, p := range g.Permissions {
			if !authz.ValidPermission(p) {
				return nil, &Invalid{field + ".permissions", fmt.Sprintf("%q is no permission's name", p)}
			}
		}
		entity, err := r.entity(field, g.Entity)
		if err != nil {
			return nil, err
		}
		permissions := slices.Clone(g.Permissions)
		slices.Sort(permissions)
		out[i] = authz.Grant{Entity: entity, Permissions: slices.Compact(permissions)}
	}
	return out, nil
}

func (r *rules) entity(field string, e authz.Entity) (authz.Entity, error) {
	namespace, rest, nested := strings.Cut(e.Name, "/")
	whole := e.Type == "organization" || e.Type == "user"
	if whole == nested || nested && (rest == "" || len(rest) > 200) {
		return e, &Invalid{field + ".entity.name", fmt.Sprintf("%q does not name a %s: organizations and users have a name, all else is NAMESPACE/NAME", e.Name, e.Type)}
	}
	if err := checkText(field+".entity.name", e.Name, 300); err != nil {
		return e, err
	}
	o, err := r.organization(namespace)
	if err != nil {
		return e, &Invalid{field + ".entity.name", fmt.Sprintf("the organization or user %q does not exist", namespace)}
	}
	if whole && o.Type != e.Type {
		return e, &Invalid{field + ".entity.type", fmt.Sprintf("%s is of type %s", o.Name, o.Type)}
	}
	out := authz.Entity{Type: e.Type, Name: o.Name, Namespace: o.ID}
	if whole {
		out.ID = o.ID
	} else {
		out.Name = o.Name + "/" + rest
	}
	return out, nil
}

// tokenFields are what issued and imported tokens have in common.
type tokenFields struct {
	owner, displayName, kind string
	grants                   []authz.Grant
	purpose, contact         string
	last4                    string
}

func (r *rules) checkToken(f tokenFields) (*User, []authz.Grant, error) {
	if err := checkDescription(f.displayName, f.purpose, f.contact); err != nil {
		return nil, nil, err
	}
	switch f.kind {
	case authz.KindRead, authz.KindWrite, authz.KindFineGrained:
	default:
		return nil, nil, &Invalid{"kind", fmt.Sprintf("%q is none of read, write, fine-grained", f.kind)}
	}
	if len(f.last4) > 4 {
		return nil, nil, &Invalid{"last4", "is longer than 4"}
	}
	u, err := r.UserByName(Fold(f.owner))
	if err != nil {
		return nil, nil, err
	}
	if u == nil {
		return nil, nil, &Invalid{"owner", fmt.Sprintf("the user %q does not exist: add it as a member first", f.owner)}
	}
	grants, err := r.grants(f.kind, f.grants)
	return u, grants, err
}

func (r *rules) issueToken(c IssueToken) error {
	u, grants, err := r.checkToken(tokenFields{c.Owner, c.DisplayName, c.Kind, c.Grants, c.Purpose, c.Contact, c.Last4})
	if err != nil {
		return err
	}
	if !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(r.now) {
		return &Invalid{"expires_at", "lies in the past"}
	}
	if c.Digest == (authz.Digest{}) {
		return &Invalid{"digest", "is missing"}
	}
	if err := r.unusedDigest("digest", c.Digest); err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	t := &Token{
		ID: id, Digest: c.Digest, DisplayName: c.DisplayName, Last4: c.Last4, Kind: c.Kind, OwnerID: u.ID, Source: authz.SourceIssued,
		Grants: grants, Global: c.Global, Purpose: c.Purpose, Contact: c.Contact, CreatedAt: r.now,
		ExpiresAt: wholeSeconds(c.ExpiresAt), Version: 1,
	}
	r.change.Records.Tokens = append(r.change.Records.Tokens, t)
	r.change.Subject.TokenID = id
	r.audit("", id, map[string]any{"owner": u.Name, "display_name": t.DisplayName, "kind": t.Kind})
	return r.openForToken(t, "issue")
}

func (r *rules) importTokens(c ImportTokens) error {
	if len(c.Tokens) == 0 {
		return &Invalid{"tokens", "are missing"}
	}
	seen := make(map[authz.Digest]int, len(c.Tokens))
	var bad InvalidList
	for i := range c.Tokens {
		in := &c.Tokens[i]
		other, twice := seen[in.Digest]
		seen[in.Digest] = i
		err := r.importToken(in)
		if twice {
			err = &Invalid{"sha256", fmt.Sprintf("is that of tokens[%d] too", other)}
		}
		if err == nil {
			continue
		}
		invalid, ok := err.(*Invalid) //nolint:errorlint // made by the rules, never wrapped
		if !ok {
			return err
		}
		bad = append(bad, &Invalid{fmt.Sprintf("tokens[%d].%s", i, invalid.Field), invalid.Problem})
	}
	if len(bad) > 0 {
		return bad
	}
	r.change.Subject.Imported = len(c.Tokens)
	r.audit("", "", map[string]any{"tokens": len(c.Tokens)})
	return nil
}

// importToken brings one token in. One that is there already, or was deleted,
// takes the new description under its old id: what was decided on it stays.
func (r *rules) importToken(c *ImportToken) error {
	u, grants, err := r.checkToken(tokenFields{c.Owner, c.DisplayName, c.Kind, c.Grants, c.Purpose, c.Contact, c.Last4})
	if err != nil {
		return err
	}
	if c.Digest == (authz.Digest{}) {
		return &Invalid{"digest", "is missing"}
	}
	if c.CreatedAt.IsZero() {
		c.CreatedAt = r.now
	}
	if c.CreatedAt.After(r.now.Add(time.Minute)) {
		return &Invalid{"created_at", "lies in the future"}
	}
	before, err := r.TokenByDigest(c.Digest)
	if err != nil {
		return err
	}
	if before == nil {
		if rotated, err := r.TokenByFormer(c.Digest); err != nil {
			return err
		} else if rotated != nil {
			return &Invalid{"sha256", "is that of a secret which a token had before it was rotated"}
		}
		id, err := newID()
		if err != nil {
			return err
		}
		before = &Token{ID: id, Digest: c.Digest, OwnerID: u.ID, Source: authz.SourceImported, CreatedAt: wholeSeconds(c.CreatedAt)}
	} else if before.OwnerID != u.ID {
		return &Invalid{"owner", "the token is known and belongs to somebody else"}
	}
	t := *before
	t.DisplayName, t.Last4, t.Kind = c.DisplayName, c.Last4, c.Kind
	t.Grants, t.Global, t.Purpose, t.Contact = grants, c.Global, c.Purpose, c.Contact
	t.ExpiresAt, t.Deleted = wholeSeconds(c.ExpiresAt), false
	if before.Version == 0 {
		t.Version = 1
		r.change.Records.Tokens = append(r.change.Records.Tokens, &t)
		return r.openForToken(&t, "import")
	}
	if sameDescription(before, &t) {
		return nil
	}
	t.Version++
	r.changeToken(before, &t)
	return r.afterUpdate(before, &t, "import")
}

func wholeSeconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

func (r *rules) disable(id, comment string, disabled bool) error {
	before, err := r.token(id)
	if err == nil && disabled {
		err = r.notItself(id)
	}
	if err == nil {
		err = checkText("comment", comment, maxText)
	}
	if err != nil {
		return err
	}
	r.change.Subject.TokenID = id
	if before.Disabled == disabled {
		return nil
	}
	t := *before
	t.Disabled, t.Version = disabled, t.Version+1
	r.changeToken(before, &t)
	r.audit("", id, map[string]any{"comment": comment})
	return nil
}

func (r *rules) deleteToken(c DeleteToken) error {
	before, err := r.token(c.Token)
	if err == nil {
		err = r.notItself(c.Token)
	}
	if err != nil {
		return err
	}
	t := *before
	t.Deleted, t.Version = true, t.Version+1
	r.changeToken(before, &t)
	for _, ns := range t.Namespaces() {
		if err := r.closeRequest(t.ID, ns, authz.RequestWithdrawn, "", ""); err != nil {
			return err
		}
	}
	r.audit("", t.ID, map[string]any{"display_name": t.DisplayName, "comment": c.Comment})
	return nil
}

// Namespaces lists the ids of the namespaces that a token's grants reach.
func (t *Token) Namespaces() []string {
	var ids []string
	for _, g := range t.Grants {
		if !slices.Contains(ids, g.Entity.Namespace) {
			ids = append(ids, g.Entity.Namespace)
		}
	}
	return ids
}
