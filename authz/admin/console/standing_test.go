package console

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
)

// TestAnOwnerReadsHowATokenStands, by what the policy decided: one sentence for each
// reason, which names the organization and what can be done.
func TestAnOwnerReadsHowATokenStands(t *testing.T) {
	now := time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)
	before, after, week := now.Add(-time.Hour), now.AddDate(0, 1, 0), now.AddDate(0, 0, -7)
	asked := func(state string, notes ...inventory.Note) *inventory.ApprovalRow {
		return &inventory.ApprovalRow{State: state, OpenedAt: before, WaitsForOwner: len(notes) > 0, Notes: notes}
	}
	question := inventory.Note{Kind: "question", By: "alice", Text: "Which job?", At: before}
	type change func(*inventory.TokenRow, *present)
	of := func(status string) change {
		return func(r *inventory.TokenRow, _ *present) {
			r.Authorization.Status, r.Authorization.ChangedAt = status, &before
		}
	}
	request := func(q *inventory.ApprovalRow) change {
		return func(r *inventory.TokenRow, _ *present) { r.Authorization.Request = q }
	}
	setting := func(name string, value any) change {
		return func(_ *inventory.TokenRow, p *present) { p.organization.Settings = map[string]any{name: value} }
	}
	write := func(r *inventory.TokenRow, _ *present) { r.Kind, r.Grants = authz.KindWrite, nil }
	until := func(r *inventory.TokenRow, _ *present) { r.Authorization.ExpiresAt = &after }
	comment := func(r *inventory.TokenRow, _ *present) { r.Authorization.Comment = "Less would do" }
	own := func(_ *inventory.TokenRow, p *present) {
		p.policy = &authz.TokenPolicy{Title: "Ours", Unscoped: "Unauthorized", FineGrained: "Authorized on weekdays"}
	}
	decided := asked(authz.RequestDecided)
	decided.DecidedAt, decided.Decision, decided.Comment = &week, authz.StateApproved, "For the release"

	// How the policy decided.
	no := func(reasons ...string) preview.Judged {
		return preview.Judged{Reason: reasons[0], Reasons: reasons, Message: "What clients are told"}
	}
	yes := func(reason string) preview.Judged { return preview.Judged{Allowed: true, Reason: reason} }
	though := func(reason string, waived ...string) preview.Judged {
		return preview.Judged{Allowed: true, Reason: reason, Reasons: waived, Message: "What clients would be told"}
	}
	until7 := func(next string) preview.Judged {
		return preview.Judged{Allowed: true, Reason: authz.ReasonGracePeriod, Next: []string{next}}
	}
	pending, denied := no("approval_pending", "insufficient_permission"), no("approval_denied")
	for _, c := range []struct {
		name                   string
		judged                 preview.Judged
		changes                []change
		words, tone, says, ask string
		reason                 string
	}{
		{"disabled", no("token_unknown"), []change{of("approved"), comment}, "disabled everywhere", "bad", "Who operates patrol", askNothing, ""},
		{"expired", no("token_expired"), []change{of("approved"), func(r *inventory.TokenRow, _ *present) { r.ExpiresAt = &before }}, "expired", "bad", "expired on 2026-06-10 11:00 UTC", askNothing, ""},
		{"revoked", no("token_revoked"), []change{of("revoked"), comment}, "revoked", "bad", "acme revoked it on 2026-06-10 11:00 UTC, for ever", askNothing, "Less would do"},
		{"of who has left", no("owner_not_member"), []change{of("approved"), comment}, "refused: dora is no member", "bad", "dora is no member of acme. It is refused there", askNothing, ""},
		{"suspended", no("token_suspended"), []change{of("suspended"), comment}, "suspended", "stopped", "until they resume it", askNothing, "Less would do"},
		{"unscoped", no("token_type_not_allowed"), []change{write}, "refused by the token policy", "bad", "“Approval”, does not authorize write, unscoped tokens. It is refused there. A fine-grained token with grants on acme", askNothing, ""},
		{"unscoped, observed", though("observed", "token_type_not_allowed"), []change{write}, "works while acme observes", "waiting", "as long as acme only observes", askNothing, ""},
		{"unscoped, excepted", though("exception", "token_type_not_allowed"), []change{write}, "works by an exception", "waiting", "An exception in the policy lets it in", askNothing, ""},
		{"unscoped, let in by a rule of the bundle", though("night_shift", "token_type_not_allowed"), []change{write}, "works all the same", "waiting", "does not authorize write, unscoped tokens. It is let in all the same: night shift.", askNothing, ""},
		{"unscoped, where no policy is known any more", no("token_type_not_allowed"), []change{write, func(_ *inventory.TokenRow, p *present) { p.policy = nil }}, "refused by the token policy", "bad", "The token policy of acme does not authorize write", askNothing, ""},
		{"unscoped, until a day that was taken back", until7("token_type_not_allowed"), []change{write, func(_ *inventory.TokenRow, p *present) { p.next, p.organization.EnforceAt = nil, nil }}, "works", "good", "let in at present", askNothing, ""},
		{"pending, let in by a rule of the bundle", though("night_shift", "approval_pending"), []change{of("pending"), request(asked("open"))}, "waits for an approval", "waiting", "works all the same: night shift", askPurpose, ""},
		{"unscoped, allowed", yes("allowed"), []change{write}, "works", "good", "let in at present", askNothing, ""},
		{"unscoped, until a day", until7("token_type_not_allowed"), []change{write}, "works until 2026-07-10", "waiting", "refused from 2026-07-10 on. The token policy of acme, “Only fine-grained”, does not", askNothing, ""},
		{"without a grant", no("no_grant"), nil, "refused: no grant", "bad", "no grant on acme", askNothing, ""},
		{"older than it may be", no("lifetime_exceeded"), []change{setting(inventory.SettingAge, 5.0)}, "refused: lives too long", "bad", "acme lets in tokens that are at most 5 days old. It is refused there", askNothing, ""},
		{"that ends too late", no("lifetime_exceeded"), []change{setting(inventory.SettingLifetime, 1.0)}, "refused: lives too long", "bad", "that end within 1 day.", askNothing, ""},
		{"that the bundle's own limit is against", no("lifetime_exceeded"), nil, "refused: lives too long", "bad", "What clients are told. It is refused there", askNothing, ""},
		{"that a rule is against which nobody here knows", no("late_at_night"), nil, "refused: no work at night", "bad", "What clients are told. It is refused there. This was judged without a request", askNothing, ""},
		{"of which neither may do what it is for", no("insufficient_permission"), nil, "refused: insufficient permission", "bad", "What clients are told. It is refused there.", askNothing, ""},
		{"that cannot be judged", preview.Judged{Reason: authz.ReasonPolicyError}, nil, "cannot be judged", "bad", "finds the cause in the log", askNothing, ""},
		{"approved, suspended and resumed since", yes("approved"), []change{of("approved"), request(decided)}, "approved", "good", "acme approved it on 2026-06-03 12:00 UTC", askNothing, "For the release"},
		{"denied, under a policy that does not ask", yes("allowed"), []change{of("denied"), comment}, "works", "good", "", askNothing, ""},
		{"pending", pending, []change{of("pending"), request(asked("open"))}, "waits for an approval", "waiting", "asked on 2026-06-10 11:00 UTC to approve it. Until it is approved it is refused there", askPurpose, ""},
		{"pending, observed", though("observed", "approval_pending"), []change{of("pending"), request(asked("open"))}, "waits for an approval", "waiting", "works all the same as long as acme only observes", askPurpose, ""},
		{"pending, excepted", though("exception", "approval_pending"), []change{of("pending"), request(asked("open"))}, "waits for an approval", "waiting", "works all the same by an exception", askPurpose, ""},
		{"pending before the day", until7("approval_pending"), []change{of("pending"), request(asked("open"))}, "waits for an approval", "waiting", "From 2026-07-10 on it is refused there without an approval", askPurpose, ""},
		{"asked something", pending, []change{of("pending"), request(asked("open", question))}, "waits for an answer", "waiting", "", askPurpose, ""},
		{"frozen", yes("allowed"), []change{of("pending_frozen"), request(asked("frozen"))}, "works", "good", "let in at present", askNothing, ""},
		{"denied", denied, []change{of("denied"), comment, setting(inventory.SettingCooldown, 0.0)}, "denied", "bad", "acme denied it on 2026-06-10 11:00 UTC. It is refused there; elsewhere it goes on", askAnew, "Less would do"},
		{"denied, and asked again", denied, []change{of("denied"), request(asked("open"))}, "denied, asked again", "waiting", "asked again on 2026-06-10 11:00 UTC", askPurpose, ""},
		{"denied just now", denied, []change{of("denied")}, "denied", "bad", "denied it", askAnew, ""},
		{"approved until", yes("approved"), []change{of("approved"), until}, "approved until 2026-07-10", "good", "ends on 2026-07-10 12:00 UTC", askNothing, ""},
		{"widened since", yes("approved"), []change{of("approved"), request(asked("open"))}, "approved, more is asked", "good", "beyond that", askPurpose, ""},
		{"an approval ended", pending, []change{of("approval_ended")}, "approval ended", "waiting", "approved again", askAnew, ""},
		{"withdrawn", pending, []change{of("none"), request(asked("withdrawn"))}, "needs an approval", "waiting", "nobody was asked", askFirst, ""},
		{"made by an administrator", yes("admin_created"), []change{of("none")}, "works: made by an administrator", "good", "needs no approval", askNothing, ""},
		{"by an operator's policy", yes("allowed"), []change{own}, "works", "good", "let in at present. The token policy of acme, “Ours”, says of fine-grained tokens: authorized on weekdays", askNothing, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := &inventory.TokenRow{ID: "1", Owner: "dora", Kind: authz.KindFineGrained, Organization: "acme", Grants: []authz.Grant{{}}, Authorization: &inventory.AuthorizationRow{Status: "none"}}
			p := &present{
				now: now, organization: &inventory.OrganizationRow{Name: "acme", EnforceAt: &after},
				catalogue: authz.Catalogue{"late_at_night": {Title: "No work at night"}, "insufficient_permission": {Title: "Insufficient permission"}},
				policy:    &authz.TokenPolicy{Title: "Approval", Unscoped: "Unauthorized", FineGrained: "Unauthorized without an approval"},
				next:      &authz.TokenPolicy{Title: "Only fine-grained", Unscoped: "Unauthorized", FineGrained: "Authorized"},
			}
			for _, change := range c.changes {
				change(row, p)
			}
			s := stand(row, &preview.Standing{Judged: c.judged}, p)
			if s.Words != c.words || s.Tone != c.tone || !strings.Contains(s.Says, c.says) || s.Ask != c.ask || s.Reason != c.reason {
				t.Errorf("it stands %q (%s), %q, for %q, and may be asked %q", s.Words, s.Tone, s.Says, s.Reason, s.Ask)
			}
			if (s.Asked != nil) != (c.name == "asked something") || !s.From.IsZero() != (c.name == "denied just now") {
				t.Errorf("the question is %v, from %s on", s.Asked, s.From)
			}
		})
	}
}

