package sqlstore

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// errOvertaken says that another transaction took a change number since this
// one read the counter.
var errOvertaken = errors.New("another change was written at the same time")

// maxListed is how many changed rows a change lists one by one; beyond, those
// who follow load all again.
const maxListed = 30_000

// mostFollowed is how many changed rows are read one by one: those that imports write
// together, and some more.
const mostFollowed = 60_000

// rangeOfTokens is how many new tokens a row of the change log tells of, at most:
// those of an import have ids one after the other.
const rangeOfTokens = 100

// writer writes what a change consists of, and keeps the first error.
type writer struct {
	*state
	dialect *dialect
	touched []touched
	made    []string // the ids of new tokens
	err     error
	written map[givenList]string // grants as JSON, by their list

	organizationNumbers, userNumbers, tokenNumbers numbering
}

// givenList is a list of grants by its place: an import has one for all tokens
// that have it.
type givenList struct {
	first *authz.Grant
	n     int
}

// grants writes grants as JSON.
func (w *writer) grants(list []authz.Grant) string {
	if len(list) == 0 {
		return w.json(list)
	}
	place := givenList{&list[0], len(list)}
	text, known := w.written[place]
	if !known {
		text = w.json(list)
		w.written[place] = text
	}
	return text
}

// touched is a row that a transaction wrote.
type touched struct{ kind, key1, key2 string }

func (w *writer) touch(kind, key1, key2 string) {
	w.touched = append(w.touched, touched{kind, key1, key2})
}

func (w *writer) then(f func() error) {
	if w.err == nil {
		w.err = f()
	}
}

func (w *writer) json(v any) string {
	text, err := encode(v)
	if w.err == nil {
		w.err = err
	}
	return text
}

// write writes a change but for its number, which take does last.
func (s *Store) write(st *state, c *inventory.Change, now time.Time) error {
	w := &writer{state: st, dialect: &s.dialect, written: map[givenList]string{}}
	w.organizationNumbers.last, w.userNumbers.last, w.tokenNumbers.last = st.LastOrganization, st.LastUser, st.LastToken
	w.records(&c.Records)
	w.events(c.Events, now)
	w.forget(now.Add(-s.Retention))
	counter, err := w.Counter(w.ctx)
	if err != nil {
		return err
	}
	w.changes(counter.Change+1, now)
	st.taken = db.TakeNumberParams{Change: counter.Change, AuditSeq: counter.AuditSeq, AuditHead: counter.AuditHead}
	for _, a := range append([]*inventory.AuditEntry{c.Audit}, c.Also...) {
		w.audit(a, now)
	}
	if s.dialect.notify != nil {
		w.then(func() error { return s.dialect.notify(w.ctx, w.session) })
	}
	return w.err
}

// forget drops what nobody who follows needs any more, a part of it.
func (w *writer) forget(before time.Time) {
	w.then(func() error {
		last, err := w.ChangesToForget(w.ctx, millis(before))
		if err != nil || last == 0 {
			return err
		}
		return w.ForgetChanges(w.ctx, last)
	})
}

// audit writes an entry that follows the chain's head, and moves the head on.
func (w *writer) audit(a *inventory.AuditEntry, now time.Time) {
	details := a.Details
	if a.Actor.Token != "" {
		details = maps.Clone(details)
		if details == nil {
			details = map[string]any{}
		}
		details["acting_token"] = a.Actor.Token
	}
	entry := auditlog.Entry{
		Seq: w.taken.AuditSeq + 1, Time: now, Actor: auditlog.Actor{Kind: a.Actor.Kind, Name: a.Actor.Name}, Action: a.Action,
		OrganizationID: a.OrganizationID, TokenID: a.TokenID, Details: []byte(w.json(details)),
	}
	entry.Hash = entry.Sum(w.taken.AuditHead)
	w.taken.AuditSeq, w.taken.AuditHead = entry.Seq, entry.Hash
	w.then(func() error {
		return w.InsertAudit(w.ctx, db.InsertAuditParams{
			Seq: entry.Seq, Time: millis(entry.Time), ActorKind: entry.Actor.Kind, ActorName: entry.Actor.Name, Action: entry.Action,
			OrganizationID: entry.OrganizationID, TokenID: entry.TokenID, Details: string(entry.Details), Hash: entry.Hash,
		})
	})
}

// take takes the change's number. It is the last statement: whoever reads up to
// a number has read all that was committed before it.
func (s *Store) take(st *state) error {
	n, err := st.TakeNumber(st.ctx, st.taken)
	if err == nil && n != 1 {
		err = errOvertaken
	}
	return err
}

