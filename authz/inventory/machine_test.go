package inventory_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/authz/inventory/snapshot"
)

// TestLifeCycleHolds carries out random commands by random people, and checks
// after each what must hold whatever happens: see machine.Check and the step
// checks in machine.do.
func TestLifeCycleHolds(t *testing.T) {
	met := map[string]int{}
	for name, value := range map[string]string{"rapid.checks": "800", "rapid.steps": "60"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() == f.DefValue {
			_ = f.Value.Set(value) // the flag's own default is too few to meet all that is wanted below
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(rt, met)
		rt.Repeat(map[string]func(*rapid.T){
			"": m.check,
			"time": func(rt *rapid.T) {
				m.Now = m.Now.Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "hours")) * time.Hour)
			},
			"look":     m.look,
			"issue":    m.issue,
			"import":   m.importToken,
			"update":   m.update,
			"rotate":   m.rotate,
			"decide":   m.decide,
			"decide 2": m.decide, // twice as often
			"stop":     m.stop,
			"go on":    m.goOn,
			"member":   m.member,
			"policy":   m.policy,
			"together": m.together,
			"request":  m.request,
			"hit":      m.hit,
			"account":  m.account,
			"facts":    m.facts,
		})
	})
	t.Log(met)
	for _, want := range []string{
		"none>approved", "none>denied", "none>revoked", "approved>denied", "approved>none", "approved>revoked", "denied>approved", "denied>revoked",
		"four eyes approved", "policy approved", "policy denied", "conflict with differences", "rotated", "tombstone came back", "renamed", "reuse reported",
		"suspended", "resumed", "disabled", "enabled", "suspended while approved", "disabled while approved", "a suspended one was decided on",
		"account approved", "who answers for it may not decide",
	} {
		if met[want] == 0 {
			t.Errorf("%q was never met: the property holds of too little", want)
		}
	}
}

// machine is an inventory, and what the property has to remember of its past.
type machine struct {
	*inventorytest.Memory
	rules *inventorytest.Policies
	met   map[string]int
	next  int
	// seen is what reviewers looked at: what each version of a token was then.
	seen map[string]map[int64]*inventory.TokenVersion
	// revoked are pairs that were revoked; secrets, whom each digest belongs to.
	revoked map[[2]string]bool
	secrets map[authz.Digest]string
	decided map[string]string // by request: how it was decided
	entries int
}

// builder is a service account; people answer for it.
var everybody = []string{"alice", "ann", "rita", "bob", "carol", "builder"}

func newMachine(rt *rapid.T, met map[string]int) *machine {
	p := &inventorytest.Policies{}
	m := &machine{
		Memory: inventorytest.New(p, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)), rules: p, met: met, seen: map[string]map[int64]*inventory.TokenVersion{},
		revoked: map[[2]string]bool{}, secrets: map[authz.Digest]string{}, decided: map[string]string{},
	}
	for _, name := range []string{"acme", "umbrella"} {
		m.do(rt, operator, inventory.CreateOrganization{Name: name, TokenPolicy: inventorytest.Approval})
		for i, role := range []string{"admin", "admin", "reviewer", "write"} {
			m.do(rt, operator, inventory.AddMember{Organization: name, User: everybody[i], Role: role})
		}
	}
	m.do(rt, operator, inventory.AddMember{Organization: "umbrella", User: "carol", Role: "read"})
	m.do(rt, operator, inventory.AddMember{Organization: "acme", User: "builder", Role: "write", Type: inventory.TypeServiceAccount, Responsible: &[]string{"ann"}})
	m.do(rt, operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"four_eyes": rapid.Bool().Draw(rt, "four eyes")}})
	return m
}

// organization draws a name that some organization has or had.
func (m *machine) organization(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"acme", "acme", "acme", "umbrella", "acme-labs"}).Draw(rt, "organization")
}

func (m *machine) actor(rt *rapid.T) inventory.Actor {
	kind := rapid.SampledFrom([]string{"socket", "console", "console", "console", "token", "system"}).Draw(rt, "kind")
	switch kind {
	case "socket":
		return operator
	case "system":
		return inventory.Actor{Kind: kind, Name: "patrol"}
	}
	a := inventory.Actor{Kind: kind, Name: rapid.SampledFrom(everybody).Draw(rt, "who")}
	if kind == "token" {
		a.Token = m.token(rt)
	}
	return a
}

