package inventory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
)

// The edge cases of docs/edge-cases.md that are rules of change. Those that
// are about a decision are in cmd/patrol/edges_test.go.

var (
	operator = inventorytest.Operator
	person   = inventorytest.Person
	on       = inventorytest.On
)

const day = 24 * time.Hour

func wantState(t *testing.T, l *inventorytest.Lab, token *inventory.Token, state, request string) {
	t.Helper()
	if got := l.Decided(token, "acme").State; got != state {
		t.Errorf("the token is %s; want %s", got, state)
	}
	if got := l.Asked(token, "acme").State; got != request {
		t.Errorf("the request is %q; want %q", got, request)
	}
}

func events(l *inventorytest.Lab, kind string) (n int) {
	for _, e := range l.Events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestEdge01_PolicyLeavesWhileRequestsArePending_TheyFreezeAndResume(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.write"))
	revoked := l.Issue("bob", on("acme", "repo.write"))
	first := l.Asked(token, "acme").ID
	l.Must(operator, inventory.SetPolicy{Organization: "acme", TokenPolicy: inventorytest.Open})
	l.Hit(token, "acme")
	wantState(t, l, token, "none", "open")
	unasked := l.Issue("bob", on("acme", "repo.write"))
	wantState(t, l, unasked, "none", "")
	l.Must(person("alice"), inventory.RevokeToken{Organization: "acme", Token: revoked.ID})
	l.Must(operator, inventory.SetPolicy{Organization: "acme", TokenPolicy: inventorytest.Approval})
	l.Hit(token, "acme")
	wantState(t, l, token, "none", "open")
	if l.Asked(token, "acme").ID != first || events(l, "approval_requested") != 2 {
		t.Error("the request that was pending did not go on as it was")
	}
	l.Hit(unasked, "acme")
	wantState(t, l, unasked, "none", "open")
	l.Hit(revoked, "acme")
	wantState(t, l, revoked, "revoked", "withdrawn")
}

func TestEdge02_ApprovalSwitchedOnOverExistingTokens_WhatBecomesOfThem(t *testing.T) {
	fresh := func(t *testing.T) (*inventorytest.Lab, []*inventory.Token) {
		l := inventorytest.NewLab(t)
		l.Must(operator, inventory.SetPolicy{Organization: "acme", TokenPolicy: inventorytest.Open})
		var tokens []*inventory.Token
		for range 3 {
			tokens = append(tokens, l.Issue("bob", on("acme", "repo.write")))
		}
		l.Used[[2]string{tokens[0].ID, l.Organization("acme").ID}] = l.Now.Add(-2 * day)
		l.Used[[2]string{tokens[1].ID, l.Organization("acme").ID}] = l.Now.Add(-40 * day)
		return l, tokens
	}
	t.Run("each asks at its next use", func(t *testing.T) {
		l, tokens := fresh(t)
		l.Must(operator, inventory.SetPolicy{Organization: "acme", TokenPolicy: inventorytest.Approval})
		wantState(t, l, tokens[0], "none", "")
		l.Hit(tokens[0], "acme")
		wantState(t, l, tokens[0], "none", "open")
	})
	t.Run("ask", func(t *testing.T) {
		l, tokens := fresh(t)
		l.Must(operator, inventory.SetPolicy{Organization: "acme", TokenPolicy: inventorytest.Approval, EnforceAt: l.Now.Add(30 * day), Existing: &inventory.ExistingTokens{Mode: "ask"}})
		for _, token := range tokens {
			wantState(t, l, token, "none", "open")
		}
	})
	t.Run("approve those that were used", func(t *testing.T) {
		l, tokens := fresh(t)
		until := l.Now.Add(60 * day)
		l.Must(operator, inventory.SetPolicy{Organization: "acme", TokenPolicy: inventorytest.Approval, Existing: &inventory.ExistingTokens{Mode: "approve_used_within", Days: 30, Until: until}})
		wantState(t, l, tokens[0], "approved", "")
		if a := l.Decided(tokens[0], "acme"); !a.ExpiresAt.Equal(until) || len(a.Grants) != 1 {
			t.Errorf("approved as %+v", a)
		}
		wantState(t, l, tokens[1], "none", "")
		wantState(t, l, tokens[2], "none", "")
	})
	t.Run("never by one command where approvals need two people", func(t *testing.T) {
		l, _ := fresh(t)
		l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"four_eyes": true}})
		inventorytest.Refused[*inventory.Forbidden](l, operator, inventory.SetPolicy{Organization: "acme", TokenPolicy: inventorytest.Approval, Existing: &inventory.ExistingTokens{Mode: "approve_used_within", Days: 30, Until: l.Now.Add(day)}})
	})
}