func (w *writer) changes(number int64, now time.Time) {
	list := w.touched
	listed := len(list) + len(w.made)
	for made := range slices.Chunk(w.made, rangeOfTokens) {
		list = append(list, touched{"tokens", slices.Min(made), slices.Max(made)})
	}
	if len(list) == 0 {
		list = []touched{{kind: "nothing"}} // a number without rows would look like a gap
	}
	if listed > maxListed {
		list = []touched{{kind: "all"}}
	}
	rows := make([]db.InsertChangeParams, len(list))
	for i, t := range list {
		rows[i] = db.InsertChangeParams{Change: number, Part: int64(i), Kind: t.kind, Key1: t.key1, Key2: t.key2, Time: millis(now)}
	}
	w.then(func() error { return w.InsertChanges(w.ctx, rows) })
}

func (w *writer) events(list []inventory.Event, now time.Time) {
	list = newest(list, func(e inventory.Event) string { return e.Key })
	rows := make([]db.InsertEventParams, len(list))
	for i, e := range list {
		rows[i] = db.InsertEventParams{
			// Tokens come in the order of their ids: so do the keys.
			DedupeKey: e.Token + "/" + e.Key, Kind: e.Kind, OrganizationID: e.Organization, TokenID: e.Token, RequestID: e.Request,
			NextAt: millis(now), CreatedAt: millis(now), Owner: e.Owner, At: millis(e.At),
		}
	}
	w.then(func() error { return w.InsertEvents(w.ctx, rows) })
}

// newest drops what a later one of the same key replaces.
func newest[T any, K comparable](list []T, key func(T) K) []T {
	last := make(map[K]int, len(list))
	for i, v := range list {
		last[key(v)] = i
	}
	if len(last) == len(list) {
		return list
	}
	out := make([]T, 0, len(last))
	for i, v := range list {
		if last[key(v)] == i {
			out = append(out, v)
		}
	}
	return out
}

func (w *writer) records(r *inventory.Records) {
	w.organizations(newest(r.Organizations, func(o *inventory.Organization) string { return o.ID }))
	w.usersOf(newest(r.Users, func(u *inventory.User) string { return u.ID }))
	w.tokens(newest(r.Tokens, func(t *inventory.Token) string { return t.ID }), w.names(r))
	w.authorizations(newest(r.Authorizations, func(a *inventory.Authorization) [2]string { return [2]string{a.TokenID, a.OrganizationID} }))
	w.periodsOf(newest(r.Periods, func(p *inventory.Period) inventory.Period {
		return inventory.Period{OrganizationID: p.OrganizationID, UserID: p.UserID, Since: p.Since}
	}))
	w.requests(newest(r.Requests, func(q *inventory.Request) string { return q.ID }))
	w.versions(r.Versions)
	w.responsible(r.Responsible)
}

// names gives the name of an owner, who may be one that the change itself makes.
func (w *writer) names(r *inventory.Records) func(id string) string {
	made := make(map[string]string, len(r.Users))
	for _, u := range r.Users {
		made[u.ID] = u.Name
	}
	return func(id string) string {
		if name, ok := made[id]; ok {
			return name
		}
		u, err := w.UserByID(id)
		if w.err == nil {
			w.err = err
		}
		if u == nil {
			return ""
		}
		return u.Name
	}
}

func (w *writer) organizations(list []*inventory.Organization) {
	rows := make([]db.UpsertOrganizationParams, len(list))
	for i, o := range list {
		rows[i] = db.UpsertOrganizationParams{
			ID: o.ID, Name: o.Name, Type: o.Type, OwnerID: o.OwnerID, TokenPolicy: o.TokenPolicy, NextTokenPolicy: o.NextTokenPolicy,
			EnforceAt: millis(o.EnforceAt), Enforcement: o.Enforcement, ManagedBy: o.ManagedBy, Settings: w.json(o.Settings),
			CreatedAt: millis(o.CreatedAt), Version: o.Version, Deleted: o.Deleted,
			Aliases: w.json(o.Aliases), Number: w.number(o.ID, w.OrganizationNumber, &w.organizationNumbers),
		}
		w.touch("organization", o.ID, "")
		w.aliases(o)
	}
	w.then(func() error { return w.UpsertOrganizations(w.ctx, rows) })
}

// aliases writes the names that lead to an organization beside its own; those
// of one that is gone are free again.
func (w *writer) aliases(o *inventory.Organization) {
	if len(o.Aliases) == 0 && o.Version == 1 {
		return
	}
	w.then(func() error { return w.ForgetAlias(w.ctx, o.ID) })
	if o.Deleted {
		return
	}
	rows := make([]db.UpsertAliasParams, len(o.Aliases))
	for i, name := range o.Aliases {
		rows[i] = db.UpsertAliasParams{Name: name, OrganizationID: o.ID}
	}
	w.then(func() error { return w.UpsertAliases(w.ctx, rows) })
}

