package usage_test

import (
	"reflect"
	"testing"

	"github.com/patrol-authz/patrol/authz/usage"
)

// TestAnOwnerIsToldWhatConcernsThem: their own words and answers, decisions and
// questions; not what reviewers say among themselves, nor who voted.
func TestAnOwnerIsToldWhatConcernsThem(t *testing.T) {
	audit := func(what, by string, details map[string]any) usage.Event {
		return usage.Event{Kind: usage.EventAudit, What: what, By: by, Details: details}
	}
	kept := []usage.Event{
		audit("approval.comment", "ci", map[string]any{"answer": "It deploys"}),
		audit("approval.comment", "bob", map[string]any{"answer": "he answers for it"}),
		audit("approval.question", "alice", map[string]any{"question": "What for?"}),
		audit("approval.deny", "alice", map[string]any{"reason": "no"}),
		{Kind: usage.EventRequest, What: "opened", Text: "by hit"},
		{Kind: usage.EventFinding, What: "no_expiry"},
	}
	events := append([]usage.Event{
		audit("approval.comment", "alice", map[string]any{"comment": "do we trust it?"}),
		audit("approval.assign", "alice", map[string]any{"assigned": "rita"}),
		audit("approval.escalate", "rita", map[string]any{"escalated": "too much"}),
		audit("approval.remind", "system", nil),
		audit("notify.unreachable", "system", nil),
		audit("approval.approve", "alice", map[string]any{"vote": true}),
	}, kept...)
	if got := usage.ForOwner(events, "ci"); !reflect.DeepEqual(got, kept) {
		t.Errorf("told is %+v", got)
	}
	got := usage.ForOwner([]usage.Event{audit("approval.approve", "alice", map[string]any{"people": []any{"alice", "rita"}, "until": "2027-01-01T00:00:00Z"}), audit("token.rotate", "policy", map[string]any{"rule": "x"})}, "ci")
	want := []usage.Event{audit("approval.approve", "alice", map[string]any{"until": "2027-01-01T00:00:00Z"}), audit("token.rotate", "policy", nil)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("told is %+v", got)
	}
}