func TestEdge03_RotationKeepsTheStateAndNeverClearsARevocation(t *testing.T) {
	l := inventorytest.NewLab(t)
	approved, revoked := l.Issue("bob", on("acme", "repo.write")), l.Issue("bob", on("acme", "repo.write"))
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: approved.ID, Version: 1})
	l.Must(person("alice"), inventory.RevokeToken{Organization: "acme", Token: revoked.ID})
	old := revoked.Digest
	for _, token := range []*inventory.Token{approved, revoked} {
		l.Must(operator, inventory.RotateToken{Token: token.ID, Digest: l.Secret(), Last4: "wxyz"})
	}
	wantState(t, l, approved, "approved", "decided")
	wantState(t, l, revoked, "revoked", "withdrawn")
	if got := l.Token(revoked.ID); got.Digest == old || got.Former[0].Digest != old || got.Former[0].Until.After(l.Now) {
		t.Errorf("after rotation without an overlap: %+v", got)
	}
	t.Run("not by bringing the old secret in again", func(t *testing.T) {
		again := inventory.ImportToken{Digest: old, Owner: "bob", DisplayName: "again", Kind: authz.KindFineGrained, Grants: []authz.Grant{on("acme", "repo.write")}}
		inventorytest.Refused[inventory.InvalidList](l, operator, inventory.ImportTokens{Tokens: []inventory.ImportToken{again}})
		inventorytest.Refused[*inventory.Invalid](l, operator, inventory.RotateToken{Token: approved.ID, Digest: old})
	})
	t.Run("not by deleting and importing it", func(t *testing.T) {
		present := l.Token(revoked.ID).Digest
		l.Must(operator, inventory.DeleteToken{Token: revoked.ID})
		l.Must(operator, inventory.ImportTokens{Tokens: []inventory.ImportToken{{Digest: present, Owner: "bob", DisplayName: "again", Kind: authz.KindFineGrained, Grants: []authz.Grant{on("acme", "repo.write")}}}})
		wantState(t, l, revoked, "revoked", "withdrawn")
	})
	t.Run("an overlap lets two secrets go, never three", func(t *testing.T) {
		l.Must(operator, inventory.RotateToken{Token: approved.ID, Digest: l.Secret(), Overlap: day})
		l.Must(operator, inventory.RotateToken{Token: approved.ID, Digest: l.Secret(), Overlap: day})
		live := 0
		for _, f := range l.Token(approved.ID).Former {
			if f.Until.After(l.Now) {
				live++
			}
		}
		if live != 1 {
			t.Errorf("%d former secrets are accepted", live)
		}
	})
}

func TestEdge03_ReuseOfARotatedSecretIsReportedOnceADay(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.write"))
	old := token.Digest
	l.Must(operator, inventory.RotateToken{Token: token.ID, Digest: l.Secret(), Overlap: time.Hour})
	system := inventory.Actor{Kind: "system", Name: "patrol"}
	report := inventory.ReportReuse{Token: token.ID, Digest: old}
	for _, step := range []struct {
		after  time.Duration
		events int
	}{{0, 0}, {time.Hour, 1}, {time.Hour, 1}, {day, 2}} {
		l.After(step.after)
		l.Must(system, report)
		if got := events(l, "token_reused"); got != step.events {
			t.Errorf("%v later: %d reports, want %d", step.after, got, step.events)
		}
	}
	inventorytest.Refused[*inventory.NotFound](l, system, inventory.ReportReuse{Token: token.ID, Digest: inventorytest.Digest(999)})
}