// TestAnOwnerReadsWhatOfATokenComesOutOtherwise than the rest of it.
func TestAnOwnerReadsWhatOfATokenComesOutOtherwise(t *testing.T) {
	end := time.Date(2026, 7, 10, 0, 0, 0, 0, time.UTC)
	p := &present{
		organization: &inventory.OrganizationRow{Name: "acme", EnforceAt: &end}, policy: &authz.TokenPolicy{Title: "Allow", FineGrained: "Authorized"},
		catalogue: authz.Catalogue{"insufficient_permission": {Title: "Insufficient permission"}, "exception": {Title: "Allowed by an exception"}},
	}
	row := &inventory.TokenRow{Kind: authz.KindFineGrained, Organization: "acme"}
	model := &authz.Resource{Type: "model", Name: "acme/m"}
	j := &preview.Standing{
		Judged: preview.Judged{Allowed: true, Reason: "allowed"},
		Others: []preview.Judged{
			{Permission: "repo.write", Reason: "insufficient_permission"},
			{Permission: "repo.write", Resource: model, On: "model acme/m", Allowed: true, Reason: "exception", Reasons: []string{"insufficient_permission"}},
			{Permission: "repo.content.read", Resource: model, On: "model acme/m", Allowed: true, Reason: "grace_period", Next: []string{"insufficient_permission"}},
		},
	}
	s := stand(row, j, p)
	want := []part{
		{"read and write content on everything of acme", "refused (insufficient permission)"},
		{"read and write content on model acme/m", "allowed by an exception (insufficient permission)"},
		{"read content on model acme/m", "works until 2026-07-10 (insufficient permission)"},
	}
	if s.Words != "works, in part" || len(s.Parts) != 3 || s.Parts[0] != want[0] || s.Parts[1] != want[1] || s.Parts[2] != want[2] || s.More != 0 {
		t.Errorf("it stands %q, with %q and %d more", s.Words, s.Parts, s.More)
	}
	j.Others = slices.Repeat(j.Others[1:2], mostParts+3)
	if s = stand(row, j, p); s.Words != "works" || len(s.Parts) != mostParts || s.More != 3 {
		t.Errorf("it stands %q, with %d parts and %d more", s.Words, len(s.Parts), s.More)
	}
	// Of what is refused as a whole no parts are told.
	j.Judged = preview.Judged{Reason: "token_suspended"}
	if s = stand(row, j, p); s.Words != "suspended" || len(s.Parts) > 0 {
		t.Errorf("it stands %q, with %q", s.Words, s.Parts)
	}
	if s = stand(row, nil, p); s.Words != "cannot be judged at present" {
		t.Errorf("of one that was not read yet: %q", s.Words)
	}
}
