package inventorytest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Memory is an inventory in memory. It is not safe for concurrent use.
type Memory struct {
	Policies inventory.Policies
	// Now is the time at which commands are carried out.
	Now time.Time

	Organizations map[string]*inventory.Organization
	Users         map[string]*inventory.User
	Memberships   map[[2]string][]*inventory.Period // by organization and user
	Tokens        map[string]*inventory.Token
	Decisions     map[[2]string]*inventory.Authorization // by token and organization
	Requests      map[[2]string][]*inventory.Request     // by token and organization, oldest first
	Versions      map[string][]*inventory.TokenVersion   // by token
	Digests       map[authz.Digest]string                // every digest that a token has or had
	Used          map[[2]string]time.Time                // by token and organization
	Answers       map[[2]string][]string                 // who answers for a service account, by organization and user
	AnsweredUntil map[[3]string]time.Time                // until when somebody did, by the ids of those and the person
	Audit         []*inventory.AuditEntry
	Events        []inventory.Event
	Changes       int // how many commands changed something
	told          map[string]bool
}

var _ inventory.State = (*Memory)(nil)

// New returns an empty inventory.
func New(p inventory.Policies, now time.Time) *Memory {
	return &Memory{
		Policies: p, Now: now, Organizations: map[string]*inventory.Organization{}, Users: map[string]*inventory.User{},
		Memberships: map[[2]string][]*inventory.Period{}, Tokens: map[string]*inventory.Token{}, Decisions: map[[2]string]*inventory.Authorization{},
		Requests: map[[2]string][]*inventory.Request{}, Versions: map[string][]*inventory.TokenVersion{}, Digests: map[authz.Digest]string{},
		Used: map[[2]string]time.Time{}, Answers: map[[2]string][]string{}, AnsweredUntil: map[[3]string]time.Time{}, told: map[string]bool{},
	}
}

// Do carries a command out, and returns what it changed.
func (m *Memory) Do(actor inventory.Actor, c inventory.Command) (*inventory.Change, error) {
	change, err := inventory.Apply(m, m.Policies, actor, c, m.Now)
	if err != nil || change.Audit == nil {
		return change, err
	}
	m.write(&change.Records)
	m.Audit = append(append(m.Audit, change.Audit), change.Also...)
	for _, e := range change.Events {
		if !m.told[e.Key] {
			m.told[e.Key] = true
			m.Events = append(m.Events, e)
		}
	}
	m.Changes++
	return change, nil
}

// write keeps copies, so that no rule can reach back into them.
func (m *Memory) write(r *inventory.Records) {
	for _, o := range r.Organizations {
		m.Organizations[o.ID] = clone(o)
	}
	for _, u := range r.Users {
		m.Users[u.ID] = clone(u)
	}
	for _, p := range r.Periods {
		key := [2]string{p.OrganizationID, p.UserID}
		list := m.Memberships[key]
		if n := len(list); n > 0 && list[n-1].Since.Equal(p.Since) {
			list[n-1] = clone(p)
		} else {
			m.Memberships[key] = append(list, clone(p))
		}
	}
	for _, t := range r.Tokens {
		m.Tokens[t.ID] = clone(t)
		m.Digests[t.Digest] = t.ID
	}
	for _, one := range r.Responsible {
		key := [2]string{one.OrganizationID, one.UserID}
		for _, person := range m.Answers[key] {
			m.AnsweredUntil[[3]string{one.OrganizationID, one.UserID, person}] = one.At
		}
		m.Answers[key] = slices.Clone(one.People)
	}
	for _, v := range r.Versions {
		m.Versions[v.TokenID] = append(m.Versions[v.TokenID], clone(v))
	}
	for _, a := range r.Authorizations {
		m.Decisions[[2]string{a.TokenID, a.OrganizationID}] = clone(a)
	}
	for _, q := range r.Requests {
		key := [2]string{q.TokenID, q.OrganizationID}
		list := m.Requests[key]
		if n := len(list); n > 0 && list[n-1].ID == q.ID {
			list[n-1] = clone(q)
		} else {
			m.Requests[key] = append(list, clone(q))
		}
	}
}

func clone[T any](v *T) *T {
	if v == nil {
		return nil
	}
	c := *v
	return &c
}

// OrganizationByName implements [inventory.State].
func (m *Memory) OrganizationByName(name string) (*inventory.Organization, error) {
	for _, o := range m.Organizations {
		if !o.Deleted && (o.Name == name || slices.Contains(o.Aliases, name)) {
			return clone(o), nil
		}
	}
	return nil, nil
}

// OrganizationByID implements [inventory.State].
func (m *Memory) OrganizationByID(id string) (*inventory.Organization, error) {
	return clone(m.Organizations[id]), nil
}

// UserByName implements [inventory.State].
func (m *Memory) UserByName(name string) (*inventory.User, error) {
	for _, u := range m.Users {
		if u.Name == name {
			return clone(u), nil
		}
	}
	return nil, nil
}

// UserByID implements [inventory.State].
func (m *Memory) UserByID(id string) (*inventory.User, error) { return clone(m.Users[id]), nil }

