package inventory

import (
	"fmt"
	"reflect"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

func (r *rules) updateToken(c UpdateToken) error {
	before, err := r.token(c.Token)
	if err != nil {
		return err
	}
	r.change.Subject.TokenID = before.ID
	t := *before
	if err := r.updated(&t, c); err != nil {
		return err
	}
	if sameDescription(before, &t) {
		return nil
	}
	t.Version++
	r.changeToken(before, &t)
	details := map[string]any{"version": t.Version}
	if added := told(Beyond(before.Grants, t.Grants)); len(added) > 0 {
		details["added"] = added
	}
	if removed := told(Beyond(t.Grants, before.Grants)); len(removed) > 0 {
		details["removed"] = removed
	}
	r.audit("", t.ID, details)
	return r.afterUpdate(before, &t, "update")
}

// updated fills in what the command changes, and checks the whole.
func (r *rules) updated(t *Token, c UpdateToken) error {
	if c.DisplayName != nil {
		t.DisplayName = *c.DisplayName
	}
	if c.Purpose != nil {
		t.Purpose = *c.Purpose
	}
	if c.Contact != nil {
		t.Contact = *c.Contact
	}
	if c.Global != nil {
		if err := ofElsewhere(t, "global", "is not changed here"); err != nil {
			return err
		}
		t.Global = *c.Global
	}
	if c.ExpiresAt != nil {
		if t.ExpiresAt = wholeSeconds(*c.ExpiresAt); !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(r.now) {
			return &Invalid{"expires_at", "lies in the past"}
		}
	}
	if err := checkDescription(t.DisplayName, t.Purpose, t.Contact); err != nil {
		return err
	}
	if c.Grants == nil {
		return nil
	}
	err := ofElsewhere(t, "grants", "are not changed here")
	if err == nil {
		t.Grants, err = r.grants(t.Kind, *c.Grants)
	}
	return err
}

func checkDescription(name, purpose, contact string) error {
	if err := checkText("display_name", name, 200); err != nil {
		return err
	}
	if name == "" {
		return &Invalid{"display_name", "is missing"}
	}
	if err := checkText("purpose", purpose, maxText); err != nil {
		return err
	}
	return checkText("contact", contact, 254)
}

func sameDescription(a, b *Token) bool {
	return a.DisplayName == b.DisplayName && a.Last4 == b.Last4 && a.Kind == b.Kind && a.Purpose == b.Purpose && a.Contact == b.Contact &&
		a.ExpiresAt.Equal(b.ExpiresAt) && a.Deleted == b.Deleted && reflect.DeepEqual(a.Grants, b.Grants) &&
		len(a.Global) == len(b.Global) && (len(a.Global) == 0 || reflect.DeepEqual(a.Global, b.Global))
}

// afterUpdate sees to what a change of a token means to each organization that
// it reaches or did reach: more than was approved is asked for, what is asked
// no more is withdrawn, and a request that is open asks for what there is now.
func (r *rules) afterUpdate(before, after *Token, by string) error {
	reached := after.Namespaces()
	for _, id := range before.Namespaces() {
		if len(after.On(id)) == 0 {
			reached = append(reached, id)
		}
	}
	for _, id := range reached {
		o, err := r.OrganizationByID(id)
		if err != nil {
			return err
		}
		if o == nil || o.Deleted {
			continue
		}
		if err := r.boundApproval(o, before, after); err != nil {
			return err
		}
		if err := r.refresh(o, before, after, by); err != nil {
			return err
		}
	}
	return nil
}

// boundApproval ends an approval where the token would have ended when it was
// reviewed: a longer life was reviewed by nobody.
func (r *rules) boundApproval(o *Organization, before, after *Token) error {
	end := before.ExpiresAt
	if end.IsZero() || !after.ExpiresAt.IsZero() && !after.ExpiresAt.After(end) {
		return nil
	}
	a, err := r.authorization(after.ID, o.ID)
	if err != nil || a == nil || a.State != authz.StateApproved || !a.ExpiresAt.IsZero() && !a.ExpiresAt.After(end) {
		return err
	}
	bounded := *a
	bounded.ExpiresAt = end
	r.putAuthorization(&bounded)
	return nil
}

// refresh opens, renews or withdraws the request on a token that has changed.
func (r *rules) refresh(o *Organization, before, after *Token, by string) error {
	differences := Differences(o.ID, before.Reviewable(), after.Reviewable())
	open, err := r.openRequest(after.ID, o.ID)
	if err != nil {
		return err
	}
	if open == nil {
		if len(differences) == 0 {
			_, err = r.open(o, after, by, false) // a token that comes back asks like a new one
			return err
		}
		_, err = r.open(o, after, by, true)
		return err
	}
	needed, err := r.needsApproval(o, after, true)
	switch {
	case err != nil || len(differences) == 0:
		return err
	case !needed:
		return r.closeRequest(after.ID, o.ID, authz.RequestWithdrawn, "", "the token asks for no more than it may")
	}
	q := *open
	q.Grants, q.Version, q.Votes = after.On(o.ID), after.Version, nil
	q.note(r, "changed", fmt.Sprint(differences))
	q.Recommendation = r.recommend(o, after, &q)
	r.putRequest(&q)
	r.event("approval_changed", o.ID, after.ID, q.ID)
	return nil
}

// note adds to a request's thread. Of a very long one the oldest go.
func (q *Request) note(r *rules, kind, text string) {
	notes := append(append([]Note(nil), q.Notes...), Note{At: r.now, By: r.actor.Name, Kind: kind, Text: text})
	q.Notes = notes[max(0, len(notes)-maxNotes):]
}

const maxNotes = 100

// ended says whether an end, if there is one, has come.
func ended(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }
