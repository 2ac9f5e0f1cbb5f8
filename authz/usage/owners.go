package usage

import "slices"

// amongReviewers are changes that owners are not told of, and amongDetails parts
// of others.
var (
	amongReviewers = []string{"notify.unreachable", "approval.comment", "approval.assign", "approval.escalate", "approval.remind"}
	amongDetails   = []string{"people", "vote", "votes", "recommendation", "rule", "rules", "why"}
)

// ForOwner is what happened to a token, as far as its owner, by name, is told: not
// what reviewers say among themselves, who has voted, whose turn it is and what the
// rules recommend.
func ForOwner(events []Event, owner string) []Event {
	out := make([]Event, 0, len(events))
	for _, e := range events {
		if e.Kind != EventAudit || e.By == owner {
			out = append(out, e)
			continue
		}
		answered := e.Details["answer"] != nil // by who answers for the owner
		if slices.Contains(amongReviewers, e.What) && !answered || e.Details["vote"] != nil {
			continue
		}
		details := map[string]any{}
		for k, v := range e.Details {
			if !slices.Contains(amongDetails, k) {
				details[k] = v
			}
		}
		if e.Details = details; len(details) == 0 {
			e.Details = nil
		}
		out = append(out, e)
	}
	return out
}
