package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestTwoPeopleAreNotOneAndTheirAccount: in the API a service account does not
// approve where two people are asked for, and who answers for an account does not
// approve what it asks for by no longer answering for a while.
func TestTwoPeopleAreNotOneAndTheirAccount(t *testing.T) {
	b := startBureau(t)
	b.do(t, inventory.AddMember{Organization: acme, User: "robot", Type: "service_account", Role: "reviewer", Responsible: &[]string{"alice"}})
	b.issue("robot", "robot", []string{"org.tokens.review"}, acme)
	b.do(t, inventory.Approve{Organization: acme, Token: b.ids["robot"]})
	b.do(t, inventory.ChangeSettings{Organization: acme, Settings: map[string]any{inventory.SettingFourEyes: true}})
	for _, name := range []string{"admin", "reader"} { // none is exempt now
		b.do(t, inventory.Approve{Organization: acme, Token: b.ids[name]})
		b.approveAs(t, "dora", b.ids[name])
	}
	b.issue("asked", "robot", []string{"repo.write"}, acme)
	at := func(name string) string {
		return "/api/organizations/" + acme + "/settings/tokens/" + b.ids[name] + "/"
	}
	version := map[string]any{"version": 1}
	refused := func(what string, a answered, words string) {
		t.Helper()
		if p := a.problem(t); a.status != http.StatusForbidden || !strings.Contains(p.Detail, words) {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	let := func(what string, a answered) {
		t.Helper()
		if a.status != http.StatusOK {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	let("alice's word on bob's", b.call("admin", "POST", at("pending")+"approve", version))
	refused("robot's", b.call("robot", "POST", at("pending")+"approve", version), "robot is a service account, which is none")
	bulk := b.call("robot", "POST", "/api/organizations/"+acme+"/settings/tokens/approve", map[string]any{"tokens": []any{map[string]any{"id": b.ids["pending"], "version": 1}}})
	if !strings.Contains(string(bulk.body), "robot is a service account, which is none") {
		t.Errorf("robot's, among several: %d %s", bulk.status, bulk.body)
	}
	if row, err := b.Store.Token(t.Context(), acme, b.ids["pending"]); err != nil || row.Authorization.Status != "pending" {
		t.Errorf("bob's is %+v, %v", row.Authorization, err)
	}
	let("robot's denial", b.call("robot", "POST", at("pending")+"deny", map[string]any{"version": 1, "reason": "no"}))

	member := "/api/organizations/" + acme + "/members/robot"
	refused("alice's word on what robot asks", b.call("admin", "POST", at("asked")+"approve", version), "for which alice answers")
	let("alice answers for it no more", b.call("admin", "PUT", member, map[string]any{"role": "reviewer", "responsible": []string{}}))
	refused("her word then", b.call("admin", "POST", at("asked")+"approve", version), "or did when it was asked for")
	b.issue("asked after", "robot", []string{"repo.write"}, acme)
	refused("her word on what robot asks after that", b.call("admin", "POST", at("asked after")+"approve", version), "or not long before")
	let("alice answers for it again", b.call("admin", "PUT", member, map[string]any{"role": "reviewer", "responsible": []string{"alice"}}))
}

// approveAs lets an administrator in the console approve a token.
func (b *bureau) approveAs(t *testing.T, name, id string) {
	t.Helper()
	b.do(t, inventory.AddMember{Organization: acme, User: name, Role: "admin"})
	if _, err := b.Store.Do(t.Context(), inventory.Actor{Kind: "console", Name: name}, inventory.Approve{Organization: acme, Token: id}); err != nil {
		t.Fatal(err)
	}
}

// TestTheConsoleSaysWhoIsNoPerson, and who answers for an account, where two people
// are asked for.
func TestTheConsoleSaysWhoIsNoPerson(t *testing.T) {
	w, ids := fourEyesWorld(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "robot", Type: "service_account", Role: "admin", Responsible: &[]string{"alice"}})
	asked := w.issueTo(t, "robot", "asked")
	w.do(t, inventory.AddMember{Organization: "acme", User: "robot", Role: "admin", Responsible: &[]string{}})
	for user, c := range map[string]struct{ id, words string }{
		"robot": {ids["first"], "Acme asks for two people on each approval, and robot is a service account, which is none"},
		"alice": {asked, "Nobody decides on a token of their own here, nor on one of robot, for which alice answers, or did"},
	} {
		page := "http://" + w.Config.Admin.Listen + "/organizations/acme/review/" + c.id
		header := w.sessionOf(t, user)
		if status, _, body := ask(t, "GET", page, nil, header); status != http.StatusOK || !strings.Contains(body, c.words) || strings.Contains(body, `value="approve"`) {
			t.Errorf("the page, for %s: %d\n%s", user, status, body)
		}
		form := url.Values{"version": {"1"}, "decision": {"approve"}, "until": {"90"}, "grant": {"organization acme repo.write"}}
		if status, _, body := ask(t, "POST", page, form, header); status != http.StatusForbidden || !strings.Contains(body, c.words) {
			t.Errorf("%s approves: %d\n%s", user, status, body)
		}
	}
}
