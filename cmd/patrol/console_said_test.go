package main

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestWhatAnOwnerSaysOnARequestThatWasDecidedMeanwhile is not lost, and the page
// says why nothing was done.
func TestWhatAnOwnerSaysOnARequestThatWasDecidedMeanwhile(t *testing.T) {
	w, ids := consoleWorld(t)
	token := ids["nightly builds"]
	w.do(t, inventory.AskOwner{Organization: "acme", Token: token, Question: "Which job?"})
	w.do(t, inventory.RevokeToken{Organization: "acme", Token: token})
	for field, c := range map[string]struct{ path, problem string }{
		"answer":  {"/answer", "No request is open on this token."},
		"purpose": {"/ask", "The token was revoked for this organization, which is final."},
	} {
		secret := credential.Generate().Reveal()
		for _, text := range []string{"The one of <b>the website</b>", "It is " + secret} {
			status, _, body := ask(t, "POST", "http://"+w.Config.Admin.Listen+"/tokens/"+token+c.path, url.Values{"organization": {"acme"}, field: {text}}, w.sessionOf(t, "bob"))
			if strings.Contains(text, secret) {
				if strings.Contains(body, secret) {
					t.Errorf("%s: a secret is shown again", field)
				}
				continue
			}
			if status != http.StatusConflict || !strings.Contains(html.UnescapeString(body), c.problem) || !strings.Contains(body, "<blockquote>"+html.EscapeString(text)+"</blockquote>") {
				t.Errorf("%s: %d\n%s", field, status, body)
			}
		}
	}
}

// TestASecretThatIsTypedIntoAFieldIsNotShownAgain, nor quoted, nor kept.
func TestASecretThatIsTypedIntoAFieldIsNotShownAgain(t *testing.T) {
	w, ids := consoleWorld(t)
	secret := credential.Generate().Reveal()
	row, err := w.Store.Organization(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]struct {
		path string
		form url.Values
	}{
		"assignee": {"/organizations/acme/review/" + ids["nightly builds"] + "/talk", url.Values{"talk": {"assign"}, "assignee": {secret}}},
	}
	for _, field := range []string{"review_act", "request_cooldown_hours", "max_token_age_days", "max_token_lifetime_days"} {
		forms[field] = struct {
			path string
			form url.Values
		}{"/organizations/acme/settings", url.Values{"version": {fmt.Sprint(row.Version)}, field: {secret}, "was." + field: {secret}}}
	}
	for name, c := range forms {
		status, _, body := ask(t, "POST", "http://"+w.Config.Admin.Listen+c.path, c.form, map[string]string{"Cookie": w.session(t)})
		if status != http.StatusUnprocessableEntity || strings.Contains(body, secret) || !strings.Contains(body, `class="problem"`) {
			t.Errorf("%s: %d, with the secret %v\n%s", name, status, strings.Contains(body, secret), body)
		}
	}
}

// TestACrossedRotationTellsOfTheTokenAlone: of what was done there to the own token
// who has left an organization learns on its page, and nobody's name.
func TestACrossedRotationTellsOfTheTokenAlone(t *testing.T) {
	w, _ := consoleWorld(t)
	secret := credential.Generate()
	token := w.do(t, inventory.IssueToken{
		Digest: w.digester.Secret(secret), Last4: secret.Last4(), Owner: "rob", DisplayName: "mine", Kind: authz.KindFineGrained,
		Grants: []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write"}}},
	}).Token
	name := "mine, renamed"
	w.do(t, inventory.UpdateToken{Token: token.ID, DisplayName: &name})
	for range 4 { // more than a conflict tells
		w.do(t, inventory.SuspendToken{Organization: "acme", Token: token.ID})
		w.do(t, inventory.ResumeToken{Organization: "acme", Token: token.ID})
	}
	w.do(t, inventory.AddMember{Organization: "acme", User: "rob", Role: "write"})
	if _, err := w.Store.Do(t.Context(), inventory.Actor{Kind: "console", Name: "alice"}, inventory.AskOwner{Organization: "acme", Token: token.ID, Question: "Which job?"}); err != nil {
		t.Fatal(err)
	}
	w.do(t, inventory.RemoveMember{Organization: "acme", User: "rob"})
	owner, page := w.sessionOf(t, "rob"), "http://"+w.Config.Admin.Listen+"/tokens/"+token.ID
	status, _, body := ask(t, "POST", page+"/rotate", url.Values{"overlap": {"none"}, "version": {"1"}}, owner)
	note, _, _ := strings.Cut(body, "Below is how it stands now")
	if status != http.StatusConflict || !strings.Contains(note, "<strong>changed</strong> by an operator") || strings.Contains(note, "suspended") || strings.Contains(note, "uid:") {
		t.Errorf("%d\n%s", status, body)
	}
	status, _, body = ask(t, "GET", page+"?organization=acme", nil, owner)
	if status != http.StatusOK || strings.Contains(body, "uid:") || strings.Contains(body, "alice") || !strings.Contains(body, "Which job?") {
		t.Errorf("a member no more: %d\n%s", status, body)
	}
}
