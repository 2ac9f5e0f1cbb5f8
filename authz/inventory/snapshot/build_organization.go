package snapshot

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// organization finds the number of an organization, or makes one for it.
func (b *builder) organization(id string) uint32 {
	h := hashText(id)
	for p := b.organizationByID.find(h); ; {
		n := p.next()
		if n == 0 {
			break
		}
		if b.organizations.at(n).id == id {
			return n
		}
	}
	n := b.organizations.add()
	b.organizations.write(n).id = id
	b.organizationByID.add(h, n)
	return n
}

// Organization takes in an organization or user namespace.
func (b *builder) Organization(o *inventory.Organization) error {
	n := b.organization(o.ID)
	row := b.organizations.write(n)
	if row.org != nil {
		for _, name := range append([]string{row.org.Name}, row.aliases...) {
			b.organizationByName.drop(hashText(name), n)
		}
		row.org, row.aliases = nil, nil
	}
	if o.Deleted {
		return nil
	}
	made := &authz.Organization{
		ID: o.ID, Name: o.Name, Type: o.Type, TokenPolicy: o.TokenPolicy, NextTokenPolicy: o.NextTokenPolicy, EnforceAt: o.EnforceAt,
		Enforcement: o.Enforcement, ManagedBy: o.ManagedBy, Settings: o.Settings, OwnerID: o.OwnerID, Ref: n,
	}
	made.Frozen = b.freezeOrganization(made)
	if o.NextTokenPolicy != "" {
		after := *made
		after.TokenPolicy, after.NextTokenPolicy, after.Frozen = o.NextTokenPolicy, "", nil
		after.EnforceAt = time.Time{}
		after.Frozen = b.freezeOrganization(&after)
		made.After = &after
	}
	row.org, row.aliases = made, o.Aliases
	for _, name := range append([]string{o.Name}, o.Aliases...) {
		b.organizationByName.add(hashText(name), n)
	}
	return nil
}

func (b *builder) user(id string) uint32 {
	for p := b.userByID.find(hashText(id)); ; {
		n := p.next()
		if n == 0 || b.users.at(n).ID == id {
			return n
		}
	}
}

// User takes in a user.
func (b *builder) User(u *inventory.User) error {
	n := b.user(u.ID)
	if n == 0 {
		n = b.users.add()
		b.userByID.add(hashText(u.ID), n)
	}
	*b.users.write(n) = authz.Owner{ID: u.ID, Name: u.Name, Type: u.Type, Ref: n}
	return nil
}

// Period takes in a period of a membership's history; those of one membership
// follow one another.
func (b *builder) Period(p *inventory.Period) error {
	if len(b.periods) > 0 && (b.periods[0].OrganizationID != p.OrganizationID || b.periods[0].UserID != p.UserID) {
		if err := b.endMember(); err != nil {
			return err
		}
	}
	copied := *p
	b.periods = append(b.periods, &copied)
	return nil
}

// memberships takes in whole histories, in any order of their memberships.
func (b *builder) memberships(all []*inventory.Period) error {
	by := map[[2]string][]*inventory.Period{}
	for _, p := range all {
		k := [2]string{p.OrganizationID, p.UserID}
		by[k] = append(by[k], p)
	}
	for _, b.periods = range by {
		if err := b.endMember(); err != nil {
			return err
		}
	}
	return nil
}

// endMember takes in the membership whose history was read.
func (b *builder) endMember() error {
	periods := b.periods
	b.periods = nil
	if len(periods) == 0 {
		return nil
	}
	user := b.user(periods[0].UserID)
	if user == 0 {
		return nil // nobody's membership
	}
	organization := b.organization(periods[0].OrganizationID)
	n, h := uint32(0), hashPair(organization, user)
	for p := b.memberByPair.find(h); ; {
		if n = p.next(); n == 0 {
			n = b.members.add()
			b.memberByPair.add(h, n)
			break
		}
		if m := b.members.at(n); m.organization == organization && m.user == user {
			break
		}
	}
	m := b.members.write(n)
	*m = memberRow{organization: organization, user: user}
	last := periods[len(periods)-1]
	if !last.Until.IsZero() {
		return nil
	}
	role, err := b.in.word(last.Role)
	if err != nil {
		return err
	}
	m.present = authz.Membership{Role: b.in.words[role], Since: last.Since}
	if last.Role == "admin" {
		m.admin = periods
	}
	return nil
}