// versions keeps what tokens were before this change.
func (w *writer) versions(list []*inventory.TokenVersion) {
	rows := make([]db.InsertTokenVersionParams, len(list))
	for i, v := range list {
		rows[i] = db.InsertTokenVersionParams{
			TokenID: v.TokenID, Version: v.Version, Kind: v.Kind, Grants: w.json(v.Grants), ExpiresAt: millis(v.ExpiresAt),
			ChangedAt: millis(v.ChangedAt), ChangedBy: v.ChangedBy,
		}
	}
	w.then(func() error { return w.InsertTokenVersions(w.ctx, rows) })
}

func (w *writer) usersOf(list []*inventory.User) {
	rows := make([]db.UpsertUserParams, len(list))
	for i, u := range list {
		rows[i] = db.UpsertUserParams{
			ID: u.ID, Name: u.Name, Type: u.Type, Email: u.Email, CreatedAt: millis(u.CreatedAt),
			EmailConfirmedAt: millis(u.ConfirmedAt), EmailConfirmedBy: u.ConfirmedBy, EmailAskedAt: millis(u.AskedAt),
			Number: w.number(u.ID, w.UserNumber, &w.userNumbers),
		}
		w.touch("user", u.ID, "")
	}
	w.then(func() error { return w.UpsertUsers(w.ctx, rows) })
}

// responsible writes who answers for service accounts.
func (w *writer) responsible(list []*inventory.Responsible) {
	for _, one := range list {
		w.then(func() error {
			return w.EndResponsible(w.ctx, db.EndResponsibleParams{Until: millis(one.At), OrganizationID: one.OrganizationID, UserID: one.UserID})
		})
		for _, person := range one.People {
			w.then(func() error {
				return w.UpsertResponsible(w.ctx, db.UpsertResponsibleParams{OrganizationID: one.OrganizationID, UserID: one.UserID, PersonID: person})
			})
		}
	}
}

// periodsOf writes periods, and which organizations list the unscoped tokens of
// who came or left.
func (w *writer) periodsOf(list []*inventory.Period) {
	rows := make([]db.UpsertPeriodParams, len(list))
	for i, p := range list {
		rows[i] = db.UpsertPeriodParams{OrganizationID: p.OrganizationID, UserID: p.UserID, Since: millis(p.Since), Until: millis(p.Until), Role: p.Role}
		w.touch("member", p.OrganizationID, p.UserID)
	}
	w.then(func() error { return w.UpsertPeriods(w.ctx, rows) })
	for _, p := range newest(list, func(p *inventory.Period) [2]string { return [2]string{p.OrganizationID, p.UserID} }) {
		w.then(func() error {
			if p.Until.IsZero() {
				return w.ReachOfMember(w.ctx, db.ReachOfMemberParams{OrganizationID: p.OrganizationID, UserID: p.UserID})
			}
			return w.ForgetReachOfMember(w.ctx, db.ForgetReachOfMemberParams{OrganizationID: p.OrganizationID, OwnerID: p.UserID})
		})
	}
}

func (w *writer) authorizations(list []*inventory.Authorization) {
	rows := make([]db.UpsertAuthorizationParams, len(list))
	reach := make([]string, len(list))
	for i, a := range list {
		rows[i] = db.UpsertAuthorizationParams{
			TokenID: a.TokenID, OrganizationID: a.OrganizationID, State: a.State, Grants: w.json(a.Grants), ExpiresAt: millis(a.ExpiresAt),
			Suspended: a.Suspended, ChangedAt: millis(a.ChangedAt), ChangedBy: a.ChangedBy, Comment: a.Comment,
		}
		reach[i] = a.TokenID
		w.touch("authorization", a.TokenID, a.OrganizationID)
	}
	w.then(func() error { return w.UpsertAuthorizations(w.ctx, rows) })
	w.then(func() error { return w.ReachesByDecision(w.ctx, reach) })
}

func (w *writer) requests(list []*inventory.Request) {
	rows := make([]db.UpsertRequestParams, len(list))
	for i, q := range list {
		rows[i] = db.UpsertRequestParams{
			ID: q.ID, TokenID: q.TokenID, OrganizationID: q.OrganizationID, Round: int64(q.Round), State: q.State, Grants: w.json(q.Grants),
			OpenedAt: millis(q.OpenedAt), OpenedBy: q.OpenedBy, DecidedAt: millis(q.DecidedAt), DecidedBy: q.DecidedBy,
			Decision: q.Decision, Comment: q.Comment, OwnerID: q.OwnerID, Purpose: q.Purpose, Assignee: q.Assignee, Review: w.json(q.Review), Risk: riskOf(q.Recommendation),
		}
		w.touch("request", q.TokenID, q.OrganizationID)
	}
	w.then(func() error { return w.UpsertRequests(w.ctx, rows) })
}