func (m *machine) token(rt *rapid.T) string {
	ids := slices.Sorted(maps.Keys(m.Tokens))
	if len(ids) == 0 {
		rt.Skip("no token yet")
	}
	return rapid.SampledFrom(ids).Draw(rt, "token")
}

func (m *machine) grants(rt *rapid.T) []authz.Grant {
	var out []authz.Grant
	for _, name := range []string{"acme", "umbrella"} {
		all := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"repo.content.read", "repo.write", "org.write"}), 0, 3, rapid.ID[string]).Draw(rt, name)
		if len(all) > 0 {
			out = append(out, on(name, all...))
		}
	}
	if rapid.Bool().Draw(rt, "model") {
		out = append(out, authz.Grant{Entity: authz.Entity{Type: "model", Name: "acme/m"}, Permissions: []string{"repo.write"}})
	}
	return out
}

func (m *machine) fresh() authz.Digest {
	m.next++
	return inventorytest.Digest(m.next)
}

func (m *machine) look(*rapid.T) {
	for id, t := range m.Tokens {
		if m.seen[id] == nil {
			m.seen[id] = map[int64]*inventory.TokenVersion{}
		}
		m.seen[id][t.Version] = t.Reviewable()
	}
}

func (m *machine) issue(rt *rapid.T) {
	c := inventory.IssueToken{Owner: rapid.SampledFrom(everybody).Draw(rt, "owner"), DisplayName: "ci", Kind: authz.KindFineGrained, Digest: m.fresh(), Grants: m.grants(rt)}
	if rapid.Bool().Draw(rt, "ends") {
		c.ExpiresAt = m.Now.Add(100 * day)
	}
	m.do(rt, m.actor(rt), c)
}

// digest draws one that is new, is some token's, or was.
func (m *machine) digest(rt *rapid.T) authz.Digest {
	if m.next == 0 || rapid.Bool().Draw(rt, "fresh") {
		return m.fresh()
	}
	return inventorytest.Digest(rapid.IntRange(1, m.next).Draw(rt, "digest"))
}

func (m *machine) importToken(rt *rapid.T) {
	kind := rapid.SampledFrom([]string{"fine-grained", "fine-grained", "write"}).Draw(rt, "kind")
	in := inventory.ImportToken{Digest: m.digest(rt), Owner: rapid.SampledFrom(everybody).Draw(rt, "owner"), DisplayName: "imported", Kind: kind}
	if t := m.Tokens[m.Digests[in.Digest]]; t != nil {
		in.Owner = m.Users[t.OwnerID].Name
		if t.Deleted && t.Digest == in.Digest {
			m.met["tombstone came back"]++
		}
	}
	if kind == authz.KindFineGrained {
		in.Grants = m.grants(rt)
	}
	m.do(rt, operator, inventory.ImportTokens{Tokens: []inventory.ImportToken{in}})
}

func (m *machine) update(rt *rapid.T) {
	c := inventory.UpdateToken{Token: m.token(rt)}
	if rapid.Bool().Draw(rt, "grants") {
		g := m.grants(rt)
		c.Grants = &g
	}
	if rapid.Bool().Draw(rt, "end") {
		end := m.Now.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "days")) * day)
		c.ExpiresAt = &end
	}
	m.do(rt, m.actor(rt), c)
}

func (m *machine) rotate(rt *rapid.T) {
	id := m.token(rt)
	if f := m.Tokens[id].Former; len(f) > 0 && rapid.Bool().Draw(rt, "reuse") {
		if change := m.do(rt, inventory.Actor{Kind: "system", Name: "patrol"}, inventory.ReportReuse{Token: id, Digest: f[0].Digest}); change != nil && change.Audit != nil {
			m.met["reuse reported"]++
		}
		return
	}
	c := inventory.RotateToken{Token: id, Digest: m.digest(rt), Overlap: time.Duration(rapid.IntRange(0, 48).Draw(rt, "overlap")) * time.Hour}
	if m.do(rt, m.actor(rt), c) != nil {
		m.met["rotated"]++
	}
}

