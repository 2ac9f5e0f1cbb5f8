package snapshot

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// model is an inventory in plain maps, which says what a snapshot of it must
// answer. It is the feed of the snapshot too.
type model struct {
	organizations  map[string]*inventory.Organization
	users          map[string]*inventory.User
	periods        map[[2]string][]*inventory.Period // organization and user
	tokens         map[string]*inventory.Token
	authorizations map[[2]string]*inventory.Authorization // token and organization
	requests       map[[2]string]*inventory.Request

	change  int64
	changed map[[3]string]bool // kind and keys
	gap     bool
}

func newModel() *model {
	return &model{
		organizations: map[string]*inventory.Organization{}, users: map[string]*inventory.User{}, periods: map[[2]string][]*inventory.Period{},
		tokens: map[string]*inventory.Token{}, authorizations: map[[2]string]*inventory.Authorization{}, requests: map[[2]string]*inventory.Request{},
		changed: map[[3]string]bool{},
	}
}

// lend hands a row over in a place that is used again at once, as a store may.
func lend[T any](into func(*T) error, row *T) error {
	place := *row
	err := into(&place)
	var zero T
	place = zero
	return err
}

// LoadEach hands over all that is there.
func (m *model) LoadEach(_ context.Context, into inventory.Loading) (int64, error) {
	for _, o := range m.organizations {
		if !o.Deleted {
			if err := lend(into.Organization, o); err != nil {
				return 0, err
			}
		}
	}
	for _, u := range m.users {
		if err := lend(into.User, u); err != nil {
			return 0, err
		}
	}
	for _, list := range m.periods {
		for _, p := range list {
			if err := lend(into.Period, p); err != nil {
				return 0, err
			}
		}
	}
	for _, t := range m.tokens {
		if !t.Deleted {
			if err := lend(into.Token, t); err != nil {
				return 0, err
			}
		}
	}
	for _, a := range m.authorizations {
		if err := lend(into.Authorization, a); err != nil {
			return 0, err
		}
	}
	for _, q := range m.requests {
		if err := lend(into.Request, q); err != nil {
			return 0, err
		}
	}
	clear(m.changed)
	m.gap = false
	return m.change, nil
}

// Changes hands over, as they stand now, the rows that changed.
func (m *model) Changes(context.Context, int64) (*inventory.Records, int64, bool, error) {
	if m.gap {
		return nil, m.change, true, nil
	}
	if len(m.changed) == 0 {
		return nil, m.change, false, nil
	}
	r := &inventory.Records{}
	for k := range m.changed {
		switch pair := [2]string{k[1], k[2]}; k[0] {
		case "organization":
			r.Organizations = append(r.Organizations, m.organizations[k[1]])
		case "user":
			r.Users = append(r.Users, m.users[k[1]])
		case "member":
			r.Periods = append(r.Periods, m.periods[pair]...)
		case "token":
			r.Tokens = append(r.Tokens, m.tokens[k[1]])
		case "authorization":
			r.Authorizations = append(r.Authorizations, m.authorizations[pair])
		case "request":
			r.Requests = append(r.Requests, m.requests[pair])
		}
	}
	m.change++
	clear(m.changed)
	return r, m.change, false, nil
}

// token is what a snapshot must answer under a digest.
func (m *model) token(d authz.Digest) *authz.Token {
	for _, t := range m.tokens {
		if t.Digest == d && !t.Deleted {
			return m.fill(t)
		}
	}
	return nil
}

// former is what a snapshot must answer under the digest of a secret that a
// token had before it was rotated: the token, and until when it is accepted.
func (m *model) former(d authz.Digest) (*authz.Token, time.Time) {
	for _, t := range m.tokens {
		for _, f := range t.Former {
			switch {
			case f.Digest != d || t.Deleted:
			case f.Until.After(f.At):
				return m.fill(t), f.Until
			default: // without an overlap it never is
				return m.fill(t), time.Time{}
			}
		}
	}
	return nil, time.Time{}
}

func (m *model) fill(t *inventory.Token) *authz.Token {
	out := &authz.Token{
		ID: t.ID, DisplayName: t.DisplayName, Last4: t.Last4, Kind: t.Kind, Source: t.Source, CreatedAt: t.CreatedAt,
		ExpiresAt: t.ExpiresAt, Global: t.Global, Disabled: t.Disabled,
	}
	if u := m.users[t.OwnerID]; u != nil {
		out.Owner = &authz.Owner{ID: u.ID, Name: u.Name, Type: u.Type}
	}
	if t.Kind == authz.KindFineGrained {
		out.Grants = &authz.GrantSet{Grants: t.Grants}
	}
	return out
}

func (m *model) organization(name string) *inventory.Organization {
	for _, o := range m.organizations {
		if o.Name == name && !o.Deleted {
			return o
		}
	}
	return nil
}

func (m *model) membership(o *inventory.Organization, userID string) *authz.Membership {
	if o.Type == authz.TypeUser {
		if o.OwnerID == userID {
			return &authz.Membership{Role: "admin"}
		}
		return nil
	}
	list := m.periods[[2]string{o.ID, userID}]
	if len(list) == 0 || !list[len(list)-1].Until.IsZero() {
		return nil
	}
	last := list[len(list)-1]
	return &authz.Membership{Role: last.Role, Since: last.Since}
}

func (m *model) access(t *inventory.Token, o *inventory.Organization) *authz.Access {
	out := &authz.Access{Authorization: authz.Authorization{State: authz.StateNone}}
	fineGrained := t.Kind == authz.KindFineGrained
	if fineGrained {
		out.Current = &authz.GrantSet{Grants: t.On(o.ID)}
		out.Effective = out.Current
	}
	pair := [2]string{t.ID, o.ID}
	if a := m.authorizations[pair]; a != nil {
		out.Authorization = authz.Authorization{State: a.State, ExpiresAt: a.ExpiresAt, Suspended: a.Suspended, ChangedAt: a.ChangedAt, Comment: a.Comment}
		if len(a.Grants) > 0 {
			out.Authorization.Grants = &authz.GrantSet{Grants: a.Grants}
		}
		if a.State == authz.StateApproved && fineGrained {
			out.Effective = &authz.GrantSet{Grants: both(out.Current.Grants, a.Grants)}
		}
	}
	if q := m.requests[pair]; q != nil {
		out.Request = authz.ApprovalRequest{ID: q.ID, Round: q.Round, State: q.State, OpenedAt: q.OpenedAt, Grants: &authz.GrantSet{Grants: q.Grants}}
		out.Authorization.Request = &out.Request
	}
	out.Authorization.AdminCreated = inventory.AdminCreated(t, m.periods[[2]string{o.ID, t.OwnerID}])
	return out
}

// both is the intersection of grants, written as simply as can be.
func both(current, approved []authz.Grant) (out []authz.Grant) {
	for _, c := range current {
		given := map[string]bool{}
		for _, a := range approved {
			if a.Entity == c.Entity {
				for _, p := range a.Permissions {
					given[p] = true
				}
			}
		}
		c.Permissions = slices.DeleteFunc(slices.Clone(c.Permissions), func(p string) bool { return !given[p] })
		if len(c.Permissions) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// kept lists the contents of the sets and lists that a follower keeps.
func kept(f *Follower) []string {
	return append(slices.Sorted(maps.Keys(f.in.grants.numbers)), slices.Sorted(maps.Keys(f.in.globals.numbers))...)
}
