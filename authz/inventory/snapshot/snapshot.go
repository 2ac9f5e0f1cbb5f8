package snapshot

import (
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Snapshot is one consistent state of the inventory. It is immutable.
type Snapshot struct {
	change   int64
	asOf     time.Time
	byDigest shards[authz.Digest, *authz.Token]
	tokens   shards[string, *token]              // by id
	names    shards[string, *authz.Organization] // by name
	orgs     shards[string, *authz.Organization] // by id
	users    shards[string, *authz.Owner]        // by id
	members  shards[pair, *member]               // organization and user
	access   shards[pair, *access]               // token and organization
}

// pair is a key of two ids.
type pair [2]string

// token is a token and the digest under which it is known now.
type token struct {
	*authz.Token
	digest authz.Digest
}

// member is a membership with its history.
type member struct {
	present *authz.Membership // nil when the user has left
	periods []*inventory.Period
}

// access is what is stored between a token and an organization.
type access struct {
	authorization authz.Authorization
	effective     *authz.GrantSet // nil: the current grants
}

func empty() *Snapshot {
	return &Snapshot{
		byDigest: newShards[authz.Digest, *authz.Token](), tokens: newShards[string, *token](),
		names: newShards[string, *authz.Organization](), orgs: newShards[string, *authz.Organization](),
		users: newShards[string, *authz.Owner](), members: newShards[pair, *member](), access: newShards[pair, *access](),
	}
}

// Token returns the token known by a digest, or nil.
func (s *Snapshot) Token(d authz.Digest) *authz.Token { return s.byDigest.get(d) }

// Organization returns an organization or user namespace by name, or nil.
func (s *Snapshot) Organization(name string) *authz.Organization {
	if name == "" {
		return nil
	}
	return s.names.get(strings.ToLower(name))
}

// ownNamespace is a user's membership in the own namespace.
var ownNamespace = &authz.Membership{Role: "admin"}

// Membership returns a user's membership in an organization, or nil.
func (s *Snapshot) Membership(organizationID, userID string) *authz.Membership {
	if o := s.orgs.get(organizationID); o != nil && o.Type == authz.TypeUser {
		if o.OwnerID == userID {
			return ownNamespace
		}
		return nil
	}
	if m := s.members.get(pair{organizationID, userID}); m != nil {
		return m.present
	}
	return nil
}

// Nothing stored between a token and an organization.
var (
	nothing       = &authz.Authorization{State: authz.StateNone}
	nothingExempt = &authz.Authorization{State: authz.StateNone, AdminCreated: true}
	noGrants      = &authz.GrantSet{}
)

// Access returns what holds between a token and an organization.
func (s *Snapshot) Access(t *authz.Token, o *authz.Organization) authz.Access {
	var out authz.Access
	if t.Kind == authz.KindFineGrained {
		out.Current = on(t.Grants, o.ID)
		out.Effective = out.Current
	}
	exempt := s.adminCreated(t, o)
	stored := s.access.get(pair{t.ID, o.ID})
	switch {
	case stored == nil && exempt:
		out.Authorization = nothingExempt
	case stored == nil:
		out.Authorization = nothing
	default:
		out.Authorization = &stored.authorization
		if exempt {
			copied := stored.authorization
			copied.AdminCreated = true
			out.Authorization = &copied
		}
		if stored.effective != nil {
			out.Effective = stored.effective
		}
	}
	return out
}

func (s *Snapshot) adminCreated(t *authz.Token, o *authz.Organization) bool {
	if t.Source != "issued" || t.Owner == nil {
		return false
	}
	m := s.members.get(pair{o.ID, t.Owner.ID})
	if m == nil || m.present == nil || m.present.Role != "admin" {
		return false
	}
	return inventory.AdminCreated(&inventory.Token{Source: t.Source, CreatedAt: t.CreatedAt}, m.periods)
}

// AsOf is when the inventory was last read with success.
func (s *Snapshot) AsOf() time.Time { return s.asOf }

// Change is the number of the last change that the snapshot holds.
func (s *Snapshot) Change() int64 { return s.change }

// Tokens counts the tokens.
func (s *Snapshot) Tokens() int { return s.tokens.size }

// EachOrganization calls yield for each organization and user namespace, in no
// order, until it returns false.
func (s *Snapshot) EachOrganization(yield func(*authz.Organization) bool) {
	for _, part := range s.orgs.parts {
		for _, o := range part {
			if !yield(o) {
				return
			}
		}
	}
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