func (m *machine) decide(rt *rapid.T) {
	id, org := m.token(rt), m.organization(rt)
	var version int64
	for v := range m.seen[id] { // only what somebody looked at is decided on
		version = max(version, v)
	}
	if len(m.seen[id]) > 1 && rapid.Bool().Draw(rt, "older") {
		version--
	}
	if m.seen[id][version] == nil {
		rt.Skip("nobody looked")
	}
	if rapid.IntRange(0, 2).Draw(rt, "deny") == 0 {
		m.do(rt, m.actor(rt), inventory.Deny{Organization: org, Token: id, Version: version, Reason: "no"})
		return
	}
	c := inventory.Approve{Organization: org, Token: id, Version: version}
	if rapid.IntRange(0, 3).Draw(rt, "part") == 0 {
		c.Grants = []authz.Grant{on(org, "repo.content.read")}
	}
	if rapid.Bool().Draw(rt, "until") {
		c.Until = time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	}
	m.do(rt, m.actor(rt), c)
}

// together lets two people decide one after the other on the same.
func (m *machine) together(rt *rapid.T) {
	id, org := m.token(rt), m.organization(rt)
	m.look(rt)
	c := inventory.Approve{Organization: org, Token: id, Version: m.Tokens[id].Version}
	for range 2 {
		m.do(rt, m.actor(rt), c)
	}
}

func (m *machine) stop(rt *rapid.T) {
	id, org := m.token(rt), m.organization(rt)
	m.do(rt, m.actor(rt), rapid.SampledFrom([]inventory.Command{
		inventory.RevokeToken{Organization: org, Token: id},
		inventory.SuspendToken{Organization: org, Token: id},
		inventory.ResumeToken{Organization: org, Token: id},
		inventory.DisableToken{Token: id},
		inventory.EnableToken{Token: id},
		inventory.DeleteToken{Token: id},
	}).Draw(rt, "command"))
}

// goOn lets somebody start again what was stopped.
func (m *machine) goOn(rt *rapid.T) {
	var again []inventory.Command
	for _, id := range slices.Sorted(maps.Keys(m.Tokens)) {
		if m.Tokens[id].Disabled {
			again = append(again, inventory.EnableToken{Token: id})
		}
		for _, name := range []string{"acme", "umbrella"} {
			o, err := m.OrganizationByName(name)
			if err != nil || o == nil {
				continue
			}
			if a := m.Decisions[[2]string{id, o.ID}]; a != nil && a.Suspended {
				again = append(again, inventory.ResumeToken{Organization: name, Token: id})
			}
		}
	}
	if len(again) == 0 {
		rt.Skip("nothing is stopped")
	}
	m.do(rt, m.actor(rt), rapid.SampledFrom(again).Draw(rt, "again"))
}

func (m *machine) member(rt *rapid.T) {
	org, who := m.organization(rt), rapid.SampledFrom(everybody).Draw(rt, "user")
	if rapid.IntRange(0, 3).Draw(rt, "leaves") == 0 {
		m.do(rt, operator, inventory.RemoveMember{Organization: org, User: who})
		return
	}
	m.do(rt, operator, inventory.AddMember{Organization: org, User: who, Role: rapid.SampledFrom([]string{"admin", "reviewer", "write", "read"}).Draw(rt, "role")})
}

// account says who answers for the service account somewhere.
func (m *machine) account(rt *rapid.T) {
	people := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"alice", "ann", "rita", "bob"}), 0, 2, rapid.ID[string]).Draw(rt, "people")
	m.do(rt, operator, inventory.AddMember{Organization: m.organization(rt), User: "builder", Role: "write", Responsible: &people})
}

// answers says whether a user is a token's owner, or answers for it in an
// organization.
func (m *machine) answers(organizationID string, t *inventory.Token, name string) bool {
	u, _ := m.UserByName(inventory.Fold(name))
	if u == nil || u.ID == t.OwnerID {
		return u != nil
	}
	stays := m.Memberships[[2]string{organizationID, u.ID}]
	return m.Users[t.OwnerID].Type == inventory.TypeServiceAccount && slices.Contains(m.Answers[[2]string{organizationID, t.OwnerID}], u.ID) &&
		len(stays) > 0 && stays[len(stays)-1].Until.IsZero()
}

