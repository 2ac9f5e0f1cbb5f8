package snapshot

import (
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Snapshot is one consistent state of the inventory. It is immutable, and
// nothing that it is asked allocates.
type Snapshot struct {
	change int64
	asOf   time.Time
	count  int // tokens that are not gone

	words    []string // kinds, sources, states, roles
	tokens   textRows[tokenRow, *tokenRow]
	byDigest index
	byID     index
	access   textRows[accessRow, *accessRow]
	byPair   index // token and organization

	organizations      rows[organizationRow]
	organizationByName index
	organizationByID   index
	users              rows[authz.Owner]
	userByID           index
	members            rows[memberRow]
	memberByPair       index // organization and user

	grants  rows[*authz.GrantSet]
	globals rows[[]string]
	formers map[authz.Digest]former
}

// noGrants is what a fine-grained token with no grants may do.
var noGrants = &authz.GrantSet{}

// Token fills in the token known by a digest, and says whether there is one.
func (s *Snapshot) Token(d authz.Digest, t *authz.Token) bool {
	for p := s.byDigest.find(hashDigest(&d)); ; {
		n := p.next()
		if n == 0 {
			return false
		}
		if row := s.tokens.at(n); row.digest == d {
			s.fill(n, row, t)
			return true
		}
	}
}

// TokenByID fills in a token by its id, and says whether there is one that is
// not deleted.
func (s *Snapshot) TokenByID(id string, t *authz.Token) bool {
	n := s.tokenNumber(&authz.Token{ID: id})
	if n == 0 {
		return false
	}
	row := s.tokens.at(n)
	if row.flags&tokenGone != 0 {
		return false
	}
	s.fill(n, row, t)
	return true
}

func (s *Snapshot) fill(n uint32, row *tokenRow, t *authz.Token) {
	page := s.tokens.page[n/pageRows]
	*t = authz.Token{
		ID: row.text.cut(page, tokenID), DisplayName: row.text.cut(page, tokenName), Last4: row.text.cut(page, tokenLast4),
		Kind: s.words[row.kind], Source: s.words[row.source], CreatedAt: fromMillis(row.created), ExpiresAt: fromMillis(row.expires),
		Disabled: row.flags&tokenDisabled != 0, Ref: n,
	}
	if row.owner != 0 {
		t.Owner = s.users.at(row.owner)
	}
	if row.global != 0 {
		t.Global = *s.globals.at(row.global)
	}
	switch {
	case row.grants != 0:
		t.Grants = *s.grants.at(row.grants)
	case t.Kind == authz.KindFineGrained:
		t.Grants = noGrants
	}
}

// Organization returns an organization or user namespace by its name or alias, or nil.
func (s *Snapshot) Organization(name string) *authz.Organization {
	if name == "" {
		return nil
	}
	name = authz.Fold(name)
	for p := s.organizationByName.find(hashText(name)); ; {
		n := p.next()
		if n == 0 {
			return nil
		}
		if row := s.organizations.at(n); row.org != nil && (row.org.Name == name || slices.Contains(row.aliases, name)) {
			return row.org
		}
	}
}

// ownNamespace is a user's membership in the own namespace.
var ownNamespace = &authz.Membership{Role: "admin"}

// Membership returns a user's membership in an organization, or nil.
func (s *Snapshot) Membership(o *authz.Organization, u *authz.Owner) *authz.Membership {
	if o.Type == authz.TypeUser {
		if o.OwnerID == u.ID {
			return ownNamespace
		}
		return nil
	}
	if m := s.member(o, u); m != nil && m.present.Role != "" {
		return &m.present
	}
	return nil
}

func (s *Snapshot) member(o *authz.Organization, u *authz.Owner) *memberRow {
	org, user := s.organizationNumber(o), s.userNumber(u)
	if org == 0 || user == 0 {
		return nil
	}
	for p := s.memberByPair.find(hashPair(org, user)); ; {
		n := p.next()
		if n == 0 {
			return nil
		}
		if m := s.members.at(n); m.organization == org && m.user == user {
			return m
		}
	}
}

// The numbers of records: the Ref that came with them, where it is this
// snapshot's, or else by id.

func (s *Snapshot) organizationNumber(o *authz.Organization) uint32 {
	if s.organizations.has(o.Ref) && s.organizations.at(o.Ref).id == o.ID {
		return o.Ref
	}
	for p := s.organizationByID.find(hashText(o.ID)); ; {
		n := p.next()
		if n == 0 || s.organizations.at(n).id == o.ID {
			return n
		}
	}
}

func (s *Snapshot) userNumber(u *authz.Owner) uint32 {
	if s.users.has(u.Ref) && s.users.at(u.Ref).ID == u.ID {
		return u.Ref
	}
	for p := s.userByID.find(hashText(u.ID)); ; {
		n := p.next()
		if n == 0 || s.users.at(n).ID == u.ID {
			return n
		}
	}
}

func (s *Snapshot) tokenNumber(t *authz.Token) uint32 {
	if s.tokens.has(t.Ref) && s.tokens.text(t.Ref, tokenID) == t.ID {
		return t.Ref
	}
	for p := s.byID.find(hashText(t.ID)); ; {
		n := p.next()
		if n == 0 || s.tokens.text(n, tokenID) == t.ID {
			return n
		}
	}
}

// Access fills in what holds between a token and an organization.
func (s *Snapshot) Access(t *authz.Token, o *authz.Organization, a *authz.Access) {
	*a = authz.Access{}
	a.Authorization.State = authz.StateNone
	fineGrained := t.Kind == authz.KindFineGrained
	if fineGrained {
		a.Current = on(t.Grants, o.ID)
		a.Effective = a.Current
	}
	if n := s.stored(t, o); n != 0 {
		s.fillAccess(n, a, fineGrained)
	}
	a.Authorization.AdminCreated = s.adminCreated(t, o)
}

// stored finds what is stored between a token and an organization, or 0.
func (s *Snapshot) stored(t *authz.Token, o *authz.Organization) uint32 {
	token := s.tokenNumber(t)
	if token == 0 || s.tokens.at(token).accesses == 0 {
		return 0
	}
	org := s.organizationNumber(o)
	for p := s.byPair.find(hashPair(token, org)); ; {
		n := p.next()
		if n == 0 {
			return 0
		}
		if row := s.access.at(n); row.token == token && row.organization == org {
			return n
		}
	}
}

func (s *Snapshot) fillAccess(n uint32, a *authz.Access, fineGrained bool) {
	row, page := s.access.at(n), s.access.page[n/pageRows]
	a.Authorization = authz.Authorization{
		State: s.words[row.state], ExpiresAt: fromMillis(row.expires), Suspended: row.flags&accessSuspended != 0,
		ChangedAt: fromMillis(row.changed), Comment: row.text.cut(page, accessComment),
	}
	if row.approved != 0 {
		a.Authorization.Grants = *s.grants.at(row.approved)
	}
	if row.effective != 0 && fineGrained {
		a.Effective = *s.grants.at(row.effective)
	}
	if row.flags&accessRequested == 0 {
		return
	}
	a.Request = authz.ApprovalRequest{
		ID: row.text.cut(page, accessRequest), Round: int(row.round), State: s.words[row.requestState], OpenedAt: fromMillis(row.opened), Grants: noGrants,
	}
	if row.asked != 0 {
		a.Request.Grants = *s.grants.at(row.asked)
	}
	a.Authorization.Request = &a.Request
}

func (s *Snapshot) adminCreated(t *authz.Token, o *authz.Organization) bool {
	if t.Source != authz.SourceIssued || t.Owner == nil {
		return false
	}
	m := s.member(o, t.Owner)
	if m == nil || len(m.admin) == 0 {
		return false
	}
	return inventory.AdminCreated(&inventory.Token{Source: t.Source, CreatedAt: t.CreatedAt}, m.admin)
}

// AsOf is when the inventory was last read with success.
func (s *Snapshot) AsOf() time.Time { return s.asOf }

// Change is the number of the last change that the snapshot holds.
func (s *Snapshot) Change() int64 { return s.change }

// Tokens counts the tokens.
func (s *Snapshot) Tokens() int { return s.count }

// EachOrganization calls yield for each organization and user namespace, in no
// order, until it returns false.
func (s *Snapshot) EachOrganization(yield func(*authz.Organization) bool) {
	for n := uint32(1); n < s.organizations.next; n++ {
		if o := s.organizations.at(n).org; o != nil && !yield(o) {
			return
		}
	}
}
