package inventory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
)

// fourEyes is a lab where approvals need two people.
func fourEyes(t *testing.T) *inventorytest.Lab {
	t.Helper()
	l := inventorytest.NewLab(t)
	l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"four_eyes": true}})
	return l
}

func TestFourEyesApprovalNeedsTwoDifferentPeople(t *testing.T) {
	l := fourEyes(t)
	token := l.Issue("bob", on("acme", "repo.content.read", "repo.write"))
	yes := inventory.Approve{Organization: "acme", Token: token.ID, Version: 1}
	l.Must(person("alice"), yes)
	l.Must(person("Alice"), yes)
	wantState(t, l, token, "none", "open")
	t.Run("who agree to the same", func(t *testing.T) {
		part := yes
		part.Grants = []authz.Grant{on("acme", "repo.content.read")}
		l.Must(person("rita"), part)
		wantState(t, l, token, "none", "open")
		until := yes
		until.Until = l.Now.Add(day)
		l.Must(person("rita"), until)
		wantState(t, l, token, "none", "open")
	})
	change := l.Must(person("rita"), yes)
	wantState(t, l, token, "approved", "decided")
	if a := l.Decided(token, "acme"); a.ChangedBy != "Alice, rita" || change.Audit.Details["people"] != a.ChangedBy {
		t.Errorf("decided by %q, audit %v", a.ChangedBy, change.Audit.Details)
	}
}