// facts holds what requests are decided on against the inventory: whoever is
// disabled, suspended or deleted is so by every secret and at every organization.
func (m *machine) facts(rt *rapid.T) {
	f, err := snapshot.Start(context.Background(), snapshot.Options{Feed: feed{m.Memory}, Interval: time.Hour, Clock: func() time.Time { return m.Now }})
	if err != nil {
		rt.Fatal(err)
	}
	defer f.Close()
	s := f.Snapshot()
	for digest, id := range m.Digests {
		var got authz.Token
		if t := m.Tokens[id]; s.Token(digest, &got) && (got.ID != id || t.Deleted || got.Disabled != t.Disabled) {
			rt.Fatalf("requests meet %+v; the token is %+v", got, t)
		} else if !t.Deleted && digest == t.Digest && got.ID == "" {
			rt.Fatalf("requests do not meet %+v", t)
		}
	}
	for key, a := range m.Decisions {
		var t authz.Token
		if !s.TokenByID(key[0], &t) {
			continue // it was deleted
		}
		for o := range s.EachOrganization {
			var access authz.Access
			s.Access(&t, o, &access)
			if o.ID == key[1] && (access.Authorization.Suspended != a.Suspended || access.Authorization.State != a.State) {
				rt.Fatalf("requests meet %+v; what holds is %+v", access.Authorization, a)
			}
		}
	}
}

// feed gives a whole inventory to a snapshot.
type feed struct{ *inventorytest.Memory }

func (f feed) Changes(context.Context, int64) (*inventory.Records, int64, bool, error) {
	return nil, 1, true, nil
}

func (f feed) LoadEach(_ context.Context, into inventory.Loading) (int64, error) {
	var all []error
	for _, o := range f.Organizations {
		if !o.Deleted {
			all = append(all, into.Organization(o))
		}
	}
	for _, u := range f.Users {
		all = append(all, into.User(u))
	}
	for _, list := range f.Memberships {
		for _, p := range list {
			all = append(all, into.Period(p))
		}
	}
	for _, t := range f.Memory.Tokens {
		if !t.Deleted {
			all = append(all, into.Token(t))
		}
	}
	for _, a := range f.Decisions {
		all = append(all, into.Authorization(a))
	}
	for _, list := range f.Requests {
		all = append(all, into.Request(list[len(list)-1]))
	}
	return 1, errors.Join(all...)
}

func (m *machine) policy(rt *rapid.T) {
	org := m.organization(rt)
	switch rapid.IntRange(0, 4).Draw(rt, "what") {
	case 0:
		c := inventory.SetPolicy{Organization: org, TokenPolicy: rapid.SampledFrom([]string{inventorytest.Open, inventorytest.Approval, inventorytest.Approval}).Draw(rt, "policy")}
		if rapid.Bool().Draw(rt, "dated") {
			c.EnforceAt = m.Now.Add(day)
		}
		if rapid.Bool().Draw(rt, "existing") {
			c.Existing = &inventory.ExistingTokens{Mode: rapid.SampledFrom([]string{"ask", "approve_used_within"}).Draw(rt, "mode"), Days: 30, Until: m.Now.Add(50 * day)}
			for id := range m.Tokens {
				m.Used[[2]string{id, m.id(org)}] = m.Now.Add(-day)
			}
			m.look(rt) // who decides on all of them has to know what they are
		}
		m.do(rt, operator, c)
	case 1:
		m.do(rt, operator, inventory.ChangeSettings{Organization: org, Settings: map[string]any{"four_eyes": rapid.Bool().Draw(rt, "four eyes")}})
	case 2:
		m.do(rt, operator, inventory.ChangeSettings{Organization: org, Settings: map[string]any{"review_act": []any{"rule"}}})
	case 3:
		action := rapid.SampledFrom([]string{"approve", "deny", "escalate"}).Draw(rt, "says")
		m.rules.Says = &inventory.Recommendation{Action: action, Revision: "1", UntilDays: 10, Reasons: []inventory.RecommendationReason{{Rule: "rule", Action: action}}}
	case 4:
		if m.do(rt, operator, inventory.RenameOrganization{Organization: org, Name: rapid.SampledFrom([]string{"acme", "acme-labs"}).Draw(rt, "name")}) != nil {
			m.met["renamed"]++
		}
	}
}

