package console

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// What a decision came to. Under four eyes an approval is a vote, until another
// person has approved the same.
const (
	didApprove = "approved"
	didDeny    = "denied"
	didVote    = "voted"
	didDiffer  = "differs"
	didInVain  = "approved-suspended"
)

// came says what a decision came to.
func came(decision string, r *inventory.Result) string {
	switch q := r.Approval; {
	case decision == "deny":
		return didDeny
	case q != nil && q.DecidedAt == nil && len(q.Votes) > 1:
		return didDiffer
	case q != nil && q.DecidedAt == nil:
		return didVote
	case r.Token != nil && r.Token.Authorization != nil && r.Token.Authorization.Suspended:
		return didInVain
	}
	return didApprove
}

// cameWords say what a decision on one of several came to.
var cameWords = map[string]string{
	didApprove: "approved", didDeny: "denied", didVote: "your vote is counted: one more person has to approve the same",
	didDiffer: "your vote is counted, but the other one is for something else", didInVain: "approved; it stays suspended until it is resumed",
}

// votes are a caller's own vote on a request, nil where there is none, and those
// of others.
func votes(q *inventory.ApprovalRow, who inventory.Actor) (own *inventory.Vote, others []inventory.Vote) {
	if q == nil {
		return nil, nil
	}
	for i := range q.Votes {
		if me := who.Person(); me != "" && q.Votes[i].Person == me {
			own = &q.Votes[i]
		} else {
			others = append(others, q.Votes[i])
		}
	}
	return own, others
}

// preset is a choice of how long an approval lasts. Its value is a number of
// days, "none", "date", or a moment that somebody voted for (RFC 3339).
type preset struct {
	Value, Words string
	Days         int
}

var presets = []preset{
	{"30", "30 days", 30},
	{"90", "90 days", 90},
	{"365", "a year", 365},
	{"none", "without an end", 0},
	{"date", "until", 0},
}

// begin is the form as it is shown first. Two people have to approve the same:
// the second is offered what the first approved.
func begin(row *inventory.TokenRow, who inventory.Actor) form {
	f := form{Until: proposed(row), Version: row.Version, Request: openRequest(row), Assignee: assigned(row), Problem: map[string]string{}}
	if row.Authorization == nil || row.Authorization.Request == nil || f.Request == "" {
		return f
	}
	own, others := votes(row.Authorization.Request, who)
	if len(others) > 0 {
		own = &others[len(others)-1]
	}
	if own == nil {
		return f
	}
	f.Until, f.Chosen = untilOf(own.Until), map[string]bool{}
	for _, g := range row.Grants {
		for _, p := range g.Permissions {
			f.Chosen[tick(g.Entity, p)] = inventory.Covers(own.Grants, []authz.Grant{{Entity: g.Entity, Permissions: []string{p}}})
		}
	}
	return f
}

// tick names a permission on an entity in a form: also when what the token asks
// for has changed, what was ticked for one thing is not ticked for another.
func tick(e authz.Entity, permission string) string { return e.Type + " " + e.Name + " " + permission }

// untilOf is the choice of an end.
func untilOf(until time.Time) string {
	if until.IsZero() {
		return "none"
	}
	return until.UTC().Format(time.RFC3339)
}

// Presets are the choices of how long an approval lasts: also what was voted for.
func (f form) Presets() []preset {
	if at, err := time.Parse(time.RFC3339, f.Until); err == nil {
		return append([]preset{{Value: f.Until, Words: "until " + dayOf(at) + ", as it was approved"}}, presets...)
	}
	return presets
}

// voteWords is what somebody approved, in words.
func voteWords(v inventory.Vote, asked []authz.Grant) string {
	words := v.Name + " without an end"
	if !v.Until.IsZero() {
		words = v.Name + " until " + dayOf(v.Until)
	}
	if !inventory.Covers(v.Grants, asked) {
		words += " for a part of it"
	}
	return words
}

// votedOn says whether what a page shows was approved by its reader, and waits
// for another person.
func votedOn(row *inventory.TokenRow, who inventory.Actor) bool {
	if row.Authorization == nil || openRequest(row) == "" {
		return false
	}
	own, _ := votes(row.Authorization.Request, who)
	return own != nil
}
