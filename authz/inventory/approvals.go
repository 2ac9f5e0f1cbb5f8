package inventory

import (
	"fmt"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// openForToken opens the requests that a new or changed token needs.
func (r *rules) openForToken(t *Token, by string) error {
	for _, ns := range namespaces(t) {
		o, err := r.OrganizationByID(ns)
		if err != nil {
			return err
		}
		if o == nil || o.Deleted {
			continue
		}
		if _, err := r.open(o, t, by); err != nil {
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
	q, err := r.open(o, t, "hit")
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
// returns the open one, or nil where nothing is to be asked.
func (r *rules) open(o *Organization, t *Token, by string) (*Request, error) {
	latest, err := r.LatestRequest(t.ID, o.ID)
	if err != nil {
		return nil, err
	}
	if latest != nil && latest.State == authz.RequestOpen {
		return latest, nil
	}
	needed, err := r.needsApproval(o, t)
	if err != nil || !needed {
		return nil, err
	}
	round := 0
	if latest != nil {
		round = latest.Round + 1
	}
	q := &Request{
		ID: RequestID(t.ID, o.ID, round), TokenID: t.ID, OrganizationID: o.ID, Round: round, State: authz.RequestOpen,
		Grants: t.On(o.ID), OpenedAt: r.now, OpenedBy: by,
	}
	r.change.Records.Requests = append(r.change.Records.Requests, q)
	r.event("approval_requested", o.ID, t.ID, q.ID)
	return q, nil
}

// needsApproval says whether a token has to be asked for: a member's
// fine-grained token with grants on an organization whose present or next
// policy asks for an approval, that is neither exempt nor decided on.
func (r *rules) needsApproval(o *Organization, t *Token) (bool, error) {
	current := t.On(o.ID)
	if o.Type != authz.TypeOrganization || t.Kind != authz.KindFineGrained || len(current) == 0 || t.Disabled {
		return false, nil
	}
	now, next := o.Policies(r.now)
	if !r.policies.RequiresApproval(now) && (next == "" || !r.policies.RequiresApproval(next)) {
		return false, nil
	}
	periods, err := r.Periods(o.ID, t.OwnerID)
	if err != nil || present(periods) == nil || AdminCreated(t, periods) {
		return false, err
	}
	a, err := r.State.Authorization(t.ID, o.ID)
	if err != nil || a == nil {
		return err == nil, err
	}
	switch a.State {
	case authz.StateDenied, authz.StateRevoked:
		return false, nil
	case authz.StateApproved:
		ended := !a.ExpiresAt.IsZero() && !r.now.Before(a.ExpiresAt)
		return ended || !Covers(a.Grants, current), nil
	}
	return true, nil
}

// Covers says whether grants hold every permission that others ask for.
func Covers(have, asked []authz.Grant) bool {
	for _, g := range asked {
		for _, p := range g.Permissions {
			if !slices.ContainsFunc(have, func(h authz.Grant) bool {
				return h.Entity == g.Entity && slices.Contains(h.Permissions, p)
			}) {
				return false
			}
		}
	}
	return true
}

// closeRequest decides or withdraws the open request of a pair, if there is one.
func (r *rules) closeRequest(token, organization, state, decision, comment string) error {
	q, err := r.LatestRequest(token, organization)
	if err != nil || q == nil || q.State != authz.RequestOpen {
		return err
	}
	closed := *q
	closed.State, closed.Decision, closed.Comment = state, decision, comment
	closed.DecidedAt, closed.DecidedBy = r.now, r.actor.Name
	r.change.Records.Requests = append(r.change.Records.Requests, &closed)
	r.change.Subject.RequestID = closed.ID
	return nil
}

// decidable checks that a token may be decided on as it was reviewed.
func (r *rules) decidable(t *Token, a *Authorization, version int64) error {
	switch {
	case a.State == authz.StateRevoked:
		return &Conflict{Problem: "the token was revoked for this organization, which is final"}
	case version != 0 && version != t.Version:
		return &Conflict{Problem: fmt.Sprintf("the token has changed since it was reviewed: version %d was reviewed, %d is present", version, t.Version)}
	case t.Kind != authz.KindFineGrained:
		return &Invalid{"token", "is a " + t.Kind + " token; only fine-grained tokens are approved or denied"}
	}
	return nil
}

// reviewed finds a token that is to be decided on as it was reviewed.
func (r *rules) reviewed(organization, token string, version int64) (*Organization, *Token, *Authorization, error) {
	o, t, a, err := r.pair(organization, token)
	if err != nil {
		return nil, nil, nil, err
	}
	r.change.Subject = Subject{OrganizationID: o.ID, TokenID: t.ID}
	return o, t, a, r.decidable(t, a, version)
}

// settle writes a decision, and closes the request that asked for it.
func (r *rules) settle(a *Authorization, state string, grants []authz.Grant, until time.Time, comment string) error {
	a.State, a.Grants, a.ExpiresAt, a.Comment = state, grants, until, comment
	a.ChangedAt, a.ChangedBy = r.now, r.actor.Name
	r.change.Records.Authorizations = append(r.change.Records.Authorizations, a)
	if state == authz.StateRevoked {
		return r.closeRequest(a.TokenID, a.OrganizationID, authz.RequestWithdrawn, "", "")
	}
	return r.closeRequest(a.TokenID, a.OrganizationID, authz.RequestDecided, state, comment)
}

func (r *rules) approve(c Approve) error {
	o, t, a, err := r.reviewed(c.Organization, c.Token, c.Version)
	if err != nil {
		return err
	}
	if !c.Until.IsZero() && !c.Until.After(r.now) {
		return &Invalid{"until", "lies in the past"}
	}
	if err := checkText("comment", c.Comment, maxText); err != nil {
		return err
	}
	granted := t.On(o.ID)
	if len(granted) == 0 {
		return &Invalid{"token", "has no grant on " + o.Name}
	}
	if len(c.Grants) > 0 {
		asked, err := r.grants(t.Kind, c.Grants)
		if err != nil {
			return err
		}
		if !Covers(granted, asked) {
			return &Invalid{"grants", "go beyond what the token asks for on " + o.Name}
		}
		granted = asked
	}
	until := wholeSeconds(c.Until)
	if a.State == authz.StateApproved && a.ExpiresAt.Equal(until) && Covers(a.Grants, granted) && Covers(granted, a.Grants) {
		return nil
	}
	if err := r.settle(a, authz.StateApproved, granted, until, c.Comment); err != nil {
		return err
	}
	details := map[string]any{"version": t.Version, "grants": len(granted)}
	if !until.IsZero() {
		details["until"] = until.Format(time.RFC3339)
	}
	r.audit(o.ID, t.ID, details)
	r.event("token_approved", o.ID, t.ID, r.change.Subject.RequestID)
	return nil
}

func (r *rules) deny(c Deny) error {
	o, t, a, err := r.reviewed(c.Organization, c.Token, c.Version)
	if err != nil {
		return err
	}
	if err := checkText("reason", c.Reason, maxText); err != nil {
		return err
	}
	if a.State == authz.StateDenied && a.Comment == c.Reason {
		return nil
	}
	if err := r.settle(a, authz.StateDenied, nil, time.Time{}, c.Reason); err != nil {
		return err
	}
	r.audit(o.ID, t.ID, map[string]any{"version": t.Version, "reason": c.Reason})
	r.event("token_denied", o.ID, t.ID, r.change.Subject.RequestID)
	return nil
}

func (r *rules) revoke(c RevokeToken) error {
	o, t, a, err := r.pair(c.Organization, c.Token)
	if err != nil {
		return err
	}
	r.change.Subject = Subject{OrganizationID: o.ID, TokenID: t.ID}
	if err := checkText("comment", c.Comment, maxText); err != nil {
		return err
	}
	if a.State == authz.StateRevoked {
		return nil
	}
	if err := r.settle(a, authz.StateRevoked, nil, time.Time{}, c.Comment); err != nil {
		return err
	}
	r.audit(o.ID, t.ID, map[string]any{"comment": c.Comment})
	r.event("token_revoked", o.ID, t.ID, "")
	return nil
}

func (r *rules) suspend(organization, token, comment string, suspended bool) error {
	o, t, a, err := r.pair(organization, token)
	if err != nil {
		return err
	}
	r.change.Subject = Subject{OrganizationID: o.ID, TokenID: t.ID}
	if err := checkText("comment", comment, maxText); err != nil {
		return err
	}
	if a.State == authz.StateRevoked {
		return &Conflict{Problem: "the token was revoked for this organization, which is final"}
	}
	if a.Suspended == suspended {
		return nil
	}
	a.Suspended, a.Comment, a.ChangedAt, a.ChangedBy = suspended, comment, r.now, r.actor.Name
	r.change.Records.Authorizations = append(r.change.Records.Authorizations, a)
	r.audit(o.ID, t.ID, map[string]any{"comment": comment})
	return nil
}