func (m *machine) request(rt *rapid.T) {
	id, org := m.token(rt), m.organization(rt)
	m.do(rt, m.actor(rt), rapid.SampledFrom([]inventory.Command{
		inventory.AskAgain{Organization: org, Token: id, Purpose: "again"},
		inventory.WithdrawRequest{Organization: org, Token: id},
		inventory.CommentRequest{Organization: org, Token: id, Comment: "x"},
		inventory.AskOwner{Organization: org, Token: id, Question: "y"},
		inventory.AssignRequest{Organization: org, Token: id, Assignee: "rita"},
		inventory.RemindRequest{Organization: org, Token: id},
		inventory.EscalateRequest{Organization: org, Token: id},
	}).Draw(rt, "command"))
}

func (m *machine) hit(rt *rapid.T) {
	m.do(rt, inventory.Actor{Kind: "system", Name: "patrol"}, inventory.OpenRequest{Organization: m.id(m.organization(rt)), Token: m.token(rt)})
}

func (m *machine) id(org string) string {
	if o, _ := m.OrganizationByName(org); o != nil {
		return o.ID
	}
	return org
}

// do carries a command out and judges the step. It returns nil where the
// command was refused.
func (m *machine) do(rt *rapid.T, actor inventory.Actor, c inventory.Command) *inventory.Change {
	before, tokens, requests := maps.Clone(m.Decisions), maps.Clone(m.Tokens), maps.Clone(m.Requests)
	kept := m.keptFromDeciding(actor, c)
	changes, entries, text := m.Changes, len(m.Audit), fmt.Sprint(m.Organizations, m.Tokens, m.Decisions, m.Requests)
	change, err := m.Do(actor, c)
	if err != nil {
		if m.Changes != changes || len(m.Audit) != entries || fmt.Sprint(m.Organizations, m.Tokens, m.Decisions, m.Requests) != text {
			rt.Fatalf("%s was refused (%v) and changed something", c.Action(), err)
		}
		m.refused(rt, err)
		if kept {
			m.met["who answers for it may not decide"]++
		}
		return nil
	}
	if kept {
		rt.Fatalf("%s by %+v, who answers for the token", c.Action(), actor)
	}
	written := len(change.Records.Tokens) + len(change.Records.Authorizations) + len(change.Records.Requests) + len(change.Records.Organizations) + len(change.Records.Periods)
	if change.Audit == nil {
		if m.Changes != changes {
			rt.Fatalf("%s changed something without an audit entry", c.Action())
		}
		if written > 0 {
			rt.Fatalf("%s has %d rows to write and no audit entry", c.Action(), written)
		}
		return change
	}
	if got := len(m.Audit) - entries; got != 1+len(change.Also) || change.Audit.Actor != actor || change.Audit.Action != c.Action() {
		rt.Fatalf("%s by %v: the audit got %d entries, %+v", c.Action(), actor, got, change.Audit)
	}
	m.entries += len(m.Audit) - entries
	for key, a := range m.Decisions {
		was := before[key]
		if was == nil {
			was = &inventory.Authorization{State: authz.StateNone}
		}
		m.step(rt, actor, c, change, was, a)
	}
	for id, t := range m.Tokens {
		m.stopped(rt, c, tokens[id], t)
	}
	for key, list := range m.Requests {
		if q := list[len(list)-1]; len(list) > len(requests[key]) && q.OpenedBy != "review" && m.Tokens[q.TokenID].Disabled {
			rt.Fatalf("%s opened a request by %s on a token that is disabled", c.Action(), q.OpenedBy)
		}
	}
	return change
}

// keptFromDeciding says whether somebody decides on a token that they own or
// answer for, where two people are asked for.
func (m *machine) keptFromDeciding(actor inventory.Actor, c inventory.Command) bool {
	switch c.(type) {
	case inventory.Approve, inventory.Deny, inventory.ResumeToken:
	default:
		return false
	}
	org, id := inventory.Pair(c)
	o, t := m.Organizations[m.id(org)], m.Tokens[id]
	return o != nil && o.FourEyes() && (actor.Kind == "console" || actor.Kind == "token") && m.answers(o.ID, t, actor.Name)
}

