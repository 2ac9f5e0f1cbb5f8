package main

import (
	"html"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
)

// TestFormsKeepWhatWasTyped, and say what is wrong with it, without a script;
// nothing is changed.
func TestFormsKeepWhatWasTyped(t *testing.T) {
	w, ids := consoleWorld(t)
	base := "http://" + w.Config.Admin.Listen
	operating := map[string]string{"Cookie": w.session(t)}
	token := ids["nightly builds"]
	row, err := w.Store.Token(t.Context(), "acme", token)
	if err != nil {
		t.Fatal(err)
	}
	request := row.Authorization.Request.ID
	one, group := "/organizations/acme/review/"+token, "/organizations/acme/review/group/decide"
	decide := func(pairs ...string) url.Values {
		v := url.Values{"version": {"1"}, "request": {request}, "reviewed": {token + "/1/" + request}, "grant": {"organization acme repo.write"}, "until": {"90"}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	long := strings.Repeat("why ", 501)
	cases := []struct {
		name, path string
		form       url.Values
		says       []string
		owner      bool
	}{
		{"a day that is none", one, decide("decision", "approve", "until", "date", "date", "soon", "comment", "kept <b>word</b>"), []string{"Write the day as", `value="kept <b>word</b>"`, `value="soon"`}, false},
		{"a day that has passed", one, decide("decision", "approve", "until", "date", "date", "2001-01-01"), []string{"The day lies in the past", `value="2001-01-01"`}, false},
		{"nothing ticked", one, decide("decision", "approve", "grant", "", "comment", "kept"), []string{"Tick what to approve", `value="kept"`}, false},
		{"no word on how long", one, decide("decision", "approve", "until", ""), []string{"Choose how long"}, false},
		{"no reason", one, decide("decision", "deny", "comment", "kept"), []string{"Say why", `value="kept"`}, false},
		{"a reason that is too long", one, decide("decision", "deny", "reason", long), []string{"This is too long.", strings.TrimSpace(long)}, false},
		{"a word that is too long", one, decide("decision", "approve", "comment", long), []string{"This is too long.", strings.TrimSpace(long)}, false},
		{"a control character", one, decide("decision", "deny", "reason", "a\x07b"), []string{"holds a control character"}, false},
		{"no decision", one, decide("comment", "kept"), []string{"Approve or deny.", `value="kept"`}, false},
		{"no version", one, decide("decision", "approve", "version", ""), []string{"open the page again"}, false},
		{"a group without a reason", group, decide("decision", "deny", "comment", "kept"), []string{"Say why", `value="kept"`}, false},
		{"a group with a reason that is too long", group, decide("decision", "deny", "reason", long), []string{"This is too long.", strings.TrimSpace(long)}, false},
		{"an empty question", one + "/talk", url.Values{"talk": {"question"}, "text": {""}}, []string{"<details open>", `class="problem"`}, false},
		{"an empty note", one + "/talk", url.Values{"talk": {"comment"}, "text": {" "}}, []string{"<details open>", `class="problem"`}, false},
		{"nobody by that name", one + "/talk", url.Values{"talk": {"assign"}, "assignee": {"nobody"}, "text": {"kept"}}, []string{"does not exist", `value="nobody"`, ">kept</textarea>"}, false},
		{"a word on revoking that is too long", "/organizations/acme/tokens/act", url.Values{"action": {"revoke"}, "token": {token}, "comment": {long}}, []string{"This is too long.", strings.TrimSpace(long)}, false},
		{"a purpose that is too long", "/tokens/" + token + "/ask", url.Values{"organization": {"acme"}, "purpose": {long}}, []string{"The purpose is too long.", strings.TrimSpace(long)}, true},
		{"no purpose", "/tokens/" + token + "/ask", url.Values{"organization": {"acme"}, "purpose": {""}}, []string{"The purpose "}, true},
	}
	owner := w.sessionOf(t, "bob")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			header := maps.Clone(operating)
			if c.owner {
				header = owner
			}
			status, _, body := ask(t, "POST", base+c.path, c.form, header)
			if status != http.StatusUnprocessableEntity {
				t.Errorf("it answers %d", status)
			}
			if strings.Contains(body, "<b>word") {
				t.Error("what was typed became markup")
			}
			for _, want := range c.says {
				if !strings.Contains(html.UnescapeString(body), want) {
					t.Errorf("the page does not have %q:\n%s", want, body)
				}
			}
		})
	}
	if row, err := w.Store.Token(t.Context(), "acme", token); err != nil || row.Authorization.Status != "pending" || row.Version != 1 {
		t.Errorf("the token is %+v, %v: something was changed", row, err)
	}
}

// TestAReasonOfSeveralLines: browsers send CR LF.
func TestAReasonOfSeveralLines(t *testing.T) {
	w, ids := consoleWorld(t)
	base := "http://" + w.Config.Admin.Listen
	tab := w.loggedIn(t)
	tab.Open(base + "/organizations/acme/review/" + ids["release job"])
	tab.Type("textarea[name=reason]", "Reading would do.\nWhich job is it?")
	tab.Click("button[value=deny]")
	row, err := w.Store.Token(t.Context(), "acme", ids["release job"])
	if err != nil || row.Authorization.Status != authz.StateDenied || row.Authorization.Comment != "Reading would do.\nWhich job is it?" {
		t.Errorf("the token is %+v, %v", row.Authorization, err)
	}
}
