package inventory

import (
	"github.com/patrol-authz/patrol/authz"
)

// MaxOpenPerOwner is how many requests to one organization may be open on the
// tokens of one owner before further tokens have to wait: they ask when they
// are used and there is room. What the organization itself brings about
// (imports, a new policy, a change of roles, a review) is not bounded.
const MaxOpenPerOwner = 200

// openForToken opens the requests that a new token needs.
func (r *rules) openForToken(t *Token, by string) error {
	for _, ns := range t.Namespaces() {
		o, err := r.OrganizationByID(ns)
		if err != nil {
			return err
		}
		if o == nil || o.Deleted {
			continue
		}
		if _, err := r.open(o, t, by, false); err != nil {
			return err
		}
	}
	return nil
}

func (r *rules) openOnHit(c OpenRequest) error {
	o, err := r.OrganizationByID(c.Organization)
	if err != nil {
		return err
	}
	t, err := r.TokenByID(c.Token)
	if err != nil {
		return err
	}
	if o == nil || o.Deleted {
		return &NotFound{"organization", c.Organization}
	}
	if t == nil || t.Deleted {
		return &NotFound{"token", c.Token}
	}
	q, err := r.open(o, t, "hit", false)
	if err != nil {
		return err
	}
	r.change.Subject = Subject{OrganizationID: o.ID, TokenID: t.ID}
	if q != nil {
		r.change.Subject.RequestID = q.ID
		if len(r.change.Records.Requests) > 0 {
			r.audit(o.ID, t.ID, map[string]any{"request": q.ID})
		}
	}
	return nil
}

// open opens an approval request where one is needed and none is open. It
// returns the open one, or nil where nothing is to be asked. changed: the token
// asks for something else than was decided on.
func (r *rules) open(o *Organization, t *Token, by string, changed bool) (*Request, error) {
	latest, err := r.latest(t.ID, o.ID)
	if err != nil {
		return nil, err
	}
	if latest != nil && latest.State == authz.RequestOpen {
		return latest, nil
	}
	if by == "hit" && latest != nil && latest.ByOwner && r.now.Before(latest.DecidedAt.Add(o.Cooldown())) {
		return nil, nil
	}
	needed, err := r.needsApproval(o, t, changed)
	if err != nil || !needed {
		return nil, err
	}
	return r.openNext(o, t, latest, by, "")
}

// openNext opens the request that follows the latest one.
func (r *rules) openNext(o *Organization, t *Token, latest *Request, by, purpose string) (*Request, error) {
	switch by {
	case "issue", "update", "hit", "owner":
		if room, err := r.room(o, t); err != nil || !room {
			return nil, err
		}
	}
	round := 0
	if latest != nil {
		round = latest.Round + 1
	}
	q := &Request{
		ID: authz.RequestID(t.ID, o.ID, round), TokenID: t.ID, OrganizationID: o.ID, OwnerID: t.OwnerID, Round: round, State: authz.RequestOpen,
		Grants: t.On(o.ID), OpenedAt: r.now, OpenedBy: by, Purpose: purpose, Review: Review{Version: t.Version},
	}
	q.Recommendation = r.recommend(o, t, q)
	r.putRequest(q)
	r.event("approval_requested", o.ID, t.ID, q.ID)
	if q.Recommendation == nil || by == "review" {
		return q, nil
	}
	return q, r.act(o, t, q)
}

// room says whether another request of the owner may be open.
func (r *rules) room(o *Organization, t *Token) (bool, error) {
	key := [2]string{o.ID, t.OwnerID}
	n, known := r.openOf[key]
	if !known {
		var err error
		if n, err = r.OpenRequests(o.ID, t.OwnerID); err != nil {
			return false, err
		}
	}
	if n >= MaxOpenPerOwner {
		return false, nil
	}
	r.openOf[key] = n + 1
	return true, nil
}

// asks says whether the present or the next policy asks for an approval.
func (r *rules) asks(o *Organization) bool {
	_, asks := o.AsksForApproval(r.policies, r.now)
	return asks
}

// needsApproval says whether a token has to be asked for: a member's
// fine-grained token with grants on an organization whose present or next
// policy asks for an approval, that is neither exempt nor decided on. What was
// denied is asked for again only once it has changed.
func (r *rules) needsApproval(o *Organization, t *Token, changed bool) (bool, error) {
	current := t.On(o.ID)
	if o.Type != authz.TypeOrganization || t.Kind != authz.KindFineGrained || len(current) == 0 || t.Disabled || !r.asks(o) {
		return false, nil
	}
	periods, err := r.periods(o.ID, t.OwnerID)
	if err != nil || present(periods) == nil || AdminCreated(t, periods) && !o.FourEyes() {
		return false, err
	}
	a, err := r.authorization(t.ID, o.ID)
	if err != nil || a == nil {
		return err == nil, err
	}
	switch a.State {
	case authz.StateRevoked:
		return false, nil
	case authz.StateDenied:
		return changed, nil
	case authz.StateApproved:
		return ended(a.ExpiresAt, r.now) || !Covers(a.Grants, current), nil
	}
	return true, nil
}

// closeRequest decides or withdraws the open request of a pair, if there is one.
func (r *rules) closeRequest(token, organization, state, decision, comment string) error {
	q, err := r.openRequest(token, organization)
	if err != nil || q == nil {
		return err
	}
	closed := *q
	closed.State, closed.Decision, closed.Comment, closed.WaitsForOwner = state, decision, comment, false
	closed.DecidedAt, closed.DecidedBy = r.now, r.actor.Name
	r.putRequest(&closed)
	r.change.Subject.RequestID = closed.ID
	return nil
}

// What a command has written so far comes before what the state holds.

func (r *rules) latest(token, organization string) (*Request, error) {
	if q := r.requests[[2]string{token, organization}]; q != nil {
		return q, nil
	}
	return r.LatestRequest(token, organization)
}

func (r *rules) openRequest(token, organization string) (*Request, error) {
	q, err := r.latest(token, organization)
	if err != nil || q == nil || q.State != authz.RequestOpen {
		return nil, err
	}
	return q, nil
}

func (r *rules) putRequest(q *Request) {
	key := [2]string{q.TokenID, q.OrganizationID}
	if before := r.requests[key]; before != nil && before.ID == q.ID {
		*before = *q
		return
	}
	r.requests[key] = q
	r.change.Records.Requests = append(r.change.Records.Requests, q)
}

func (r *rules) authorization(token, organization string) (*Authorization, error) {
	if a := r.authorizations[[2]string{token, organization}]; a != nil {
		return a, nil
	}
	return r.State.Authorization(token, organization)
}

func (r *rules) putAuthorization(a *Authorization) {
	key := [2]string{a.TokenID, a.OrganizationID}
	if before := r.authorizations[key]; before != nil {
		*before = *a
		return
	}
	r.authorizations[key] = a
	r.change.Records.Authorizations = append(r.change.Records.Authorizations, a)
}

func (r *rules) periods(organization, user string) ([]*Period, error) {
	if p, ok := r.history[[2]string{organization, user}]; ok {
		return p, nil
	}
	return r.Periods(organization, user)
}

// openForMember opens what the tokens of a user have to ask for, now that their
// membership has changed.
func (r *rules) openForMember(o *Organization, userID, by string) (opened int, err error) {
	tokens, err := r.TokensOf(userID)
	if err != nil {
		return 0, err
	}
	before := len(r.change.Records.Requests)
	for _, t := range tokens {
		if _, err := r.open(o, t, by, false); err != nil {
			return 0, err
		}
	}
	return len(r.change.Records.Requests) - before, nil
}