// noOther says whether somebody is no other person than a token's owner: a service
// account, or who answers for the owner or did since a month before the request.
func (m *machine) noOther(t *inventory.Token, q *inventory.Request, name string) bool {
	u, _ := m.UserByName(inventory.Fold(name))
	if u == nil {
		return false
	}
	answered, _ := m.Answered(t.OwnerID, q.OpenedAt.Add(-30*day))
	if slices.Contains(answered, u.ID) {
		m.met["who answered for it voted"]++
	}
	return u.Type == inventory.TypeServiceAccount || slices.Contains(answered, u.ID)
}

// stopped judges what a command did to whether a token is stopped everywhere: only
// those who stop it and let it go on change that.
func (m *machine) stopped(rt *rapid.T, c inventory.Command, was, is *inventory.Token) {
	if was == nil {
		was = &inventory.Token{}
	}
	switch {
	case was.Disabled == is.Disabled:
		return
	case c.Action() == "token.disable" && is.Disabled:
		m.met["disabled"]++
		for key, a := range m.Decisions {
			if key[0] == is.ID && a.State == authz.StateApproved {
				m.met["disabled while approved"]++
			}
		}
	case c.Action() == "token.enable" && !is.Disabled:
		m.met["enabled"]++
	default:
		rt.Fatalf("%s took the token from disabled %v to %v", c.Action(), was.Disabled, is.Disabled)
	}
}

func (m *machine) refused(rt *rapid.T, err error) {
	switch e := err.(type) { //nolint:errorlint // made by the rules, never wrapped
	case *inventory.Conflict:
		if len(e.Differences) > 0 {
			m.met["conflict with differences"]++
		}
	case *inventory.Invalid, inventory.InvalidList, *inventory.NotFound, *inventory.Forbidden, *inventory.Stale:
	default:
		rt.Fatalf("an error of no kind of ours: %v (%T)", err, err)
	}
}

// step judges what a command did to one authorization.
func (m *machine) step(rt *rapid.T, actor inventory.Actor, c inventory.Command, change *inventory.Change, was, is *inventory.Authorization) {
	if was.State != is.State {
		m.met[was.State+">"+is.State]++
		allowed := map[string]bool{
			"none>approved": true, "none>denied": true, "none>revoked": true, "approved>denied": true, "approved>revoked": true,
			"denied>approved": true, "denied>revoked": true, "approved>none": c.Action() == "member.remove",
		}
		if !allowed[was.State+">"+is.State] {
			rt.Fatalf("%s took the token from %s to %s", c.Action(), was.State, is.State)
		}
	}
	switch {
	case was.Suspended == is.Suspended:
		if is.Suspended && was.State != is.State {
			m.met["a suspended one was decided on"]++
		}
	case c.Action() == "token.suspend" && is.Suspended:
		m.met["suspended"]++
		if is.State == authz.StateApproved {
			m.met["suspended while approved"]++
		}
	case c.Action() == "token.resume" && !is.Suspended:
		m.met["resumed"]++
	default:
		rt.Fatalf("%s took the token from suspended %v to %v", c.Action(), was.Suspended, is.Suspended)
	}
	gained := was.State != authz.StateApproved || !inventory.Covers(was.Grants, is.Grants) ||
		!was.ExpiresAt.IsZero() && (is.ExpiresAt.IsZero() || is.ExpiresAt.After(was.ExpiresAt))
	if is.State != authz.StateApproved || !gained {
		return
	}
	m.approved(rt, actor, c, change, is)
}

