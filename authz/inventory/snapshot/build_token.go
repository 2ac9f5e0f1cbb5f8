package snapshot

import (
	"fmt"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// token finds the number of a token by its id, or 0.
func (b *builder) token(id string) uint32 {
	b.index()
	for p := b.byID.find(hashText(id)); ; {
		n := p.next()
		if n == 0 || b.tokens.equal(n, tokenID, id) {
			return n
		}
	}
}

// index indexes the tokens that were loaded, all at once, so that the indexes
// are made in the size that is needed.
func (b *builder) index() {
	if b.indexed {
		return
	}
	b.indexed = true
	b.tokens.seal()
	b.byDigest.reserve(b.count)
	b.byID.reserve(b.count)
	for n := uint32(1); n < b.tokens.next; n++ {
		row := b.tokens.at(n)
		b.byDigest.add(hashDigest(&row.digest), n)
		b.byID.add(hashText(row.text.cut(b.tokens.page[n/pageRows], tokenID)), n)
	}
}

// Token takes in a token.
func (b *builder) Token(t *inventory.Token) error {
	n := uint32(0)
	if b.indexed {
		if n = b.token(t.ID); n != 0 {
			b.forget(n)
		}
	}
	if t.Deleted {
		b.bury(n)
		return nil
	}
	if n == 0 {
		n = b.tokens.add()
		if b.indexed {
			b.byID.add(hashText(t.ID), n)
		}
	}
	if err := b.describe(n, t); err != nil {
		return fmt.Errorf("the token %s: %w", t.ID, err)
	}
	b.count++
	b.former(t)
	if b.indexed {
		b.byDigest.add(hashDigest(&t.Digest), n)
	}
	return nil
}

// forget takes a token away from its digest.
func (b *builder) forget(n uint32) {
	row := b.tokens.at(n)
	if row.flags&tokenGone != 0 {
		return
	}
	b.byDigest.drop(hashDigest(&row.digest), n)
	b.tokens.write(n).flags |= tokenGone
	b.count--
}

// bury keeps of a deleted token what was decided on it, for it may come back.
// Where nothing was, its number is free.
func (b *builder) bury(n uint32) {
	if n == 0 {
		return
	}
	row := b.tokens.write(n)
	b.regrant(n, row, 0)
	b.in.globals.release(&b.globals, row.global)
	row.global = 0
	if row.accesses > 0 {
		return
	}
	b.byID.drop(hashText(b.tokens.read(n, tokenID)), n)
	b.tokens.drop(n)
}

func (b *builder) describe(n uint32, t *inventory.Token) error {
	if err := b.tokens.set(n, t.ID, t.Last4, t.DisplayName); err != nil {
		return err
	}
	kind, err := b.in.word(t.Kind)
	if err != nil {
		return err
	}
	source, err := b.in.word(t.Source)
	if err != nil {
		return err
	}
	row := b.tokens.write(n)
	row.digest, row.created, row.expires = t.Digest, millis(t.CreatedAt), millis(t.ExpiresAt)
	row.kind, row.source, row.owner, row.flags = kind, source, b.user(t.OwnerID), 0
	if t.Disabled {
		row.flags = tokenDisabled
	}
	list := b.list(t.Global)
	b.in.globals.release(&b.globals, row.global)
	row.global = list
	grants := uint32(0)
	if t.Kind == authz.KindFineGrained {
		grants = b.set(t.Grants)
	}
	b.regrant(n, row, grants)
	return nil
}

// regrant gives a token other grants. What it may use where an approval was
// given changes with them.
func (b *builder) regrant(n uint32, row *tokenRow, grants uint32) {
	if row.accesses > 0 && row.grants != grants {
		b.redoReached(n, row.grants)
		b.redoReached(n, grants)
	}
	b.replace(&row.grants, grants)
}

func (b *builder) redoReached(token, grants uint32) {
	if grants == 0 {
		return
	}
	for _, g := range (*b.grants.at(grants)).Grants {
		if n := b.stored(token, b.organization(g.Entity.Namespace)); n != 0 {
			b.judged(n)
		}
	}
}

// stored finds the row of access of a pair, or 0.
func (b *builder) stored(token, organization uint32) uint32 {
	for p := b.byPair.find(hashPair(token, organization)); ; {
		n := p.next()
		if n == 0 {
			return 0
		}
		if a := b.access.at(n); a.token == token && a.organization == organization {
			return n
		}
	}
}

// pair finds the row of access of a pair, or makes one.
func (b *builder) pair(tokenID, organizationID string) (uint32, error) {
	token := b.token(tokenID)
	if token == 0 {
		// Deleted, or loaded later: what is known of it has to be kept.
		token = b.tokens.add()
		if err := b.tokens.set(token, tokenID); err != nil {
			return 0, err
		}
		b.tokens.write(token).flags = tokenGone
		b.byID.add(hashText(tokenID), token)
	}
	organization := b.organization(organizationID)
	if n := b.stored(token, organization); n != 0 {
		return n, nil
	}
	n := b.access.add()
	none, err := b.in.word(authz.StateNone)
	if err != nil {
		return 0, err
	}
	row := b.access.write(n)
	row.token, row.organization, row.state = token, organization, none
	b.byPair.add(hashPair(token, organization), n)
	b.tokens.write(token).accesses++
	return n, nil
}

// Authorization takes in what was decided on a token.
func (b *builder) Authorization(r *inventory.Authorization) error {
	n, err := b.pair(r.TokenID, r.OrganizationID)
	if err != nil {
		return err
	}
	state, err := b.in.word(r.State)
	if err != nil {
		return err
	}
	if err := b.access.set(n, r.Comment, b.access.read(n, accessRequest)); err != nil {
		return fmt.Errorf("the authorization of %s: %w", r.TokenID, err)
	}
	row := b.access.write(n)
	row.state, row.expires, row.changed = state, millis(r.ExpiresAt), millis(r.ChangedAt)
	row.flags &^= accessSuspended
	if r.Suspended {
		row.flags |= accessSuspended
	}
	b.replace(&row.approved, b.set(r.Grants))
	b.judged(n)
	return nil
}

// Request takes in the latest approval request of a pair.
func (b *builder) Request(q *inventory.Request) error {
	n, err := b.pair(q.TokenID, q.OrganizationID)
	if err != nil {
		return err
	}
	state, err := b.in.word(q.State)
	if err != nil {
		return err
	}
	if err := b.access.set(n, b.access.read(n, accessComment), q.ID); err != nil {
		return fmt.Errorf("the approval request %s: %w", q.ID, err)
	}
	row := b.access.write(n)
	row.requestState, row.opened, row.round, row.flags = state, millis(q.OpenedAt), uint32(q.Round), row.flags|accessRequested
	b.replace(&row.asked, b.set(q.Grants))
	return nil
}

// judged sees to it that the effective grants of a row of access are made
// again, once all is taken in.
func (b *builder) judged(n uint32) {
	if !b.fresh { // else all are made
		b.redo[n] = true
	}
}

// effective makes the effective grants of a row of access again.
func (b *builder) effective(n uint32) {
	row := b.access.at(n)
	effective := uint32(0)
	token := b.tokens.at(row.token)
	if token.flags&tokenGone == 0 && b.in.words[row.state] == authz.StateApproved && b.in.words[token.kind] == authz.KindFineGrained {
		effective = emptySet
		if both := authz.Intersect(b.onOf(token, row.organization), b.grantsOf(row.approved)); len(both) > 0 {
			effective = b.set(both)
		} else {
			b.in.grants.again(emptySet)
		}
	}
	if effective != 0 || row.effective != 0 {
		b.replace(&b.access.write(n).effective, effective)
	}
}

func (b *builder) grantsOf(n uint32) []authz.Grant {
	if n == 0 {
		return nil
	}
	return (*b.grants.at(n)).Grants
}

func (b *builder) onOf(token *tokenRow, organization uint32) []authz.Grant {
	if token.grants == 0 {
		return nil
	}
	return on(*b.grants.at(token.grants), b.organizations.at(organization).id).Grants
}
