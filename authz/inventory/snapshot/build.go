package snapshot

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// builder makes the next snapshot from records.
type builder struct {
	in       *interner
	freeze   func(*authz.Organization) any
	byDigest *edit[authz.Digest, *authz.Token]
	tokens   *edit[string, *token]
	names    *edit[string, *authz.Organization]
	orgs     *edit[string, *authz.Organization]
	users    *edit[string, *authz.Owner]
	members  *edit[pair, *member]
	access   *edit[pair, *access]
	// redo are the pairs whose effective grants have to be made again.
	redo map[pair]bool
	// reach lists the organizations that a token has stored access to; only
	// kept while loading is over, for tokens that change.
	fresh bool
}

func (f *Follower) build(from *Snapshot, r *inventory.Records, change int64, asOf time.Time, fresh bool) *Snapshot {
	b := &builder{
		in: f.in, freeze: f.FreezeOrganization, byDigest: from.byDigest.edit(fresh), tokens: from.tokens.edit(fresh), names: from.names.edit(fresh),
		orgs: from.orgs.edit(fresh), users: from.users.edit(fresh), members: from.members.edit(fresh), access: from.access.edit(fresh),
		redo: map[pair]bool{}, fresh: fresh,
	}
	if b.freeze == nil {
		b.freeze = func(*authz.Organization) any { return nil }
	}
	for _, o := range r.Organizations {
		b.organization(o)
	}
	for _, u := range r.Users {
		b.users.put(u.ID, &authz.Owner{ID: u.ID, Name: u.Name, Type: u.Type})
	}
	b.periods(r.Periods)
	for _, t := range r.Tokens {
		b.token(t, from, r)
	}
	for _, a := range r.Authorizations {
		b.authorization(a)
	}
	for _, q := range r.Requests {
		b.request(q)
	}
	for p := range b.redo {
		b.effective(p)
	}
	f.in.sweep(b.tokens.next.size)
	return &Snapshot{
		change: change, asOf: asOf, byDigest: b.byDigest.next, tokens: b.tokens.next, names: b.names.next, orgs: b.orgs.next,
		users: b.users.next, members: b.members.next, access: b.access.next,
	}
}

func (b *builder) organization(o *inventory.Organization) {
	if before := b.orgs.get(o.ID); before != nil {
		b.names.drop(before.Name)
	}
	if o.Deleted {
		b.orgs.drop(o.ID)
		return
	}
	made := &authz.Organization{
		ID: o.ID, Name: o.Name, Type: o.Type, TokenPolicy: o.TokenPolicy, NextTokenPolicy: o.NextTokenPolicy, EnforceAt: o.EnforceAt,
		Enforcement: o.Enforcement, ManagedBy: o.ManagedBy, Settings: o.Settings, OwnerID: o.OwnerID,
	}
	made.Frozen = b.freeze(made)
	if o.NextTokenPolicy != "" {
		after := *made
		after.TokenPolicy, after.NextTokenPolicy, after.Frozen = o.NextTokenPolicy, "", nil
		after.EnforceAt = time.Time{}
		after.Frozen = b.freeze(&after)
		made.After = &after
	}
	b.orgs.put(o.ID, made)
	b.names.put(o.Name, made)
}

// periods takes the whole history of each membership that it names.
func (b *builder) periods(all []*inventory.Period) {
	by := map[pair][]*inventory.Period{}
	for _, p := range all {
		k := pair{p.OrganizationID, p.UserID}
		by[k] = append(by[k], p)
	}
	for k, periods := range by {
		m := &member{periods: periods}
		if last := periods[len(periods)-1]; last.Until.IsZero() {
			m.present = &authz.Membership{Role: b.in.text(last.Role), Since: last.Since}
		}
		b.members.put(k, m)
	}
}

func (b *builder) token(t *inventory.Token, from *Snapshot, r *inventory.Records) {
	if before := b.tokens.get(t.ID); before != nil {
		b.byDigest.drop(before.digest)
	}
	if t.Deleted {
		b.tokens.drop(t.ID)
		return
	}
	made := &authz.Token{
		ID: t.ID, DisplayName: t.DisplayName, Last4: t.Last4, Kind: b.in.text(t.Kind), Owner: b.users.get(t.OwnerID), Source: b.in.text(t.Source),
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, Global: t.Global, Disabled: t.Disabled,
	}
	if t.Kind == authz.KindFineGrained {
		made.Grants = b.in.set(t.Grants)
	}
	b.tokens.put(t.ID, &token{made, t.Digest})
	b.byDigest.put(t.Digest, made)
	if b.fresh {
		return
	}
	for _, namespace := range reached(t, from.tokens.get(t.ID)) {
		if k := (pair{t.ID, namespace}); b.access.get(k) != nil {
			b.redo[k] = true
		}
	}
}

// reached lists the namespaces that a token's grants reach or did reach.
func reached(t *inventory.Token, before *token) []string {
	var ids []string
	for _, g := range t.Grants {
		ids = append(ids, g.Entity.Namespace)
	}
	if before != nil {
		for _, g := range before.Grants.All() {
			ids = append(ids, g.Entity.Namespace)
		}
	}
	return ids
}

// stored returns a copy of what is kept of a pair, to change.
func (b *builder) stored(k pair) *access {
	a := &access{authorization: authz.Authorization{State: authz.StateNone}}
	if before := b.access.get(k); before != nil {
		*a = *before
	}
	return a
}

func (b *builder) authorization(r *inventory.Authorization) {
	k := pair{r.TokenID, r.OrganizationID}
	a := b.stored(k)
	request := a.authorization.Request
	a.authorization = authz.Authorization{
		State: b.in.text(r.State), ExpiresAt: r.ExpiresAt, Suspended: r.Suspended, ChangedAt: r.ChangedAt, Comment: r.Comment, Request: request,
	}
	if len(r.Grants) > 0 {
		a.authorization.Grants = b.in.set(r.Grants)
	}
	b.access.put(k, a)
	b.redo[k] = true
}

func (b *builder) request(q *inventory.Request) {
	k := pair{q.TokenID, q.OrganizationID}
	a := b.stored(k)
	a.authorization.Request = &authz.ApprovalRequest{ID: q.ID, State: b.in.text(q.State), OpenedAt: q.OpenedAt, Grants: b.in.set(q.Grants)}
	b.access.put(k, a)
}

// effective makes the effective grants of a pair.
func (b *builder) effective(k pair) {
	a := b.stored(k)
	a.effective = nil
	t := b.tokens.get(k[0])
	if a.authorization.State == authz.StateApproved && t != nil && t.Kind == authz.KindFineGrained {
		a.effective = b.in.set(intersect(on(t.Grants, k[1]).Grants, a.authorization.Grants.All()))
	}
	b.access.put(k, a)
}