// approved judges an approval that was just given: it covers what was reviewed
// and no more, and where two people are asked for, two were there.
func (m *machine) approved(rt *rapid.T, actor inventory.Actor, c inventory.Command, change *inventory.Change, is *inventory.Authorization) {
	o, t := m.Organizations[is.OrganizationID], m.Tokens[is.TokenID]
	reviewed := t.Reviewable() // by the policy, and where all that are in use are approved: what it is now
	if a, ok := c.(inventory.Approve); ok {
		reviewed = m.seen[is.TokenID][a.Version]
	}
	if beyond := inventory.Beyond(reviewed.Grants, is.Grants); len(beyond) > 0 {
		rt.Fatalf("approved without a review: %+v", beyond)
	}
	for _, g := range is.Grants {
		if g.Entity.Namespace != is.OrganizationID {
			rt.Fatalf("%s approved a grant on another organization: %+v", o.Name, g)
		}
	}
	if m.Users[t.OwnerID].Type == inventory.TypeServiceAccount {
		m.met["account approved"]++
	}
	if len(change.Also) > 0 && c.Action() != "approval.approve" {
		m.met["policy approved"]++
	}
	if !o.FourEyes() {
		return
	}
	q, _ := m.LatestRequest(t.ID, o.ID)
	people := map[string]bool{}
	if q != nil {
		for _, v := range q.Votes {
			if m.noOther(t, q, v.Name) {
				continue
			}
			if inventory.Covers(v.Grants, is.Grants) && inventory.Covers(is.Grants, v.Grants) && v.Until.Equal(is.ExpiresAt) {
				people[inventory.Fold(v.Name)] = true
			}
			if inventory.Fold(v.Name) == m.Users[t.OwnerID].Name {
				rt.Fatalf("the owner voted on an own token")
			}
		}
	}
	if c.Action() != "approval.approve" || len(people) < 2 || actor.Kind == "policy" || actor.Kind == "system" {
		rt.Fatalf("%s by %+v approved alone, with %v", c.Action(), actor, people)
	}
	m.met["four eyes approved"]++
}

// check is what holds at any time.
func (m *machine) check(rt *rapid.T) {
	if len(m.Audit) != m.entries || m.entries < m.Changes {
		rt.Fatalf("%d changes, %d audit entries; there were %d", m.Changes, len(m.Audit), m.entries)
	}
	for key, a := range m.Decisions {
		if m.revoked[key] && a.State != authz.StateRevoked {
			rt.Fatalf("a revocation was cleared")
		}
		m.revoked[key] = a.State == authz.StateRevoked
		if a.State != authz.StateApproved && len(a.Grants) > 0 {
			rt.Fatalf("%s with approved grants: %+v", a.State, a)
		}
	}
	for digest, id := range m.Digests {
		if owner := m.secrets[digest]; owner != "" && owner != id {
			rt.Fatalf("a secret went from one token to another")
		}
		m.secrets[digest] = id
	}
	for _, t := range m.Tokens {
		live := 0
		for _, f := range t.Former {
			if f.Digest == t.Digest {
				rt.Fatalf("a former secret is the present one")
			}
			if f.Until.After(m.Now) {
				live++
			}
		}
		if live > 1 {
			rt.Fatalf("%d former secrets are accepted", live)
		}
	}
	for key, list := range m.Requests {
		m.checkRequests(rt, key, list)
	}
	for _, e := range m.Audit {
		if e.Actor.Kind == "policy" && e.Action == "approval.deny" {
			m.met["policy denied"]++
		}
	}
}

func (m *machine) checkRequests(rt *rapid.T, key [2]string, list []*inventory.Request) {
	for i, q := range list {
		open := q.State == authz.RequestOpen
		switch {
		case q.Round != i:
			rt.Fatalf("the request %d of a token has round %d", i, q.Round)
		case open && i < len(list)-1:
			rt.Fatalf("an older request is open")
		case open && (m.revoked[key] || m.Tokens[key[0]].Deleted):
			rt.Fatalf("a request is open on a token that is gone or revoked")
		case open && !q.DecidedAt.IsZero() || !open && q.DecidedAt.IsZero():
			rt.Fatalf("%s, decided at %v", q.State, q.DecidedAt)
		case open && len(q.Grants) == 0:
			rt.Fatalf("a request asks for nothing")
		case open && !inventory.Covers(q.Grants, m.Tokens[key[0]].On(key[1])):
			rt.Fatalf("a request shows less than the token asks for: %+v", q.Grants)
		}
		if was, ok := m.decided[q.ID]; ok && was != q.State+q.Decision {
			rt.Fatalf("a request that was %s is now %s", was, q.State+q.Decision)
		}
		if !open {
			m.decided[q.ID] = q.State + q.Decision
		}
	}
}