func TestEdge04_PermissionsWidenedAfterApproval_AreAskedForAndBoundUntilDecided(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.content.read"))
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	wider := []authz.Grant{on("acme", "repo.content.read", "repo.write")}
	l.Must(operator, inventory.UpdateToken{Token: token.ID, Grants: &wider})
	wantState(t, l, token, "approved", "open")
	if a := l.Decided(token, "acme"); len(a.Grants) != 1 || len(a.Grants[0].Permissions) != 1 {
		t.Errorf("approved became %+v by itself", a.Grants)
	}
	if q := l.Asked(token, "acme"); q.Round != 1 || len(q.Grants[0].Permissions) != 2 {
		t.Errorf("asked for %+v", q)
	}
	t.Run("by an import as by an update", func(t *testing.T) {
		other := l.Issue("bob", on("acme", "repo.content.read"))
		l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: other.ID, Version: 1})
		l.Must(operator, inventory.ImportTokens{Tokens: []inventory.ImportToken{{Digest: other.Digest, Owner: "bob", DisplayName: "ci", Kind: authz.KindFineGrained, Grants: wider}}})
		wantState(t, l, other, "approved", "open")
	})
	t.Run("taken back, nothing is asked any more", func(t *testing.T) {
		narrow := []authz.Grant{on("acme", "repo.content.read")}
		l.Must(operator, inventory.UpdateToken{Token: token.ID, Grants: &narrow})
		wantState(t, l, token, "approved", "withdrawn")
	})
	t.Run("a longer life is not approved either", func(t *testing.T) {
		end := l.Now.Add(30 * day)
		short := l.Must(operator, inventory.IssueToken{Owner: "bob", DisplayName: "ci", Kind: authz.KindFineGrained, Grants: []authz.Grant{on("acme", "repo.write")}, Digest: l.Secret(), ExpiresAt: end})
		id := short.Subject.TokenID
		l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: id, Version: 1})
		never := time.Time{}
		l.Must(operator, inventory.UpdateToken{Token: id, ExpiresAt: &never})
		if a := l.Decided(l.Token(id), "acme"); !a.ExpiresAt.Equal(end) {
			t.Errorf("approved until %v; want %v, when it was to end", a.ExpiresAt, end)
		}
	})
}

func TestEdge05_PermissionsNarrowed_NeedNoNewApproval(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.content.read", "repo.write"))
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	narrow := []authz.Grant{on("acme", "repo.content.read")}
	l.Must(operator, inventory.UpdateToken{Token: token.ID, Grants: &narrow})
	l.Hit(token, "acme")
	wantState(t, l, token, "approved", "decided")
}

func TestEdge06_OwnerLeavesAndReturns_PendingAgain(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.write"))
	denied := l.Issue("bob", on("acme", "repo.write"))
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	l.Must(person("alice"), inventory.Deny{Organization: "acme", Token: denied.ID, Version: 1, Reason: "no"})
	l.Must(person("alice"), inventory.RemoveMember{Organization: "acme", User: "bob"})
	wantState(t, l, token, "none", "decided")
	l.Hit(token, "acme")
	wantState(t, l, token, "none", "decided")
	l.After(day)
	l.Must(person("alice"), inventory.AddMember{Organization: "acme", User: "bob", Role: "write"})
	wantState(t, l, token, "none", "open")
	wantState(t, l, denied, "denied", "decided")
}

func TestEdge07_MemberBecomesAdministrator_OlderTokensStayAsTheyAre(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.write"))
	l.After(time.Minute)
	l.Must(operator, inventory.AddMember{Organization: "acme", User: "bob", Role: "admin"})
	l.Hit(token, "acme")
	wantState(t, l, token, "none", "open")
	l.After(time.Minute)
	wantState(t, l, l.Issue("bob", on("acme", "repo.write")), "none", "")
}

func TestEdge08_AdministratorDemoted_ExemptTokensBecomePending(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("alice", on("acme", "repo.write"))
	wantState(t, l, token, "none", "")
	l.After(time.Minute)
	l.Must(operator, inventory.AddMember{Organization: "acme", User: "alice", Role: "write"})
	wantState(t, l, token, "none", "open")
	t.Run("four-eyes switches the exemption off", func(t *testing.T) {
		l.Must(operator, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"four_eyes": true}})
		wantState(t, l, l.Issue("ann", on("acme", "repo.write")), "none", "open")
	})
}

