package inventory

import (
	"fmt"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// remindEvery is the least time between two reminders of one request.
const remindEvery = time.Hour

// onOpen finds the open request of a pair, as a copy to change.
func (r *rules) onOpen(organization, token string) (*Organization, *Token, *Request, error) {
	o, t, _, err := r.pair(organization, token)
	if err != nil {
		return nil, nil, nil, err
	}
	r.change.Subject = Subject{OrganizationID: o.ID, TokenID: t.ID}
	open, err := r.openRequest(t.ID, o.ID)
	if err != nil {
		return nil, nil, nil, err
	}
	if open == nil {
		return nil, nil, nil, &Conflict{Problem: "no request is open on this token"}
	}
	r.change.Subject.RequestID = open.ID
	q := *open
	return o, t, &q, nil
}

// byOwner says whether the owner of a token acts, or who answers for it.
func (r *rules) byOwner(o *Organization, t *Token) (bool, error) {
	if r.actor.Kind != "token" && r.actor.Kind != "console" {
		return false, nil
	}
	u, err := r.UserByName(Fold(r.actor.Name))
	if err != nil {
		return false, err
	}
	return r.answersFor(o, t, u)
}

// noted writes a request with one more note, and tells whom it concerns.
func (r *rules) noted(q *Request, kind, text, event string) {
	q.note(r, kind, text)
	r.putRequest(q)
	r.audit(q.OrganizationID, q.TokenID, map[string]any{"request": q.ID, kind: text})
	if event != "" {
		r.event(event, q.OrganizationID, q.TokenID, q.ID)
	}
}

func needText(field, text string) error {
	if text == "" {
		return &Invalid{field, "is missing"}
	}
	return checkText(field, text, maxText)
}

func (r *rules) askAgain(c AskAgain) error {
	if err := needText("purpose", c.Purpose); err != nil {
		return err
	}
	o, t, a, err := r.pair(c.Organization, c.Token)
	if err != nil {
		return err
	}
	r.change.Subject = Subject{OrganizationID: o.ID, TokenID: t.ID}
	latest, err := r.latest(t.ID, o.ID)
	if err != nil {
		return err
	}
	if latest != nil && latest.State == authz.RequestOpen {
		return r.givePurpose(o, t, latest, c.Purpose)
	}
	switch a.State {
	case authz.StateRevoked:
		return &Conflict{Problem: "the token was revoked for this organization, which is final"}
	case authz.StateDenied:
		if from := a.ChangedAt.Add(o.Cooldown()); r.now.Before(from) {
			return &Conflict{Problem: fmt.Sprintf("the token was denied at %s: its owner may ask again from %s on", a.ChangedAt.UTC().Format(time.RFC3339), from.UTC().Format(time.RFC3339))}
		}
	}
	needed, err := r.needsApproval(o, t, true)
	if err != nil {
		return err
	}
	if !needed {
		return &Conflict{Problem: "nothing is to be asked of " + o.Name + " for this token"}
	}
	q, err := r.openNext(o, t, latest, "owner", c.Purpose)
	if err != nil {
		return err
	}
	if q == nil {
		return &Conflict{Problem: fmt.Sprintf("%d requests of this owner are open already", MaxOpenPerOwner)}
	}
	r.change.Subject.RequestID = q.ID
	r.audit(o.ID, t.ID, map[string]any{"request": q.ID, "purpose": c.Purpose})
	return nil
}

// givePurpose tells on an open request what the token is for.
func (r *rules) givePurpose(o *Organization, t *Token, open *Request, purpose string) error {
	q := *open
	r.change.Subject.RequestID = q.ID
	if q.Purpose == purpose {
		return nil
	}
	q.Purpose, q.WaitsForOwner = purpose, false
	q.Recommendation = r.recommend(o, t, &q)
	r.noted(&q, "purpose", purpose, "approval_changed")
	return nil
}

func (r *rules) withdraw(c WithdrawRequest) error {
	if err := checkText("comment", c.Comment, maxText); err != nil {
		return err
	}
	o, t, q, err := r.onOpen(c.Organization, c.Token)
	if err != nil {
		return err
	}
	if err := r.closeRequest(t.ID, o.ID, authz.RequestWithdrawn, "", c.Comment); err != nil {
		return err
	}
	r.requests[[2]string{t.ID, o.ID}].ByOwner = true
	r.audit(o.ID, t.ID, map[string]any{"request": q.ID, "comment": c.Comment})
	return nil
}

func (r *rules) comment(c CommentRequest) error {
	if err := needText("comment", c.Comment); err != nil {
		return err
	}
	o, t, q, err := r.onOpen(c.Organization, c.Token)
	if err != nil {
		return err
	}
	owner, err := r.byOwner(o, t)
	if err != nil {
		return err
	}
	kind := "comment"
	if owner { // also where no question waits: the owner goes on seeing it
		kind, q.WaitsForOwner = "answer", false
	}
	r.noted(q, kind, c.Comment, "approval_changed")
	return nil
}

func (r *rules) askOwner(c AskOwner) error {
	if err := needText("question", c.Question); err != nil {
		return err
	}
	_, _, q, err := r.onOpen(c.Organization, c.Token)
	if err != nil {
		return err
	}
	q.WaitsForOwner = true
	r.noted(q, "question", c.Question, "owner_asked")
	return nil
}

func (r *rules) assign(c AssignRequest) error {
	if err := checkText("assignee", c.Assignee, maxText); err != nil { // a problem quotes it
		return err
	}
	o, t, q, err := r.onOpen(c.Organization, c.Token)
	if err != nil {
		return err
	}
	name := Fold(c.Assignee)
	if name == q.Assignee {
		return nil
	}
	if name != "" {
		u, err := r.UserByName(name)
		if err != nil {
			return err
		}
		if u == nil {
			return &Invalid{"assignee", fmt.Sprintf("the user %q does not exist", c.Assignee)}
		}
		periods, err := r.Periods(o.ID, u.ID)
		if err != nil {
			return err
		}
		now := present(periods)
		if now == nil || now.Role != "admin" && (now.Role != "reviewer" || q.Escalated) {
			return &Invalid{"assignee", name + " may not decide it: neither administrator nor, unless it was escalated, reviewer of " + o.Name}
		}
		if u.ID == t.OwnerID {
			return &Invalid{"assignee", name + " owns the token"}
		}
		if owner, err := r.sameBehind(o, t, u); err != nil {
			return err
		} else if o.FourEyes() && (owner != "" || u.Type != TypePerson) {
			return &Invalid{"assignee", name + " does not count as one of the two people whom " + o.Name + " asks for"}
		}
	}
	q.Assignee = name
	r.noted(q, "assigned", name, "approval_assigned")
	return nil
}

func (r *rules) remind(c RemindRequest) error {
	_, _, q, err := r.onOpen(c.Organization, c.Token)
	if err != nil {
		return err
	}
	if next := q.RemindedAt.Add(remindEvery); r.now.Before(next) {
		return &Conflict{Problem: "a reminder was sent at " + q.RemindedAt.UTC().Format(time.RFC3339) + ": the next one may go out an hour later"}
	}
	q.RemindedAt = r.now
	r.noted(q, "reminded", "", "approval_reminder")
	return nil
}

func (r *rules) escalate(c EscalateRequest) error {
	if err := checkText("comment", c.Comment, maxText); err != nil {
		return err
	}
	o, _, q, err := r.onOpen(c.Organization, c.Token)
	if err != nil || q.Escalated {
		return err
	}
	q.Escalated = true
	if q.Assignee != "" { // a reviewer can no longer decide it
		u, err := r.UserByName(q.Assignee)
		if err != nil {
			return err
		}
		if u != nil {
			periods, err := r.Periods(o.ID, u.ID)
			if err != nil {
				return err
			}
			if now := present(periods); now == nil || now.Role != "admin" {
				q.Assignee = ""
			}
		}
	}
	r.noted(q, "escalated", c.Comment, "approval_escalated")
	return nil
}
