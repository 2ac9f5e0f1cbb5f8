package snapshot

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// builder makes the next snapshot from rows. It is an [inventory.Loading].
type builder struct {
	in                 *shared
	freezeOrganization func(*authz.Organization) any
	freezeGrants       func([]authz.Grant) any
	fresh              bool // everything is loaded anew

	tokens         textEdit[tokenRow, *tokenRow]
	byDigest, byID *indexEdit
	indexed        bool // tokens are found by the two
	access         textEdit[accessRow, *accessRow]
	byPair         *indexEdit

	organizations      rowEdit[organizationRow]
	organizationByName *indexEdit
	organizationByID   *indexEdit
	users              rowEdit[authz.Owner]
	userByID           *indexEdit
	members            rowEdit[memberRow]
	memberByPair       *indexEdit

	grants  rowEdit[*authz.GrantSet]
	globals rowEdit[[]string]

	count   int
	recent  map[loaded]uint32   // sets by their lists, held until the end; nil: lists are not known again
	periods []*inventory.Period // of the membership that is being read
	formers map[authz.Digest]former
	// formersOwn: the map is this change's own.
	formersOwn bool
	redo       map[uint32]bool // rows of access whose effective grants are to be made again
}

func (f *Follower) builder(from *Snapshot, in *shared, fresh bool) *builder {
	b := &builder{
		in: in, freezeOrganization: f.FreezeOrganization, freezeGrants: f.FreezeGrants, fresh: fresh, indexed: !fresh,
		tokens: from.tokens.edit(&in.tokens, fresh), byDigest: from.byDigest.change(fresh), byID: from.byID.change(fresh),
		access: from.access.edit(&in.access, fresh), byPair: from.byPair.change(fresh),
		organizations: from.organizations.edit(&in.organizations, fresh), organizationByName: from.organizationByName.change(fresh),
		organizationByID: from.organizationByID.change(fresh),
		users:            from.users.edit(&in.users, fresh), userByID: from.userByID.change(fresh),
		members: from.members.edit(&in.members, fresh), memberByPair: from.memberByPair.change(fresh),
		grants: from.grants.edit(&in.grants.free, fresh), globals: from.globals.edit(&in.globals.free, fresh),
		count: from.count, redo: map[uint32]bool{}, formers: from.formers,
	}
	if fresh {
		b.recent = map[loaded]uint32{}
		in.grants.keep(&b.grants, "", noGrants, nil)
	}
	return b
}

// done returns the snapshot of what was taken in.
func (b *builder) done(change int64, asOf time.Time) (*Snapshot, error) {
	if err := b.endMember(); err != nil {
		return nil, err
	}
	b.index()
	if b.fresh {
		for n := uint32(1); n < b.access.next; n++ {
			b.effective(n)
		}
	}
	for n := range b.redo {
		b.effective(n)
	}
	for _, n := range b.recent {
		b.in.grants.release(&b.grants, n)
	}
	return &Snapshot{
		change: change, asOf: asOf, count: b.count, words: b.in.words, formers: b.formers,
		tokens: b.tokens.done(), byDigest: b.byDigest.done(), byID: b.byID.done(), access: b.access.done(), byPair: b.byPair.done(),
		organizations: b.organizations.done(), organizationByName: b.organizationByName.done(), organizationByID: b.organizationByID.done(),
		users: b.users.done(), userByID: b.userByID.done(), members: b.members.done(), memberByPair: b.memberByPair.done(),
		grants: b.grants.done(), globals: b.globals.done(),
	}, nil
}

// take takes in what changed.
func (b *builder) take(r *inventory.Records) error {
	for _, o := range r.Organizations {
		if err := b.Organization(o); err != nil {
			return err
		}
	}
	for _, u := range r.Users {
		if err := b.User(u); err != nil {
			return err
		}
	}
	if err := b.memberships(r.Periods); err != nil {
		return err
	}
	for _, t := range r.Tokens {
		if err := b.Token(t); err != nil {
			return err
		}
	}
	for _, a := range r.Authorizations {
		if err := b.Authorization(a); err != nil {
			return err
		}
	}
	for _, q := range r.Requests {
		if err := b.Request(q); err != nil {
			return err
		}
	}
	return nil
}
