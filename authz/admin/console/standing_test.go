package console

import (
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestAnOwnerReadsHowATokenStands, in the order in which requests are judged: one
// sentence for each, which names the organization and what can be done.
func TestAnOwnerReadsHowATokenStands(t *testing.T) {
	now := time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)
	before, after := now.Add(-time.Hour), now.AddDate(0, 1, 0)
	open := &authz.TokenPolicy{Title: "Allow", Unscoped: "Authorized", FineGrained: "Authorized"}
	scoped := &authz.TokenPolicy{Title: "Only fine-grained", Unscoped: "Unauthorized", FineGrained: "Authorized"}
	approval := &authz.TokenPolicy{Title: "Approval", Unscoped: "Unauthorized", FineGrained: "Unauthorized without an approval", RequiresApproval: true}
	own := &authz.TokenPolicy{Title: "Ours", Unscoped: "Unauthorized", FineGrained: "Authorized on weekdays"}
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
	policies := func(policy, next *authz.TokenPolicy) change {
		return func(_ *inventory.TokenRow, p *present) { p.policy, p.next = policy, next }
	}
	setting := func(name string, value any) change {
		return func(_ *inventory.TokenRow, p *present) { p.organization.Settings = map[string]any{name: value} }
	}
	observe := func(_ *inventory.TokenRow, p *present) { p.organization.Enforcement = authz.Observe }
	stranger := func(_ *inventory.TokenRow, p *present) { p.member = false }
	write := func(r *inventory.TokenRow, _ *present) { r.Kind, r.Grants = authz.KindWrite, nil }
	admin := func(r *inventory.TokenRow, _ *present) { r.Authorization.AdminCreated = true }
	until := func(r *inventory.TokenRow, _ *present) { r.Authorization.ExpiresAt = &after }
	comment := func(r *inventory.TokenRow, _ *present) { r.Authorization.Comment = "Less would do" }
	made := func(days int) change {
		return func(r *inventory.TokenRow, _ *present) { r.CreatedAt = now.AddDate(0, 0, -days) }
	}
	ends := func(days int) change {
		return func(r *inventory.TokenRow, _ *present) { at := now.AddDate(0, 0, days); r.ExpiresAt = &at }
	}
	week := now.AddDate(0, 0, -7)
	decided := asked(authz.RequestDecided)
	decided.DecidedAt, decided.Decision, decided.Comment = &week, authz.StateApproved, "For the release"
	for _, c := range []struct {
		name                   string
		changes                []change
		words, tone, says, ask string
	}{
		{"disabled", []change{of("approved"), func(r *inventory.TokenRow, _ *present) { r.Disabled = true }}, "disabled everywhere", "bad", "Who operates patrol", askNothing},
		{"expired", []change{of("approved"), func(r *inventory.TokenRow, _ *present) { r.ExpiresAt = &before }}, "expired", "bad", "expired on 2026-06-10 11:00 UTC", askNothing},
		{"revoked", []change{of("revoked")}, "revoked", "bad", "acme revoked it on 2026-06-10 11:00 UTC, for ever", askNothing},
		{"revoked, under any policy", []change{of("revoked"), policies(open, nil)}, "revoked", "bad", "for ever", askNothing},
		{"of who has left", []change{of("approved"), stranger}, "refused: dora is no member", "bad", "dora is no member of acme", askNothing},
		{"suspended, under any policy", []change{of("suspended"), policies(open, nil)}, "suspended", "stopped", "until they resume it", askNothing},
		{"unscoped", []change{write}, "refused by the token policy", "bad", "“Approval”, does not authorize write, unscoped tokens", askNothing},
		{"unscoped, observed", []change{write, observe}, "works while acme observes", "waiting", "as long as acme only observes", askNothing},
		{"unscoped, allowed", []change{write, policies(open, nil)}, "works", "good", "authorizes it", askNothing},
		{"unscoped, until a day", []change{write, policies(open, scoped)}, "works until 2026-07-10", "waiting", "“Only fine-grained” does not", askNothing},
		{"without a grant", []change{func(r *inventory.TokenRow, _ *present) { r.Grants = nil }}, "refused: no grant", "bad", "no grant on acme", askNothing},
		{"without a grant, observed", []change{func(r *inventory.TokenRow, _ *present) { r.Grants = nil }, observe}, "works while acme observes", "waiting", "no grant on acme. It works as long as", askNothing},
		{"older than it may be", []change{of("approved"), setting(settingAge, 5.0), made(6)}, "refused: too old", "bad", "at most 5 days, and this one is older. It is refused there", askNothing},
		{"as old as it may be", []change{of("approved"), setting(settingAge, 5.0), made(5)}, "approved", "good", "", askNothing},
		{"without an end, where one is wanted", []change{of("approved"), setting(settingLifetime, 10.0)}, "refused: no end", "bad", "this one has no end", askNothing},
		{"that ends too late", []change{of("pending"), setting(settingLifetime, 1.0), ends(2)}, "refused: ends too late", "bad", "within 1 day, and this one goes on until 2026-06-12 12:00 UTC", askNothing},
		{"that ends too late, observed", []change{of("approved"), setting(settingLifetime, 1.0), ends(2), observe}, "works while acme observes", "waiting", "as long as acme only observes", askNothing},
		{"that ends in time", []change{of("approved"), setting(settingLifetime, 2.0), ends(2)}, "approved", "good", "", askNothing},
		{"unscoped, allowed, and too old", []change{write, policies(open, nil), setting(settingAge, 5.0), made(6)}, "refused: too old", "bad", "A new token takes its place", askNothing},
		{"unscoped, not allowed, and too old", []change{write, setting(settingAge, 5.0), made(6)}, "refused by the token policy", "bad", "does not authorize", askNothing},
		{"approved, suspended and resumed since", []change{of("approved"), request(decided)}, "approved", "good", "acme approved it on 2026-06-03 12:00 UTC", askNothing},
		{"denied, under a policy that does not ask", []change{of("denied"), comment, policies(open, nil)}, "works", "good", "", askNothing},
		{"pending", []change{of("pending"), request(asked("open"))}, "waits for an approval", "waiting", "asked on 2026-06-10 11:00 UTC to approve it. Until it is approved it is refused there", askPurpose},
		{"pending, observed", []change{of("pending"), request(asked("open")), observe}, "waits for an approval", "waiting", "works all the same", askPurpose},
		{"pending before the day", []change{of("pending"), request(asked("open")), policies(scoped, approval)}, "waits for an approval", "waiting", "From 2026-07-10 on it is refused there without an approval", askPurpose},
		{"asked something", []change{of("pending"), request(asked("open", question))}, "waits for an answer", "waiting", "", askPurpose},
		{"frozen", []change{of("pending_frozen"), request(asked("open")), policies(scoped, nil)}, "works", "good", "authorizes it", askNothing},
		{"denied", []change{of("denied"), comment, setting(inventory.SettingCooldown, 0.0)}, "denied", "bad", "acme denied it on 2026-06-10 11:00 UTC. It is refused there; elsewhere it goes on", askAnew},
		{"denied, and asked again", []change{of("denied"), request(asked("open"))}, "denied, asked again", "waiting", "asked again on 2026-06-10 11:00 UTC", askPurpose},
		{"denied, and nobody asks any more", []change{of("denied"), policies(scoped, nil)}, "works", "good", "authorizes it", askNothing},
		{"denied, before the day", []change{of("denied"), policies(scoped, approval)}, "denied", "bad", "denied it", askAnew},
		{"approved", []change{of("approved")}, "approved", "good", "acme approved it", askNothing},
		{"approved until", []change{of("approved"), until}, "approved until 2026-07-10", "good", "ends on 2026-07-10 12:00 UTC", askNothing},
		{"widened since", []change{of("approved"), request(asked("open"))}, "approved, more is asked", "good", "beyond that", askPurpose},
		{"an approval ended", []change{of("approval_ended")}, "approval ended", "waiting", "approved again", askAnew},
		{"withdrawn", []change{of("none"), request(asked("withdrawn"))}, "needs an approval", "waiting", "nobody was asked", askFirst},
		{"made by an administrator", []change{of("none"), admin}, "works: made by an administrator", "good", "needs no approval", askNothing},
		{"made by an administrator, where two decide", []change{of("none"), admin, setting(inventory.SettingFourEyes, true)}, "needs an approval", "waiting", "has to approve it", askFirst},
		{"by an operator's policy", []change{of("none"), policies(own, nil)}, "authorized on weekdays", "", "“Ours”, says: authorized on weekdays", askNothing},
		{"by no policy that is known", []change{of("none"), policies(nil, nil)}, "not decided on", "", "", askNothing},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := &inventory.TokenRow{ID: "1", Owner: "dora", Kind: authz.KindFineGrained, Organization: "acme", Grants: []authz.Grant{{}}, Authorization: &inventory.AuthorizationRow{Status: "none"}}
			p := &present{now: now, organization: &inventory.OrganizationRow{Name: "acme", Enforcement: "enforce", EnforceAt: &after}, policy: approval, member: true}
			for _, change := range c.changes {
				change(row, p)
			}
			s := stand(row, p)
			if s.Words != c.words || s.Tone != c.tone || !strings.Contains(s.Says, c.says) || s.Ask != c.ask {
				t.Errorf("it stands %q (%s), %q, and may be asked %q", s.Words, s.Tone, s.Says, s.Ask)
			}
			reason := row.Authorization.Comment
			if c.name == "approved, suspended and resumed since" {
				reason = decided.Comment
			}
			if c.name == "denied, under a policy that does not ask" {
				reason = "" // it sleeps
			}
			if s.Reason != reason || (s.Asked != nil) != (c.name == "asked something") || !s.From.IsZero() && c.name != "denied, before the day" {
				t.Errorf("the reason is %q, the question %v, from %s on", s.Reason, s.Asked, s.From)
			}
		})
	}
}
