package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// reviewed finds a token that is to be decided on as it was reviewed; lets says
// that it is to be approved.
func (r *rules) reviewed(organization, token string, version int64, request string, lets bool) (*Organization, *Token, *Authorization, error) {
	o, t, a, err := r.pair(organization, token)
	if err != nil {
		return nil, nil, nil, err
	}
	r.change.Subject = Subject{OrganizationID: o.ID, TokenID: t.ID}
	if err := r.mayDecide(o, t, lets); err != nil {
		return nil, nil, nil, err
	}
	if a.State == authz.StateRevoked {
		return nil, nil, nil, &Conflict{Problem: "the token was revoked for this organization, which is final"}
	}
	if err := r.sameAsReviewed(o, t, version); err != nil {
		return nil, nil, nil, err
	}
	if request != "" {
		if err := r.stillOpen(t, o, a, request); err != nil {
			return nil, nil, nil, err
		}
	}
	if t.Kind != authz.KindFineGrained {
		return nil, nil, nil, &Invalid{"token", "is a " + t.Kind + " token; only fine-grained tokens are approved or denied"}
	}
	return o, t, a, nil
}

// sameAsReviewed checks that what concerns the organization is as it was in the
// version that was reviewed.
func (r *rules) sameAsReviewed(o *Organization, t *Token, version int64) error {
	if version == 0 || version == t.Version {
		return nil
	}
	then, err := r.TokenVersion(t.ID, version)
	if err != nil {
		return err
	}
	if then == nil {
		return &Conflict{Problem: fmt.Sprintf("the token has changed since it was reviewed: version %d was reviewed, %d is present", version, t.Version)}
	}
	differences := Differences(o.ID, then, t.Reviewable())
	if len(differences) == 0 {
		return nil
	}
	texts := make([]string, len(differences))
	for i, d := range differences {
		texts[i] = d.String()
	}
	return &Conflict{Problem: fmt.Sprintf("the token has changed since version %d was reviewed: %s", version, strings.Join(texts, "; ")), Differences: differences}
}

// stillOpen checks that the request that was reviewed is the one to decide.
func (r *rules) stillOpen(t *Token, o *Organization, a *Authorization, id string) error {
	q, err := r.LatestRequest(t.ID, o.ID)
	switch {
	case err != nil:
		return err
	case q == nil || q.ID != id && q.Round == 0:
		return &NotFound{"request", id}
	case q.ID != id:
		return &Conflict{Problem: "a later request on this token is open, or was decided", Differences: []Difference{{"request", id, q.ID}}}
	case q.State == authz.RequestOpen:
		return nil
	}
	state := a.State
	if q.State == authz.RequestWithdrawn {
		state = authz.RequestWithdrawn
	}
	present := fmt.Sprintf("%s by %s at %s", state, q.DecidedBy, q.DecidedAt.UTC().Format(time.RFC3339))
	return &Conflict{Problem: "the request was decided meanwhile: " + present, Differences: []Difference{{"state", authz.RequestOpen, present}}}
}

// settle writes a decision, and closes the request that asked for it.
func (r *rules) settle(a *Authorization, state string, grants []authz.Grant, until time.Time, comment, by string) error {
	a.State, a.Grants, a.ExpiresAt, a.Comment = state, grants, until, comment
	a.ChangedAt, a.ChangedBy = r.now, by
	r.putAuthorization(a)
	outcome, decision := authz.RequestDecided, state
	if state == authz.StateRevoked {
		outcome, decision, comment = authz.RequestWithdrawn, "", ""
	}
	if err := r.closeRequest(a.TokenID, a.OrganizationID, outcome, decision, comment); err != nil {
		return err
	}
	if q := r.requests[[2]string{a.TokenID, a.OrganizationID}]; q != nil && q.ID == r.change.Subject.RequestID {
		q.DecidedBy = by
	}
	return nil
}

func (r *rules) approve(c Approve) error {
	o, t, a, err := r.reviewed(c.Organization, c.Token, c.Version, c.Request, true)
	if err != nil {
		return err
	}
	granted, err := r.approvable(o, t, &c)
	if err != nil {
		return err
	}
	until := wholeSeconds(c.Until)
	if a.State == authz.StateApproved && a.ExpiresAt.Equal(until) && sameGrants(a.Grants, granted) {
		return nil
	}
	by := r.actor.Name
	if o.FourEyes() {
		agreed, others, err := r.vote(o, t, granted, until, c.Comment)
		if err != nil || !agreed {
			return err
		}
		by = others
	}
	if err := r.settle(a, authz.StateApproved, granted, until, c.Comment, by); err != nil {
		return err
	}
	details := map[string]any{"version": t.Version, "grants": len(granted)}
	if !until.IsZero() {
		details["until"] = until.Format(time.RFC3339)
	}
	if o.FourEyes() {
		details["people"] = by
	}
	r.audit(o.ID, t.ID, details)
	r.event("token_approved", o.ID, t.ID, r.change.Subject.RequestID)
	return nil
}