// Periods implements [inventory.State].
func (m *Memory) Periods(organizationID, userID string) ([]*inventory.Period, error) {
	var out []*inventory.Period
	for _, p := range m.Memberships[[2]string{organizationID, userID}] {
		out = append(out, clone(p))
	}
	return out, nil
}

// Members implements [inventory.State].
func (m *Memory) Members(organizationID string) (int, error) {
	return m.countMembers(organizationID, func(*inventory.Period) bool { return true }), nil
}

// Administrators implements [inventory.State].
func (m *Memory) Administrators(organizationID, kind string) (int, error) {
	return m.countMembers(organizationID, func(p *inventory.Period) bool {
		return p.Role == "admin" && m.Users[p.UserID].Type == kind
	}), nil
}

func (m *Memory) countMembers(organizationID string, counts func(*inventory.Period) bool) (n int) {
	for key, list := range m.Memberships {
		if last := list[len(list)-1]; key[0] == organizationID && last.Until.IsZero() && counts(last) {
			n++
		}
	}
	return n
}

// TokenByID implements [inventory.State].
func (m *Memory) TokenByID(id string) (*inventory.Token, error) { return clone(m.Tokens[id]), nil }

// TokenByDigest implements [inventory.State].
func (m *Memory) TokenByDigest(d authz.Digest) (*inventory.Token, error) {
	if t := m.Tokens[m.Digests[d]]; t != nil && t.Digest == d {
		return clone(t), nil
	}
	return nil, nil
}

// TokenByFormer implements [inventory.State].
func (m *Memory) TokenByFormer(d authz.Digest) (*inventory.Token, error) {
	if t := m.Tokens[m.Digests[d]]; t != nil && t.Digest != d {
		return clone(t), nil
	}
	return nil, nil
}

// TokenVersion implements [inventory.State].
func (m *Memory) TokenVersion(tokenID string, version int64) (*inventory.TokenVersion, error) {
	for _, v := range m.Versions[tokenID] {
		if v.Version == version {
			return clone(v), nil
		}
	}
	return nil, nil
}

func (m *Memory) tokens(which func(*inventory.Token) bool) ([]*inventory.Token, error) {
	var out []*inventory.Token
	for _, id := range slices.Sorted(maps.Keys(m.Tokens)) {
		if t := m.Tokens[id]; which(t) {
			out = append(out, clone(t))
		}
	}
	return out, nil
}

// TokensOf implements [inventory.State].
func (m *Memory) TokensOf(userID string) ([]*inventory.Token, error) {
	return m.tokens(func(t *inventory.Token) bool { return t.OwnerID == userID && !t.Deleted })
}

// TokensOn implements [inventory.State].
func (m *Memory) TokensOn(organizationID string) ([]*inventory.Token, error) {
	return m.tokens(func(t *inventory.Token) bool { return len(t.On(organizationID)) > 0 })
}

// LastUsed implements [inventory.State].
func (m *Memory) LastUsed(tokenID, organizationID string) (time.Time, error) {
	return m.Used[[2]string{tokenID, organizationID}], nil
}

// Authorization implements [inventory.State].
func (m *Memory) Authorization(tokenID, organizationID string) (*inventory.Authorization, error) {
	return clone(m.Decisions[[2]string{tokenID, organizationID}]), nil
}

// LatestRequest implements [inventory.State].
func (m *Memory) LatestRequest(tokenID, organizationID string) (*inventory.Request, error) {
	list := m.Requests[[2]string{tokenID, organizationID}]
	if len(list) == 0 {
		return nil, nil
	}
	return clone(list[len(list)-1]), nil
}

// OpenRequests implements [inventory.State].
func (m *Memory) OpenRequests(organizationID, ownerID string) (n int, err error) {
	open, err := m.RequestsOn(organizationID)
	for _, q := range open {
		if m.Tokens[q.TokenID].OwnerID == ownerID {
			n++
		}
	}
	return n, err
}

// AuthorizationsOn implements [inventory.State].
func (m *Memory) AuthorizationsOn(organizationID string) ([]*inventory.Authorization, error) {
	var out []*inventory.Authorization
	for key, a := range m.Decisions {
		if key[1] == organizationID {
			out = append(out, clone(a))
		}
	}
	slices.SortFunc(out, func(a, b *inventory.Authorization) int { return cmp.Compare(a.TokenID, b.TokenID) })
	return out, nil
}

// RequestsOn implements [inventory.State].
func (m *Memory) RequestsOn(organizationID string) ([]*inventory.Request, error) {
	var out []*inventory.Request
	for key, list := range m.Requests {
		if q := list[len(list)-1]; key[1] == organizationID && q.State == authz.RequestOpen {
			out = append(out, clone(q))
		}
	}
	slices.SortFunc(out, func(a, b *inventory.Request) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// Responsible implements [inventory.State].
func (m *Memory) Responsible(organizationID, userID string) ([]string, error) {
	return slices.Clone(m.Answers[[2]string{organizationID, userID}]), nil
}

// Answered implements [inventory.State].
func (m *Memory) Answered(userID string, after time.Time) ([]string, error) {
	var out []string
	for key, people := range m.Answers {
		if key[1] == userID {
			out = append(out, people...)
		}
	}
	for key, until := range m.AnsweredUntil {
		if key[1] == userID && until.After(after) {
			out = append(out, key[2])
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