func TestFourEyesKeepsOwnersAndThePolicyOut(t *testing.T) {
	l := fourEyes(t)
	token := l.Issue("alice", on("acme", "repo.write"))
	for _, c := range []inventory.Command{
		inventory.Approve{Organization: "acme", Token: token.ID, Version: 1},
		inventory.Deny{Organization: "acme", Token: token.ID, Version: 1, Reason: "no"},
	} {
		inventorytest.Refused[*inventory.Forbidden](l, person("alice"), c)
		inventorytest.Refused[*inventory.Forbidden](l, inventory.Actor{Kind: "token", Name: "alice"}, c)
	}
	inventorytest.Refused[*inventory.Forbidden](l, inventory.Actor{Kind: "policy", Name: "r@1"}, inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	l.Must(person("ann"), inventory.Deny{Organization: "acme", Token: token.ID, Version: 1, Reason: "one no is enough"})
	wantState(t, l, token, "denied", "decided")
}

func TestFourEyesVotesEndWithWhatWasVotedFor(t *testing.T) {
	l := fourEyes(t)
	token := l.Issue("bob", on("acme", "repo.content.read"))
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	wider := []authz.Grant{on("acme", "repo.content.read", "repo.write")}
	l.Must(operator, inventory.UpdateToken{Token: token.ID, Grants: &wider})
	l.Must(person("ann"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 2})
	wantState(t, l, token, "none", "open")
	l.Must(operator, inventory.RemoveMember{Organization: "acme", User: "ann"})
	l.Must(person("rita"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 2})
	wantState(t, l, token, "none", "open")
	l.Must(operator, inventory.Approve{Organization: "acme", Token: token.ID, Version: 2})
	wantState(t, l, token, "approved", "decided")
}

func TestATokenNeverDecidesOnItsOwners(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.write"))
	l.Must(operator, inventory.AddMember{Organization: "acme", User: "bob", Role: "admin"})
	c := inventory.Approve{Organization: "acme", Token: token.ID, Version: 1}
	inventorytest.Refused[*inventory.Forbidden](l, inventory.Actor{Kind: "token", Name: "bob"}, c)
	l.Must(person("bob"), c)
}

func TestApprovalEndsAndIsAskedForAgain(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.write"))
	l.Must(person("rita"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1, Until: l.Now.Add(day)})
	l.Hit(token, "acme")
	wantState(t, l, token, "approved", "decided")
	l.After(day)
	l.Hit(token, "acme")
	wantState(t, l, token, "approved", "open")
	l.Must(person("rita"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	wantState(t, l, token, "approved", "decided")
}

func TestSuspensionHoldsOverADecisionUntilItIsResumed(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.write"))
	l.Must(person("alice"), inventory.SuspendToken{Organization: "acme", Token: token.ID, Comment: "odd traffic"})
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	if a := l.Decided(token, "acme"); !a.Suspended || a.State != authz.StateApproved {
		t.Errorf("approved while suspended: %+v", a)
	}
	l.Must(person("alice"), inventory.ResumeToken{Organization: "acme", Token: token.ID})
	if a := l.Decided(token, "acme"); a.Suspended || a.State != authz.StateApproved {
		t.Errorf("resumed: %+v", a)
	}
	l.Must(person("alice"), inventory.RevokeToken{Organization: "acme", Token: token.ID})
	inventorytest.Refused[*inventory.Conflict](l, person("alice"), inventory.ResumeToken{Organization: "acme", Token: token.ID})
}

func TestTheThreadOfARequest(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.write"))
	q := func() inventory.Request { return l.Asked(token, "acme") }
	about := func(c inventory.Command) func() {
		return func() { l.Must(person("rita"), c) }
	}
	for _, step := range []struct {
		name string
		do   func()
		want func() bool
	}{
		{"a comment", about(inventory.CommentRequest{Organization: "acme", Token: token.ID, Comment: "hm"}), func() bool { return q().Notes[0] == inventory.Note{At: l.Now, By: "rita", Kind: "comment", Text: "hm"} }},
		{"a question", about(inventory.AskOwner{Organization: "acme", Token: token.ID, Question: "what for?"}), func() bool { return q().WaitsForOwner && events(l, "owner_asked") == 1 }},
		{"another's comment is no answer", func() {
			l.Must(person("ann"), inventory.CommentRequest{Organization: "acme", Token: token.ID, Comment: "x"})
		}, func() bool { return q().WaitsForOwner }},
		{"the owner's is", func() {
			l.Must(person("bob"), inventory.CommentRequest{Organization: "acme", Token: token.ID, Comment: "CI"})
		}, func() bool { return !q().WaitsForOwner && q().Notes[3].Kind == "answer" }},
		{"the owner gives a purpose", func() {
			l.Must(person("bob"), inventory.AskAgain{Organization: "acme", Token: token.ID, Purpose: "nightly"})
		}, func() bool { return q().Purpose == "nightly" && q().Round == 0 }},
		{"the owner says more, unasked", func() {
			l.Must(person("bob"), inventory.CommentRequest{Organization: "acme", Token: token.ID, Comment: "and at noon"})
		}, func() bool { return q().Notes[len(q().Notes)-1].Kind == "answer" }},
		{"assigned", about(inventory.AssignRequest{Organization: "acme", Token: token.ID, Assignee: "Rita"}), func() bool { return q().Assignee == "rita" }},
		{"reminded", about(inventory.RemindRequest{Organization: "acme", Token: token.ID}), func() bool { return events(l, "approval_reminder") == 1 }},
		{"escalated", about(inventory.EscalateRequest{Organization: "acme", Token: token.ID, Comment: "too hot"}), func() bool { return q().Escalated && q().Assignee == "" }},
	} {
		step.do()
		if !step.want() {
			t.Errorf("%s: %+v", step.name, q())
		}
	}
	for name, c := range map[string]inventory.Command{
		"not an hour later":            inventory.RemindRequest{Organization: "acme", Token: token.ID},
		"nothing open on a revoked":    inventory.CommentRequest{Organization: "acme", Token: closed(l), Comment: "x"},
		"no question without an asker": inventory.AskOwner{Organization: "acme", Token: closed(l), Question: "x"},
	} {
		t.Run(name, func(t *testing.T) { inventorytest.Refused[*inventory.Conflict](l, person("alice"), c) })
	}
	for _, name := range []string{"nobody", "bob", "rita"} {
		inventorytest.Refused[*inventory.Invalid](l, person("alice"), inventory.AssignRequest{Organization: "acme", Token: token.ID, Assignee: name})
	}
	inventorytest.Refused[*inventory.Forbidden](l, person("rita"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
}

func closed(l *inventorytest.Lab) string {
	token := l.Issue("bob", on("acme", "repo.write"))
	l.Must(operator, inventory.RevokeToken{Organization: "acme", Token: token.ID})
	return token.ID
}

func TestAWithdrawnRequestRestsForTheCooldown(t *testing.T) {
	l := inventorytest.NewLab(t)
	l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"request_cooldown_hours": 2}})
	token := l.Issue("bob", on("acme", "repo.write"))
	l.Must(person("bob"), inventory.WithdrawRequest{Organization: "acme", Token: token.ID})
	l.Hit(token, "acme")
	wantState(t, l, token, "none", "withdrawn")
	l.After(2 * time.Hour)
	l.Hit(token, "acme")
	wantState(t, l, token, "none", "open")
	l.Must(person("bob"), inventory.WithdrawRequest{Organization: "acme", Token: token.ID})
	l.Must(person("bob"), inventory.AskAgain{Organization: "acme", Token: token.ID, Purpose: "now I need it"})
	wantState(t, l, token, "none", "open")
}

func TestRequestsOfOneOwnerAreBounded(t *testing.T) {
	l := inventorytest.NewLab(t)
	var last *inventory.Token
	for range inventory.MaxOpenPerOwner + 1 {
		last = l.Issue("bob", on("acme", "repo.write"))
	}
	wantState(t, l, last, "none", "")
	other := l.Issue("bob", on("acme", "repo.write"))
	first, _ := l.RequestsOn(l.Organization("acme").ID)
	l.Must(person("alice"), inventory.Deny{Organization: "acme", Token: first[0].TokenID, Reason: "no"})
	l.Hit(other, "acme")
	wantState(t, l, other, "none", "open")
}

func TestThePolicyDecidesOnlyByTheRulesThatAnOrganizationNamed(t *testing.T) {
	approve := &inventory.Recommendation{Action: "approve", Revision: "7", UntilDays: 30, Reasons: []inventory.RecommendationReason{{Rule: "read_only", Action: "approve", Why: "reads only"}}}
	deny := &inventory.Recommendation{Action: "deny", Revision: "7", Reasons: []inventory.RecommendationReason{{Rule: "beyond_role", Action: "deny", Why: "never works"}}}
	for _, c := range []struct {
		name  string
		says  *inventory.Recommendation
		named []any
		four  bool
		want  string
	}{
		{"off by default", approve, nil, false, "none"},
		{"by a rule that was named", approve, []any{"read_only"}, false, "approved"},
		{"not by another one", approve, []any{"beyond_role"}, false, "none"},
		{"denies too", deny, []any{"beyond_role"}, false, "denied"},
		{"is no person where approvals need two", approve, []any{"read_only"}, true, "none"},
		{"denies where approvals need two", deny, []any{"beyond_role"}, true, "denied"},
		{"never escalates by itself", &inventory.Recommendation{Action: "escalate", Reasons: []inventory.RecommendationReason{{Rule: "x", Action: "escalate"}}}, []any{"x"}, false, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := inventorytest.NewLab(t)
			l.Rules.Says = c.says
			l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"review_act": c.named, "four_eyes": c.four}})
			entries := len(l.Audit)
			token := l.Issue("bob", on("acme", "repo.write"))
			a := l.Decided(token, "acme")
			if a.State != c.want {
				t.Fatalf("the token is %s; want %s", a.State, c.want)
			}
			if q := l.Asked(token, "acme"); q.Recommendation == nil || q.Recommendation.Action != c.says.Action {
				t.Errorf("the request says %+v", q.Recommendation)
			}
			if c.want == "none" {
				return
			}
			entry := l.Audit[len(l.Audit)-1]
			if len(l.Audit) != entries+2 || entry.Actor.Kind != "policy" || entry.Actor.Name != c.says.Reasons[0].Rule+"@7" || a.ChangedBy != entry.Actor.Name {
				t.Errorf("the audit says %+v, the authorization %q", entry, a.ChangedBy)
			}
			if c.want == "approved" && !a.ExpiresAt.Equal(l.Now.AddDate(0, 0, 30)) {
				t.Errorf("approved until %v", a.ExpiresAt)
			}
		})
	}
	t.Run("not over what somebody decided", func(t *testing.T) {
		l := inventorytest.NewLab(t)
		token := l.Issue("bob", on("acme", "repo.content.read"))
		l.Must(person("alice"), inventory.Deny{Organization: "acme", Token: token.ID, Version: 1, Reason: "no"})
		l.Rules.Says = approve
		l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"review_act": []any{"read_only"}}})
		l.After(day)
		l.Must(person("bob"), inventory.AskAgain{Organization: "acme", Token: token.ID, Purpose: "again"})
		wantState(t, l, token, "denied", "open")
	})
}