// approvable is what an approval would give: what the token asks for, or the
// part of it that was named.
func (r *rules) approvable(o *Organization, t *Token, c *Approve) ([]authz.Grant, error) {
	if !c.Until.IsZero() && !c.Until.After(r.now) {
		return nil, &Invalid{"until", "lies in the past"}
	}
	if err := checkText("comment", c.Comment, maxText); err != nil {
		return nil, err
	}
	granted := t.On(o.ID)
	if len(granted) == 0 {
		return nil, &Invalid{"token", "has no grant on " + o.Name}
	}
	if len(c.Grants) == 0 {
		return granted, nil
	}
	asked, err := r.grants(t.Kind, c.Grants)
	if err != nil {
		return nil, err
	}
	if !Covers(granted, asked) {
		return nil, &Invalid{"grants", "go beyond what the token asks for on " + o.Name}
	}
	return asked, nil
}

// vote notes one person's approval. When another person has agreed to the same
// it says so, and names both.
func (r *rules) vote(o *Organization, t *Token, granted []authz.Grant, until time.Time, comment string) (agreed bool, names string, err error) {
	who := r.actor.Person()
	if who == "" {
		return false, "", &Forbidden{o.Name + " asks for two people on each approval, and the policy is none"}
	}
	u, is, err := r.deciding()
	if err != nil {
		return false, "", err
	}
	if is && u.Type == TypeServiceAccount {
		return false, "", &Forbidden{fmt.Sprintf("%s asks for two people on each approval, and %s is a service account, which is none: ask two who review for %s", o.Name, u.Name, o.Name)}
	}
	open, err := r.openRequest(t.ID, o.ID)
	if err != nil {
		return false, "", err
	}
	if open == nil {
		latest, err := r.latest(t.ID, o.ID)
		if err != nil {
			return false, "", err
		}
		if open, err = r.openNext(o, t, latest, "review", ""); err != nil {
			return false, "", err
		}
	}
	mine := Vote{Person: who, Name: r.actor.Name, At: r.now, Grants: granted, Until: until, Expires: t.ExpiresAt, Comment: comment}
	q := *open
	q.Votes = slices.DeleteFunc(slices.Clone(open.Votes), func(v Vote) bool { return v.Person == who })
	for _, v := range q.Votes {
		if !v.agrees(&mine) {
			continue
		}
		stands, err := r.stands(o, t, v.Person, u)
		if err != nil {
			return false, "", err
		}
		if stands {
			agreed, names = true, v.Name+", "+mine.Name
		}
	}
	q.Votes = append(q.Votes, mine)
	r.putRequest(&q)
	r.change.Subject.RequestID = q.ID
	if !agreed {
		r.audit(o.ID, t.ID, map[string]any{"version": t.Version, "grants": len(granted), "vote": true})
		r.event("approval_voted", o.ID, t.ID, q.ID)
	}
	return agreed, names, nil
}

// agrees says whether two votes are for the same.
func (v *Vote) agrees(other *Vote) bool {
	return v.Until.Equal(other.Until) && v.Expires.Equal(other.Expires) && sameGrants(v.Grants, other.Grants)
}

func (r *rules) deny(c Deny) error {
	o, t, a, err := r.reviewed(c.Organization, c.Token, c.Version, c.Request, false)
	if err != nil {
		return err
	}
	if err := checkText("reason", c.Reason, maxText); err != nil {
		return err
	}
	open, err := r.openRequest(t.ID, o.ID)
	if err != nil {
		return err
	}
	if a.State == authz.StateDenied && a.Comment == c.Reason && open == nil {
		return nil
	}
	if err := r.settle(a, authz.StateDenied, nil, time.Time{}, c.Reason, r.actor.Name); err != nil {
		return err
	}
	r.audit(o.ID, t.ID, map[string]any{"version": t.Version, "reason": c.Reason})
	r.event("token_denied", o.ID, t.ID, r.change.Subject.RequestID)
	return nil
}

// notItself keeps a token from ending itself: whoever stole it could keep its
// owner from seeing what it did.
func (r *rules) notItself(id string) error {
	if r.actor.Token != "" && r.actor.Token == id {
		return &Forbidden{"a token does not revoke, suspend or disable itself: use another credential"}
	}
	return nil
}

func (r *rules) revoke(c RevokeToken) error {
	o, t, a, err := r.pair(c.Organization, c.Token)
	if err == nil {
		err = r.notItself(t.ID)
	}
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
	if err := r.settle(a, authz.StateRevoked, nil, time.Time{}, c.Comment, r.actor.Name); err != nil {
		return err
	}
	r.audit(o.ID, t.ID, map[string]any{"comment": c.Comment})
	r.event("token_revoked", o.ID, t.ID, "")
	return nil
}

func (r *rules) suspend(organization, token, comment string, suspended bool) error {
	o, t, a, err := r.pair(organization, token)
	if err == nil {
		err = r.notItself(t.ID)
	}
	if err != nil {
		return err
	}
	r.change.Subject = Subject{OrganizationID: o.ID, TokenID: t.ID}
	if !suspended { // to let a token go on is to decide on it
		if err := r.mayDecide(o, t, true); err != nil {
			return err
		}
	}
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
	r.putAuthorization(a)
	r.audit(o.ID, t.ID, map[string]any{"comment": comment})
	kind := "token_resumed"
	if suspended {
		kind = "token_suspended"
	}
	r.event(kind, o.ID, t.ID, "")
	return nil
}
