package console

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/usage"
)

func TestNumbersAndSpansAreForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := number(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for span, want := range map[time.Duration]string{
		-time.Hour: "1 minute", 0: "1 minute", 2 * time.Minute: "2 minutes", time.Hour: "1 hour", 23 * time.Hour: "23 hours", 24 * time.Hour: "1 day", 80 * time.Hour: "3 days",
	} {
		if got := ago(now, now.Add(-span)); got != want {
			t.Errorf("%s is %q, want %q", span, got, want)
		}
	}
}

// sentenceOf are details in a row.
func sentenceOf(said []detail) string {
	parts := make([]string, len(said))
	for i, d := range said {
		parts[i] = d.Label + ": " + d.Value
	}
	return strings.Join(parts, "; ")
}

// TestATimelineIsInWords: what was said and until when, no counts and no ids;
// usage is left to the chart.
func TestATimelineIsInWords(t *testing.T) {
	events := []usage.Event{
		{Kind: usage.EventAudit, What: "approval.approve", Text: "fine", Details: map[string]any{"version": 3.0, "grants": 1.0, "comment": "fine", "until": "2026-09-01T00:00:00Z"}},
		{Kind: usage.EventAudit, What: "approval.approve", Details: map[string]any{"vote": true}},
		{Kind: usage.EventAudit, What: "approval.assign", Details: map[string]any{"request": "1-2", "assigned": "rita"}},
		{Kind: usage.EventAudit, What: "approval.escalate", Details: map[string]any{"escalated": "too broad for me"}},
		{Kind: usage.EventAudit, What: "approval.deny", Text: "said with it", Details: map[string]any{"version": 3.0, "reason": "no"}},
		{Kind: usage.EventAudit, What: "local.unheard_of"},
		{Kind: usage.EventRequest, What: "opened", Text: "by hit"},
		{Kind: usage.EventRequest, What: "withdrawn"},
		{Kind: usage.EventFinding, What: "no_expiry", Text: "It never expires"},
		{Kind: usage.EventFinding, What: "once_looked_for"},
		{Kind: usage.EventUsage, What: "allowed"},
	}
	want := [][2]string{
		{"approved", "comment: fine; until: 2026-09-01 00:00 UTC"},
		{"voted to approve", ""},
		{"assigned", "to: rita"},
		{"left to administrators", "why: too broad for me"},
		{"denied", "comment: said with it; reason: no"},
		{"local.unheard_of", ""},
		{"asked for", "at its first use"},
		{"withdrawn", ""},
		{"No expiry", "It never expires"},
		{"once looked for", ""},
	}
	got := told(events, map[string]string{"no_expiry": "No expiry"})
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if words := got[i].Words + sentenceOf(got[i].Said); got[i].What != want[i][0] || words != want[i][1] {
			t.Errorf("%q, %q; want %q", got[i].What, words, want[i])
		}
	}
}