func TestEdge10_TokenUsedInTwoOrganizations_EachDecidesAlone(t *testing.T) {
	l := inventorytest.NewLab(t)
	l.Must(operator, inventory.CreateOrganization{Name: "umbrella", TokenPolicy: inventorytest.Approval})
	l.Must(operator, inventory.AddMember{Organization: "umbrella", User: "bob", Role: "write"})
	token := l.Issue("bob", on("acme", "repo.write"), on("umbrella", "repo.write"))
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	if l.Decided(token, "umbrella").State != "none" || l.Asked(token, "umbrella").State != "open" {
		t.Error("approving it in one organization decided in the other")
	}
	if a := l.Decided(token, "acme"); len(a.Grants) != 1 || a.Grants[0].Entity.Name != "acme" {
		t.Errorf("approved %+v", a.Grants)
	}
	l.Must(operator, inventory.RevokeToken{Organization: "umbrella", Token: token.ID})
	wantState(t, l, token, "approved", "decided")
	wider := []authz.Grant{on("acme", "repo.write"), on("umbrella", "repo.write", "org.write")}
	l.Must(operator, inventory.UpdateToken{Token: token.ID, Grants: &wider})
	wantState(t, l, token, "approved", "decided")
}

func TestEdge14_UnknownPolicyValue_IsRefused(t *testing.T) {
	l := inventorytest.NewLab(t)
	inventorytest.Refused[*inventory.Invalid](l, operator, inventory.CreateOrganization{Name: "x", TokenPolicy: "nonsense"})
	e := inventorytest.Refused[*inventory.Invalid](l, operator, inventory.SetPolicy{Organization: "acme", TokenPolicy: "nonsense"})
	if !strings.Contains(e.Problem, inventorytest.Approval) {
		t.Errorf("the refusal does not name the policies there are: %v", e)
	}
}

func TestEdge15_NoGrantForThisOrganization_OpensNoRequest(t *testing.T) {
	l := inventorytest.NewLab(t)
	l.Must(operator, inventory.CreateOrganization{Name: "umbrella"})
	token := l.Issue("bob", on("umbrella", "repo.write"))
	l.Hit(token, "acme")
	wantState(t, l, token, "none", "")
	inventorytest.Refused[*inventory.Invalid](l, person("alice"), inventory.Approve{Organization: "acme", Token: token.ID})
}

func TestEdge23_DeniedTokenRetried_SendsNoMail(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.write"))
	l.Must(person("alice"), inventory.Deny{Organization: "acme", Token: token.ID, Version: 1, Reason: "no"})
	before := len(l.Events)
	for range 3 {
		l.Hit(token, "acme")
	}
	if len(l.Events) != before {
		t.Errorf("retrying made %d events", len(l.Events)-before)
	}
	t.Run("the owner asks again with a purpose, after the cooldown", func(t *testing.T) {
		inventorytest.Refused[*inventory.Invalid](l, person("bob"), inventory.AskAgain{Organization: "acme", Token: token.ID})
		e := inventorytest.Refused[*inventory.Conflict](l, person("bob"), inventory.AskAgain{Organization: "acme", Token: token.ID, Purpose: "releases"})
		if !strings.Contains(e.Problem, l.Now.Add(day).Format(time.RFC3339)) {
			t.Errorf("the refusal does not say from when on: %v", e)
		}
		l.After(day)
		l.Must(person("bob"), inventory.AskAgain{Organization: "acme", Token: token.ID, Purpose: "releases"})
		wantState(t, l, token, "denied", "open")
		if q := l.Asked(token, "acme"); q.Purpose != "releases" || q.OpenedBy != "owner" {
			t.Errorf("asked as %+v", q)
		}
	})
	t.Run("a change of the token asks at once", func(t *testing.T) {
		other := l.Issue("bob", on("acme", "repo.write"))
		l.Must(person("alice"), inventory.Deny{Organization: "acme", Token: other.ID, Version: 1, Reason: "too much"})
		narrow := []authz.Grant{on("acme", "repo.content.read")}
		l.Must(operator, inventory.UpdateToken{Token: other.ID, Grants: &narrow})
		wantState(t, l, other, "denied", "open")
		name := "renamed"
		third := l.Issue("bob", on("acme", "repo.write"))
		l.Must(person("alice"), inventory.Deny{Organization: "acme", Token: third.ID, Version: 1, Reason: "no"})
		l.Must(operator, inventory.UpdateToken{Token: third.ID, DisplayName: &name})
		wantState(t, l, third, "denied", "decided")
	})
}

