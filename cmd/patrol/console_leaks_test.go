package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestASecretInAFieldIsNotShownAgain: neither in the field, nor in what is said
// about it.
func TestASecretInAFieldIsNotShownAgain(t *testing.T) {
	w, ids := consoleWorld(t)
	header := map[string]string{"Cookie": w.session(t)}
	base := "http://" + w.Config.Admin.Listen + "/organizations/acme"
	secret := credential.Generate().Reveal()
	for name, c := range map[string]struct {
		path string
		form url.Values
	}{
		"a setting":                   {"/settings", url.Values{"version": {"1"}, "review_act": {secret}, "request_cooldown_hours": {"many"}}},
		"what a setting was":          {"/settings", url.Values{"version": {"0"}, "was.review_act": {secret}, "review_act": {"none"}, "max_token_age_days": {secret}}},
		"whom a request is given":     {"/review/" + ids["release job"] + "/talk", url.Values{"act": {"assign"}, "assignee": {secret}}},
		"what is asked of the owner":  {"/review/" + ids["release job"] + "/talk", url.Values{"act": {"ask"}, "text": {secret}}},
		"why it is denied, and later": {"/review/" + ids["release job"], url.Values{"decision": {"deny"}, "reason": {secret}, "version": {"0"}}},
	} {
		status, _, body := ask(t, http.MethodPost, base+c.path, c.form, header)
		if status < 400 || status >= 500 || strings.Contains(body, secret) {
			t.Errorf("%s: %d\n%s", name, status, body)
		}
	}
}

// TestARotationThatWasCrossedTellsOfTheTokenAlone: not what happened to it in
// organizations, of which its owner has left one.
func TestARotationThatWasCrossedTellsOfTheTokenAlone(t *testing.T) {
	w, _ := consoleWorld(t)
	id := w.issueFor(t, "crossed")
	token, err := w.Store.Token(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	header := w.sessionOf(t, token.Owner)
	opened := w.Clock().Add(-time.Second).UTC().Format(time.RFC3339Nano)
	w.do(t, inventory.DisableToken{Token: id})
	w.do(t, inventory.EnableToken{Token: id})
	for range 3 { // more than a conflict tells
		w.do(t, inventory.SuspendToken{Organization: "acme", Token: id, Comment: "a word among administrators"})
		w.do(t, inventory.ResumeToken{Organization: "acme", Token: id})
	}
	status, _, body := ask(t, http.MethodPost, "http://"+w.Config.Admin.Listen+"/tokens/"+id+"/rotate", url.Values{"version": {"99"}, "overlap": {"none"}, "opened": {opened}}, header)
	if status != http.StatusConflict || !strings.Contains(body, "enabled") || strings.Contains(body, "uid:") {
		t.Errorf("%d\n%s", status, body)
	}
	_, note, _ := strings.Cut(body, "nothing of what you sent")
	note, _, _ = strings.Cut(note, "</div>")
	if strings.Contains(note, "suspended") || strings.Contains(note, "resumed") {
		t.Errorf("it tells of an organization: %s", note)
	}
}
