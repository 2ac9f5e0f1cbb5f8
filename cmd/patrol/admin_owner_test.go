package main

import (
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestAnOwnerDoesNotReadWhatReviewersSayAmongThemselves: neither notes nor votes
// nor the recommendation, in answers, conflicts and the timeline; reviewers do.
func TestAnOwnerDoesNotReadWhatReviewersSayAmongThemselves(t *testing.T) {
	b := startBureau(t)
	b.do(t, inventory.Approve{Organization: acme, Token: b.ids["reader"]})
	b.do(t, inventory.ChangeSettings{Organization: acme, Settings: map[string]any{"four_eyes": true}})
	id := b.ids["pending"]
	for _, c := range []inventory.Command{
		inventory.CommentRequest{Organization: acme, Token: id, Comment: "internal: we distrust bob"},
		inventory.AssignRequest{Organization: acme, Token: id, Assignee: "carol"},
		inventory.AskOwner{Organization: acme, Token: id, Question: "What is it for?"},
		inventory.Approve{Organization: acme, Token: id, Comment: "internal: a vote"},
		inventory.EscalateRequest{Organization: acme, Token: id, Comment: "internal: too much"},
	} {
		b.do(t, c)
	}
	at := "/api/organizations/" + acme + "/settings/tokens/" + id
	secrets := []string{"internal", "carol", "votes", "recommendation", "vote", "escalate"}
	hidden := func(what string, body string, but ...string) {
		t.Helper()
		for _, s := range secrets {
			if strings.Contains(strings.ReplaceAll(body, "revoke", ""), s) {
				t.Errorf("%s shows %q:\n%s", what, s, body)
			}
		}
		for _, s := range but {
			if !strings.Contains(body, s) {
				t.Errorf("%s does not show %q:\n%s", what, s, body)
			}
		}
	}
	answer := b.call("member", "POST", at+"/answer", map[string]any{"text": "Nightly builds"})
	if answer.status != 200 {
		t.Fatalf("%d: %s", answer.status, answer.body)
	}
	hidden("an answer", string(answer.body), "What is it for?", "Nightly builds")
	hidden("a purpose", string(b.call("member", "POST", at+"/ask", map[string]any{"purpose": "builds"}).body), "builds")
	hidden("the timeline", string(b.call("member", "GET", "/api/tokens/"+id+"/timeline", nil).body), "approval.question")
	hidden("the token", string(b.call("member", "GET", "/api/tokens/"+id, nil).body))
	hidden("taking it back", string(b.call("member", "POST", at+"/withdraw", nil).body), "withdrawn")
	conflict := b.call("member", "POST", at+"/withdraw", nil)
	if conflict.status != 409 {
		t.Fatalf("%d: %s", conflict.status, conflict.body)
	}
	hidden("a conflict", string(conflict.body), "present")
	for what, body := range map[string]string{
		"a reviewer": string(b.call("reader", "GET", at, nil).body), "the socket": string(b.call("socket", "GET", "/api/tokens/"+id+"/timeline", nil).body),
	} {
		if !strings.Contains(body, "internal: we distrust bob") {
			t.Errorf("%s does not see the notes:\n%s", what, body)
		}
	}
}

// TestWhoAnswersForAnAccountSpeaksForIt through the API, in that organization, and
// reads what its owner does: nothing of what reviewers say among themselves.
func TestWhoAnswersForAnAccountSpeaksForIt(t *testing.T) {
	b := startBureau(t)
	b.do(t, inventory.AddMember{Organization: acme, User: "ci", Type: "service_account", Role: "write", Responsible: &[]string{"bob"}})
	b.do(t, inventory.AddMember{Organization: globex, User: "ci", Role: "write"})
	id := b.issueAs("account", inventory.IssueToken{Owner: "ci", Kind: "fine-grained", Grants: grantsOn([]string{"repo.write"}, acme, globex)})
	b.do(t, inventory.CommentRequest{Organization: acme, Token: id, Comment: "internal: we distrust ci"})
	b.do(t, inventory.AskOwner{Organization: acme, Token: id, Question: "What is it for?"})
	at := func(organization string) string {
		return "/api/organizations/" + organization + "/settings/tokens/" + id
	}
	answer := b.call("member", "POST", at(acme)+"/answer", map[string]any{"text": "It deploys"})
	if body := string(answer.body); answer.status != 200 || !strings.Contains(body, "It deploys") || strings.Contains(body, "internal") || strings.Contains(body, "recommendation") {
		t.Errorf("the answer: %d %s", answer.status, body)
	}
	row, err := b.Store.Token(t.Context(), acme, id)
	if err != nil || row.Authorization.Request.WaitsForOwner {
		t.Errorf("it waits for its owner still: %+v, %v", row, err)
	}
	for path, status := range map[string]int{at(globex) + "/answer": 403, "/api/tokens/" + id: 403, at(acme) + "/approve": 403} {
		method, body := "POST", any(map[string]any{"text": "x", "version": 1})
		if strings.HasPrefix(path, "/api/tokens") {
			method, body = "GET", nil
		}
		if a := b.call("member", method, path, body); a.status != status {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := b.call("reader", "POST", at(acme)+"/answer", map[string]any{"text": "x"}); a.status != 403 {
		t.Errorf("who does not answer for it: %d %s", a.status, a.body)
	}
}