func TestEdge24_TwoDecideAtOnceOrTheTokenChangedUnderReview_ConflictSaysWhatChanged(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.content.read"))
	request := l.Asked(token, "acme").ID
	wider := []authz.Grant{on("acme", "repo.write")}
	l.Must(operator, inventory.UpdateToken{Token: token.ID, Grants: &wider})
	e := inventorytest.Refused[*inventory.Conflict](l, person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	want := []inventory.Difference{
		{Field: "grants", Present: "repo.write on organization acme"},
		{Field: "grants", Reviewed: "repo.content.read on organization acme"},
	}
	if len(e.Differences) != 2 || e.Differences[0] != want[0] || e.Differences[1] != want[1] {
		t.Errorf("what changed: %+v; want %+v", e.Differences, want)
	}
	inventorytest.Refused[*inventory.Conflict](l, person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 3})
	t.Run("what is no business of theirs is no change", func(t *testing.T) {
		l.Must(operator, inventory.RotateToken{Token: token.ID, Digest: l.Secret()})
		l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 2, Request: request})
		wantState(t, l, token, "approved", "decided")
	})
	t.Run("the second of two", func(t *testing.T) {
		e := inventorytest.Refused[*inventory.Conflict](l, person("ann"), inventory.Deny{Organization: "acme", Token: token.ID, Version: 3, Request: request, Reason: "no"})
		if len(e.Differences) != 1 || e.Differences[0].Field != "state" || !strings.Contains(e.Differences[0].Present, "approved by alice") {
			t.Errorf("what changed: %+v", e.Differences)
		}
	})
}

func TestEdge25_RevokingTheCallingCredential_IsForbidden(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("alice", on("acme", "org.tokens.write"))
	self := inventory.Actor{Kind: "token", Name: "alice", Token: token.ID}
	for _, c := range []inventory.Command{
		inventory.RevokeToken{Organization: "acme", Token: token.ID},
		inventory.SuspendToken{Organization: "acme", Token: token.ID},
		inventory.DisableToken{Token: token.ID},
		inventory.DeleteToken{Token: token.ID},
	} {
		inventorytest.Refused[*inventory.Forbidden](l, self, c)
	}
	other := l.Issue("bob", on("acme", "repo.write"))
	l.Must(self, inventory.RevokeToken{Organization: "acme", Token: other.ID})
}

func TestEdge27_Rename_EverythingIsKeyedByID(t *testing.T) {
	l := inventorytest.NewLab(t)
	model := authz.Grant{Entity: authz.Entity{Type: "model", Name: "acme/m"}, Permissions: []string{"repo.write"}}
	token := l.Issue("bob", model, on("acme", "org.read"))
	l.Must(person("alice"), inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
	id := l.Organization("acme").ID
	l.Must(operator, inventory.RenameOrganization{Organization: "acme", Name: "acme-labs"})
	if o := l.Organization("acme-labs"); o.ID != id || l.Organization("acme").ID != id {
		t.Error("the new name and the old one do not both lead to it")
	}
	wantState(t, l, token, "approved", "decided")
	if got := l.Token(token.ID).Grants; got[0].Entity.Name != "acme-labs/m" || got[1].Entity.Name != "acme-labs" {
		t.Errorf("the token's grants: %+v", got)
	}
	l.Hit(token, "acme-labs")
	wantState(t, l, token, "approved", "decided")
	again := []authz.Grant{{Entity: authz.Entity{Type: "model", Name: "acme/m"}, Permissions: []string{"repo.write"}}, on("acme-labs", "org.read")}
	if c := l.Must(operator, inventory.UpdateToken{Token: token.ID, Grants: &again}); c.Audit != nil {
		t.Error("the same grants by the old name are a change")
	}
	inventorytest.Refused[*inventory.Conflict](l, operator, inventory.CreateOrganization{Name: "acme"})
	l.Must(operator, inventory.RenameOrganization{Organization: "acme", Name: "acme"})
	if o := l.Organization("acme"); o.Name != "acme" || len(o.Aliases) != 1 || o.Aliases[0] != "acme-labs" {
		t.Errorf("renamed back: %+v", o)
	}
}

func TestEdge29_UnknownPermissionName_IsKept(t *testing.T) {
	l := inventorytest.NewLab(t)
	token := l.Issue("bob", on("acme", "repo.teleport"))
	if got := l.Asked(token, "acme").Grants; len(got) != 1 || got[0].Permissions[0] != "repo.teleport" {
		t.Errorf("the request shows %+v", got)
	}
}