func TestDetailsOfTheAuditLogAreForPeople(t *testing.T) {
	for want, v := range map[string]any{
		"asked 31, mode ask": map[string]any{"mode": "ask", "asked": 31.0}, "a, b": []any{"a", "b"}, "2026-09-01 10:30 UTC": "2026-09-01T10:30:00Z",
		"1500000": 1500000.0, "true": true, "plain": "plain",
	} {
		if got := valueWords(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

// TestEveryActionOfTheAuditLogIsInWords: a new command needs words here.
func TestEveryActionOfTheAuditLogIsInWords(t *testing.T) {
	source, err := os.ReadFile("../../inventory/commands.go")
	if err != nil {
		t.Fatal(err)
	}
	actions := regexp.MustCompile(`Action\(\) string +\{ return "([a-z_.]+)" \}`).FindAllStringSubmatch(string(source), -1)
	if len(actions) < 25 {
		t.Fatalf("only %d actions were found", len(actions))
	}
	for _, a := range actions {
		if words := actionWords(a[1], nil); strings.ContainsAny(words, "._") {
			t.Errorf("%s is told as %q", a[1], words)
		}
	}
}

// TestAnEntryOfTheAuditLogIsInWords: token policies by their titles, settings as
// their page has them.
func TestAnEntryOfTheAuditLogIsInWords(t *testing.T) {
	titles := map[string]string{"only_fine_grained_tokens": "Only fine-grained"}
	for want, details := range map[string]map[string]any{
		"before: allow; now: Only fine-grained": {"from": "allow", "to": "only_fine_grained_tokens"},
		"approvals need two people: no; greatest age in days: 30; a refused token on a public route: as the bundle has it; own: taken back": {
			"settings": map[string]any{"four_eyes": false, "max_token_age_days": 30.0, "public_read": nil, "own": nil},
		},
		"review rules that decide: read_only renewal": {"settings": map[string]any{"review_act": []any{"read_only", "renewal"}}},
		"grants: 2; version: 3":                       {"vote": true, "version": 3.0, "grants": 2.0, "comment": ""},
	} {
		got := sentenceOf(detailsOf(details, titles))
		if got != want {
			t.Errorf("%v is %q, want %q", details, got, want)
		}
	}
}

// TestWhereNobodyDecidedThePolicySpeaks: the listing says what it decides; where
// somebody has decided, it says that.
func TestWhereNobodyDecidedThePolicySpeaks(t *testing.T) {
	p := &present{catalogue: authz.Catalogue{"lifetime_exceeded": {Title: "Lifetime exceeded"}, "exception": {Title: "Allowed by an exception"}}}
	for _, c := range []struct {
		status string
		judged preview.Judged
		want   string
	}{
		{"none", preview.Judged{Allowed: true, Reason: "allowed"}, "authorized by policy"},
		{"none", preview.Judged{Allowed: true, Reason: "admin_created"}, "made by an administrator"},
		{"none", preview.Judged{Allowed: true, Reason: "exception", Reasons: []string{"token_type_not_allowed"}}, "allowed by an exception"},
		{"none", preview.Judged{Reason: "token_type_not_allowed"}, "unauthorized by policy"},
		{"none", preview.Judged{Reason: "approval_pending"}, "needs an approval"},
		{"none", preview.Judged{Reason: "lifetime_exceeded"}, "refused: lifetime exceeded"},
		{"denied", preview.Judged{Allowed: true, Reason: "allowed"}, "denied"},
		{"pending", preview.Judged{Reason: "approval_pending"}, "pending"},
	} {
		row := &inventory.TokenRow{Authorization: &inventory.AuthorizationRow{Status: c.status}}
		if got := byPolicy(row, &preview.Standing{Judged: c.judged}, p); got != c.want {
			t.Errorf("%s, %s: it is %q, want %q", c.status, c.judged.Reason, got, c.want)
		}
	}
	gone := &inventory.TokenRow{Authorization: &inventory.AuthorizationRow{Status: "none"}}
	if got := byPolicy(gone, nil, p); got != "not decided on" {
		t.Errorf("of one that is not judged: %q", got)
	}
}

func TestFindingsThatAreOffered(t *testing.T) {
	kinds := []authz.FindingKind{
		{Name: "unused", Title: "Unused", Severity: "low"},
		{Name: "no_expiry", Title: "No expiry", Severity: "medium"},
		{Name: "owner_gone", Title: "Owner gone", Severity: "high"},
		{Name: "many_networks", Title: "Many networks", Severity: "high", Off: true},
	}
	counts := []hygiene.Count{{Finding: "unused", Severity: "low", Tokens: 7}, {Finding: "of_old", Severity: "medium", Title: "Of old", Tokens: 2}}
	got := findingChoices(kinds, counts, "gone_long_ago")
	want := []choice{
		{"owner_gone", "Owner gone (0)"}, {"no_expiry", "No expiry (0)"}, {"of_old", "Of old (2)"}, {"unused", "Unused (7)"}, {"gone_long_ago", "gone long ago (0)"},
	}
	if len(got) != len(want) {
		t.Fatalf("offered are %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("offered is %q, want %q", got[i], want[i])
		}
	}
}
