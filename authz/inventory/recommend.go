package inventory

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Recommender is what Policies may also be: it asks the review rules of the
// active bundle what they say of a request.
type Recommender interface {
	Recommend(ReviewFacts) (*Recommendation, error)
}

// ReviewFacts are what the review rules judge.
type ReviewFacts struct {
	Now          time.Time
	Organization *Organization
	Token        *Token
	Owner        *User   // nil where it is unknown
	Membership   *Period // nil where the owner is no member
	// Authorization is what holds now; nil where nothing was decided.
	Authorization *Authorization
	Request       *Request
}

// maxRecommended is how many requests of one command get a recommendation when
// they are opened. That of the others is made when they are shown, and the
// policy does not act on them.
const maxRecommended = 1000

// recommend asks the review rules. That they fail is a recommendation too: that
// a person looks.
func (r *rules) recommend(o *Organization, t *Token, q *Request) *Recommendation {
	rules, ok := r.policies.(Recommender)
	if !ok || len(r.change.Records.Requests) >= maxRecommended {
		return nil
	}
	f := ReviewFacts{Now: r.now, Organization: o, Token: t, Request: q}
	err := r.reviewFacts(&f)
	var out *Recommendation
	if err == nil {
		out, err = rules.Recommend(f)
	}
	if err != nil || out == nil {
		out = &Recommendation{Action: RecommendEscalate, Reasons: []RecommendationReason{{"error", RecommendEscalate, "the review rules could not be evaluated"}}}
	}
	out.At = r.now
	return out
}

func (r *rules) reviewFacts(f *ReviewFacts) error {
	periods, err := r.periods(f.Organization.ID, f.Token.OwnerID)
	if err != nil {
		return err
	}
	f.Membership = present(periods)
	if f.Authorization, err = r.authorization(f.Token.ID, f.Organization.ID); err != nil {
		return err
	}
	f.Owner, err = r.UserByID(f.Token.OwnerID)
	return err
}

// act lets the policy decide on a request by itself, where the organization
// wants that for one of the rules that recommend it. It is no person: where
// approvals need two, it gives none.
func (r *rules) act(o *Organization, t *Token, q *Request) error {
	rec := q.Recommendation
	if rec.Action != RecommendApprove && rec.Action != RecommendDeny || rec.Action == RecommendApprove && o.FourEyes() {
		return nil
	}
	rule := ""
	for _, reason := range rec.Reasons {
		if reason.Action == rec.Action && o.ActsOn(reason.Rule) {
			rule = reason.Rule
			break
		}
	}
	if rule == "" {
		return nil
	}
	a, err := r.authorization(t.ID, o.ID)
	if err != nil {
		return err
	}
	if a == nil {
		a = &Authorization{TokenID: t.ID, OrganizationID: o.ID, State: authz.StateNone}
	}
	// Where somebody has decided, somebody has to decide again.
	if a.Suspended || a.State != authz.StateNone && (a.State != authz.StateApproved || !ended(a.ExpiresAt, r.now)) {
		return nil
	}
	copied := *a
	who := Actor{Kind: "policy", Name: rule + "@" + rec.Revision}
	entry := &AuditEntry{Actor: who, OrganizationID: o.ID, TokenID: t.ID, Details: map[string]any{"request": q.ID, "rule": rule, "revision": rec.Revision, "version": t.Version}}
	if rec.Action == RecommendDeny {
		entry.Action = Deny{}.Action()
		err = r.settle(&copied, authz.StateDenied, nil, time.Time{}, why(rec, rule), who.Name)
		r.event("token_denied", o.ID, t.ID, q.ID)
	} else {
		var until time.Time
		if rec.UntilDays > 0 {
			until = wholeSeconds(r.now.AddDate(0, 0, rec.UntilDays))
		}
		entry.Action = Approve{}.Action()
		err = r.settle(&copied, authz.StateApproved, t.On(o.ID), until, why(rec, rule), who.Name)
		r.event("token_approved", o.ID, t.ID, q.ID)
	}
	r.change.Also = append(r.change.Also, entry)
	return err
}

func why(rec *Recommendation, rule string) string {
	for _, reason := range rec.Reasons {
		if reason.Rule == rule {
			return reason.Why
		}
	}
	return ""
}
