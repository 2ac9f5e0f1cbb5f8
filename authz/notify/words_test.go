package notify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/notify"
)

// TestAMailSaysWhatStopsWhenAndWhomToAsk to somebody who never saw patrol.
func TestAMailSaysWhatStopsWhenAndWhomToAsk(t *testing.T) {
	templates, err := notify.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	later := start.AddDate(0, 0, 7)
	moment := later.Format("2006-01-02 15:04 UTC")
	observes := func(v *notify.View) { v.Organization.Observes = true }
	dated := func(v *notify.View) { v.Organization.AsksFrom = later }
	approved := func(v *notify.View) { v.Token.Status = "approved" }
	for _, c := range []struct {
		name, kind, audience string
		many                 bool
		change               func(*notify.View)
		says, not            string
	}{
		{"who sent it", notify.TokenDenied, notify.Owner, false, nil, "patrol sent this: it decides which access tokens acme lets in.", ""},
		{"nobody known", notify.TokenDenied, notify.Owner, false, nil, "Who can help: an administrator of acme.", ""},
		{"one who can help", notify.TokenDenied, notify.Owner, false, func(v *notify.View) { v.Helpers = []string{"alice"} }, "Who can help: alice, who administers acme.", ""},
		{"several", notify.TokenRevoked, notify.Responsible, false, func(v *notify.View) { v.Helpers = []string{"alice", "carol"} }, "Who can help: alice, carol, who administer acme.", ""},
		{"administrators know", notify.ApprovalRequested, notify.Administrators, false, func(v *notify.View) { v.Helpers = []string{"alice"} }, "The rules say: a person should look: it never expires", "Who can help"},
		{"refused until then", notify.ApprovalRequested, notify.Owner, false, nil, "Until then it is refused there.", ""},
		{"several refused until then", notify.ApprovalRequested, notify.Owner, true, nil, "Until then they are refused there.", ""},
		{"observed", notify.ApprovalRequested, notify.Owner, false, observes, "acme only observes for now: it works there all the same.", "refused there"},
		{"several observed", notify.ApprovalReminder, notify.Administrators, true, observes, "they work there all the same", "refused"},
		{"excepted", notify.ApprovalRequested, notify.Administrators, false, func(v *notify.View) { v.Token.Excepted = true }, "An exception in the policy lets it in there all the same.", "refused there"},
		{"an approval that ends, excepted", notify.ApprovalEnds, notify.Owner, false, func(v *notify.View) { v.Token.Excepted = true }, "From then on it is refused there", "exception"},
		{"more is asked", notify.ApprovalRequested, notify.Owner, false, func(v *notify.View) { v.Token.Status = "approved" }, "Until then it goes on within what was approved before", "it is refused there"},
		{"not yet", notify.OwnerAsked, notify.Owner, false, dated, "It works there until " + moment + ", and is refused from then on without an approval.", "Until then"},
		{"an approval that ended, observed", notify.ApprovalEnded, notify.Owner, false, observes, "it works there all the same", "It is refused"},
		{"an approval that ended", notify.ApprovalEnded, notify.Owner, false, nil, "It is refused there until it is approved again; elsewhere it goes on.", "works there"},
		{"an approval that ended, not asked for yet", notify.ApprovalEnded, notify.Owner, false, dated, "It works there until " + moment + ", and is refused from then on without an approval.", "is refused there until"},
		{"an approval that ends", notify.ApprovalEnds, notify.Owner, false, approved, "From then on it is refused there until it is approved again.", "goes on within"},
		{"several that end", notify.ApprovalEnds, notify.Owner, true, nil, "From then on they are refused there until they are approved again.", ""},
		{"an approval that ends, observed", notify.ApprovalEnds, notify.Owner, false, observes, "acme only observes for now: it works there all the same.", "refused"},
		{"several that end, observed", notify.ApprovalEnds, notify.Owner, true, observes, "they work there all the same.", "refused"},
		{"an approval that ends, not asked for yet", notify.ApprovalEnds, notify.Owner, false, dated, "From then on, but not before " + moment + ", it is refused there until it is approved again.", ""},
		{"may ask again at once", notify.TokenDenied, notify.Owner, false, func(v *notify.View) { v.Token.AgainFrom = v.Now.Add(-time.Minute) }, "You may ask again, and say", ""},
		{"may ask again later", notify.TokenDenied, notify.Owner, false, func(v *notify.View) { v.Token.AgainFrom = later }, "You may ask again from " + moment + " on, and say", ""},
		{"the old secret has ended", notify.TokenRotated, notify.Owner, false, nil, "The old one is refused from now on", ""},
		{"the old secret goes on", notify.TokenRotated, notify.Owner, false, func(v *notify.View) { v.Token.OldUntil = later }, "The old one goes on until " + moment, ""},
		{"left to administrators", notify.ApprovalEscalated, notify.Operators, false, func(v *notify.View) { v.Token.Escalated = true }, "A reviewer has left the request to the administrators.", "They were told and reminded"},
		{"an expiry", notify.TokenExpires, notify.Owner, false, func(v *notify.View) { v.Token.Expires = later }, "expires on " + moment + ". From then on it is refused everywhere", ""},
		{"several tokens are yours", notify.TokenExpires, notify.Owner, true, nil, "You are told because the tokens are yours.", "the token is"},
		{"to several, a page of all", notify.ApprovalRequested, notify.Owner, true, nil, "/me\n", "Say what it is for"},
		{"one token, one owner, used", notify.PolicyComing, notify.Administrators, false, func(v *notify.View) { v.Stops = &notify.Stops{Tokens: 1, Owners: 1, Used: 1, Days: 1} }, "1 token of 1 owner that works now will be refused; it was used in the last day. The owner is told too.", "1 tokens"},
		{"one token, not used", notify.PolicyComing, notify.Administrators, false, func(v *notify.View) { v.Stops = &notify.Stops{Tokens: 1, Owners: 1, Days: 30} }, "it was not used in the last 30 days", ""},
		{"none used", notify.PolicyComing, notify.Administrators, false, func(v *notify.View) { v.Stops = &notify.Stops{Tokens: 3, Owners: 2, Days: 30} }, "3 tokens of 2 owners that work now will be refused; none of them was used", ""},
		{"an unknown token", notify.PolicyComing, notify.Administrators, false, func(v *notify.View) { v.Stops.Unknown = 1 }, "1 token that is in no inventory was seen in traffic", ""},
		{"a policy by its title", notify.PolicyComing, notify.Administrators, false, func(v *notify.View) { v.Organization.NextTitle = "Require administrator approval" }, "to “Require administrator approval” on", "to require_administrator_approval"},
		{"one more that stops", notify.PolicyDated, notify.Owner, true, func(v *notify.View) { v.More = 1 }, "There is 1 more.", ""},
		{"more that stop", notify.PolicyDated, notify.Owner, true, func(v *notify.View) { v.More = 2 }, "There are 2 more.", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := sampled(c.kind, c.audience, c.many)
			if c.change != nil {
				c.change(&v)
			}
			m, err := templates.Render(v)
			if err != nil {
				t.Fatal(err)
			}
			text := m.Subject + "\n" + m.Text
			if !strings.Contains(text, c.says) || c.not != "" && strings.Contains(text, c.not) {
				t.Errorf("it does not say %q, or says %q:\n%s", c.says, c.not, text)
			}
		})
	}
}