func TestEqualRequestsHaveOneGroup(t *testing.T) {
	l := inventorytest.NewLab(t)
	a := l.Issue("bob", on("acme", "repo.write", "repo.content.read"))
	b := l.Issue("rita", on("acme", "repo.content.read"), on("acme", "repo.write"))
	c := l.Issue("bob", on("acme", "repo.write"))
	key := func(t *inventory.Token) string {
		return inventory.GroupKey(l.Organization("acme").ID, l.Asked(t, "acme").Grants)
	}
	if key(a) != key(b) || key(a) == key(c) {
		t.Errorf("groups %s %s %s", key(a), key(b), key(c))
	}
}

func TestSettingsAreCheckedAndBounded(t *testing.T) {
	l := inventorytest.NewLab(t)
	for name, value := range map[string]any{
		"four_eyes": "yes", "request_cooldown_hours": -1, "review_act": "read_only", "max_token_age_days": 1.5, "public_read": "perhaps",
		"own": strings.Repeat("x", 16<<10), "bad\x00name": 1,
	} {
		inventorytest.Refused[*inventory.Invalid](l, operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{name: value}})
	}
	l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"own": []any{1, "x"}, "four_eyes": true}})
	if c := l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"four_eyes": true}}); c.Audit != nil {
		t.Error("the same again was a change")
	}
	l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"own": nil}})
	if o := l.Organization("acme"); len(o.Settings) != 1 || !o.FourEyes() {
		t.Errorf("settings: %v", o.Settings)
	}
}

// reading are policies of a bundle that reads some settings.
type reading struct{ *inventorytest.Policies }

func (reading) ReadsSetting(name string) bool { return name == "four_eye" }
func (reading) ReviewRules() []string         { return []string{"read_only", "ci"} }

func TestASettingThatIsNearlyAKnownOneIsRefused(t *testing.T) {
	l := inventorytest.NewLab(t)
	change := func(p inventory.Policies, name string, value any) error {
		_, err := inventory.Apply(l, p, operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{name: value}}, l.Now)
		return err
	}
	for name, c := range map[string]struct {
		policies inventory.Policies
		setting  string
		value    any
		problem  string
	}{
		"a letter less":               {l.Rules, "four_eye", true, "did you mean four_eyes?"},
		"two letters changed":         {l.Rules, "four_eyse", true, "did you mean four_eyes?"},
		"of another case":             {l.Rules, "FourEyes", true, "did you mean four_eyes?"},
		"with dashes":                 {l.Rules, "review-act", []any{"x"}, "did you mean review_act?"},
		"the right one of two":        {l.Rules, "max_token_lifetime_day", 1, "did you mean max_token_lifetime_days?"},
		"like none":                   {l.Rules, "team", "a", ""},
		"taken back":                  {l.Rules, "four_eye", nil, ""},
		"one that a rule reads":       {reading{}, "four_eye", true, ""},
		"another, with such a bundle": {reading{}, "four_eyez", true, "did you mean four_eyes?"},
		"a rule that there is":        {reading{}, "review_act", []any{"ci"}, ""},
		"a rule that there is not":    {reading{}, "review_act", []any{"ci", "nope"}, `names "nope", which is no review rule of the active bundle; there are read_only, ci`},
		"rules that are not known":    {l.Rules, "review_act", []any{"nope"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := change(c.policies, c.setting, c.value)
			if c.problem == "" && err != nil || c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
		})
	}
	inventorytest.Refused[*inventory.Invalid](l, operator, inventory.CreateOrganization{Name: "globex", Settings: map[string]any{"four_eye": true}})
}
