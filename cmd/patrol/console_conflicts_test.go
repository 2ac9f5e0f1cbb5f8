package main

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/test/browser"
)

// crossedWorld is a consoleWorld with two administrators who are logged in.
func crossedWorld(t *testing.T) (w *world, ids map[string]string, alice, carol *browser.Tab) {
	t.Helper()
	w, ids = consoleWorld(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "carol", Role: "admin"})
	return w, ids, w.browserOf(t, "alice"), w.browserOf(t, "carol")
}

func typedIn(tab *browser.Tab, selector string) string {
	return browser.Evaluate[string](tab, `document.querySelector("`+selector+`").value`)
}

// TestTwoAdministratorsDecideTheSameRequest: the second learns who decided what,
// and when; what they typed is there to go on with.
func TestTwoAdministratorsDecideTheSameRequest(t *testing.T) {
	w, ids, alice, carol := crossedWorld(t)
	page := "http://" + w.Config.Admin.Listen + "/organizations/acme/review/" + ids["release job"]
	alice.Open(page)
	carol.Open(page)
	alice.Type("input[name=comment]", "for the release")
	alice.Click("button[value=approve]")
	carol.Type("textarea[name=reason]", "Reading would do.")
	carol.Click("button[value=deny]")
	text := carol.Text("main")
	for _, want := range []string{"The token release job has changed; nothing of what you sent was done.", "approved by alice", "for the release", "20"} {
		if !strings.Contains(carol.Text(".note.bad"), want) {
			t.Errorf("the second is not told %q:\n%s", want, text)
		}
	}
	if n := browser.Evaluate[int](carol, `document.querySelectorAll(".note.bad time").length`); n != 1 {
		t.Errorf("%d changes are told, want the one that was made meanwhile", n)
	}
	if got := typedIn(carol, "textarea[name=reason]"); got != "Reading would do." {
		t.Errorf("the reason is %q", got)
	}
	inBothThemes(t, carol, "conflict")
	if got := w.status(t, ids["release job"]); got != authz.StateApproved {
		t.Fatalf("the second's decision was carried out: %s", got)
	}
	// To go on from how it stands now is one more click.
	carol.Click("button[value=deny]")
	row, err := w.Store.Token(t.Context(), "acme", ids["release job"])
	if err != nil || row.Authorization.Status != authz.StateDenied || row.Authorization.Comment != "Reading would do." {
		t.Errorf("the token is %+v, %v", row.Authorization, err)
	}
}

// TestATokenThatAsksForMoreMeanwhile: what is different is told; what was ticked
// for one thing is not ticked for another.
func TestATokenThatAsksForMoreMeanwhile(t *testing.T) {
	w, ids, alice, _ := crossedWorld(t)
	alice.Open("http://" + w.Config.Admin.Listen + "/organizations/acme/review/" + ids["release job"])
	grants := []authz.Grant{
		{Entity: authz.Entity{Type: "model", Name: "acme/secret"}, Permissions: []string{"repo.write"}},
		{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write"}},
	}
	w.do(t, inventory.UpdateToken{Token: ids["release job"], Grants: &grants})
	alice.Type("input[name=comment]", "kept")
	alice.Click("button[value=approve]")
	if text := alice.Text(".note.bad"); !strings.Contains(text, "It asks for more: repo.write on model acme/secret.") || !strings.Contains(text, "changed by uid:") {
		t.Errorf("the conflict:\n%s", text)
	}
	ticked := browser.Evaluate[string](alice, `[...document.querySelectorAll("input[name=grant]:checked")].map(e => e.value).join(", ")`)
	if ticked != "organization acme repo.write" || typedIn(alice, "input[name=comment]") != "kept" {
		t.Errorf("ticked is %q; what was not reviewed is not to be", ticked)
	}
}

// TestWhatIsSaidOnARequestThatWasDecidedMeanwhile is not lost.
func TestWhatIsSaidOnARequestThatWasDecidedMeanwhile(t *testing.T) {
	w, ids, alice, _ := crossedWorld(t)
	page := "http://" + w.Config.Admin.Listen + "/organizations/acme/review/"
	for _, c := range []struct {
		name, token string
		meanwhile   inventory.Command
	}{
		{"question", "release job", inventory.Deny{Organization: "acme", Token: ids["release job"], Version: 1, Reason: "no"}},
		{"comment", "nightly builds", inventory.RevokeToken{Organization: "acme", Token: ids["nightly builds"]}},
	} {
		alice.Open(page + ids[c.token])
		alice.Tick("summary")
		w.do(t, c.meanwhile)
		alice.Type("textarea[name=text]", "Which job is it?")
		alice.Click("button[value=" + c.name + "]")
		if text := alice.Text("main"); !strings.Contains(text, "has changed; nothing of what you sent was done") || alice.Text("blockquote") != "Which job is it?" {
			t.Errorf("%s:\n%s", c.name, text)
		}
		barriers(t, alice, c.name)
	}
}

// TestSettingsThatTwoChange: the second keeps what they typed, and what they did
// not touch becomes what the first made it.
func TestSettingsThatTwoChange(t *testing.T) {
	w, _, alice, carol := crossedWorld(t)
	page := "http://" + w.Config.Admin.Listen + "/organizations/acme/settings"
	alice.Open(page)
	carol.Open(page)
	alice.Type("input[name=max_token_age_days]", "30")
	alice.Type("input[name=request_cooldown_hours]", "4")
	browser.Evaluate[any](alice, `document.querySelector("[name=notify_gather]").value = "daily"; 0`)
	alice.Click("main button[type=submit]")
	carol.Type("input[name=request_cooldown_hours]", "8")
	carol.Tick("input[name=four_eyes]")
	carol.Click("main button[type=submit]")
	text := carol.Text("main")
	for _, want := range []string{"The organization acme has changed", "settings changed by alice", "greatest age in days: 30", "new requests in one mail: daily", "Meanwhile somebody else made it: 4."} {
		if !strings.Contains(text, want) {
			t.Errorf("carol is not told %q:\n%s", want, text)
		}
	}
	if age, hours := typedIn(carol, "[name=max_token_age_days]"), typedIn(carol, "[name=request_cooldown_hours]"); age != "30" || hours != "8" {
		t.Errorf("the fields are %q and %q", age, hours)
	}
	inBothThemes(t, carol, "settings-conflict")
	carol.Click("main button[type=submit]")
	o := w.organization(t)
	want := map[string]any{"four_eyes": true, "request_cooldown_hours": 8.0, "max_token_age_days": 30.0, "notify_gather": "daily"}
	for key, v := range want {
		if o.Settings[key] != v {
			t.Errorf("%s is %v, want %v", key, o.Settings[key], v)
		}
	}
	// The audit log has what each changed, and no more.
	rows, _, err := w.Store.Audit(t.Context(), "acme", inventory.Page{Limit: 1})
	if err != nil || len(rows[0].Details["settings"].(map[string]any)) != 2 {
		t.Errorf("carol changed %v, %v", rows[0].Details, err)
	}
}

// TestAPolicyThatWasPreviewedForAnotherState is not saved: it may do something
// else by now.
func TestAPolicyThatWasPreviewedForAnotherState(t *testing.T) {
	w, _, alice, _ := crossedWorld(t)
	base := "http://" + w.Config.Admin.Listen
	alice.Open(base + "/organizations/acme/policy?preview=1&token_policy=only_fine_grained_tokens&when=now&enforcement=enforce")
	w.do(t, inventory.SetPolicy{Organization: "acme", Enforcement: authz.Observe})
	alice.Click("form.policy > p:last-child button")
	if text := alice.Text("main"); !strings.Contains(text, "The organization acme has changed") || !strings.Contains(text, "token policy changed by uid:") || !strings.Contains(text, "mode: observe") || strings.Contains(text, "Save") {
		t.Errorf("the conflict:\n%s", text)
	}
	if !browser.Evaluate[bool](alice, `document.querySelector("#p-only_fine_grained_tokens").checked`) {
		t.Error("what was chosen is lost")
	}
	barriers(t, alice, "a policy that crossed another")
	alice.Click("button[name=preview]")
	alice.Click("form.policy > p:last-child button")
	if o := w.organization(t); o.TokenPolicy != "only_fine_grained_tokens" || o.Enforcement != authz.Enforce {
		t.Errorf("it is %+v", o)
	}
}

// TestAGroupOfWhichSomeHaveChanged: who did what stands beside each, and those
// that can be decided on after all are looked at again with what was typed.
func TestAGroupOfWhichSomeHaveChanged(t *testing.T) {
	w, ids, alice, _ := crossedWorld(t)
	fourth := w.issueFor(t, "fourth")
	alice.Open("http://" + w.Config.Admin.Listen + "/organizations/acme/review")
	alice.Tick("summary")
	alice.Click("details button")
	grants := []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write", "org.read"}}}
	for _, id := range []string{ids["release job"], ids["nightly builds"]} {
		w.do(t, inventory.UpdateToken{Token: id, Grants: &grants})
	}
	w.do(t, inventory.RevokeToken{Organization: "acme", Token: fourth, Comment: "leaked"})
	alice.Type("textarea[name=reason]", "Reading would do.")
	alice.Click("button[value=deny]")
	text := alice.Text("main")
	for _, want := range []string{"Not all of it worked", "denied", "It asks for more: org.read on organization acme.", "changed by uid:", "revoked by uid:", "Look at 2 tokens again"} {
		if !strings.Contains(text, want) {
			t.Errorf("it is not told %q:\n%s", want, text)
		}
	}
	inBothThemes(t, alice, "groupresults-conflict")
	alice.Click("main button[type=submit]")
	if got := typedIn(alice, "textarea[name=reason]"); got != "Reading would do." {
		t.Errorf("the reason is %q", got)
	}
	alice.Click("button[value=deny]")
	for _, name := range []string{"release job", "nightly builds", "eval <b>harness</b>"} {
		row, err := w.Store.Token(t.Context(), "acme", ids[name])
		if err != nil || row.Authorization.Status != authz.StateDenied || row.Authorization.Comment != "Reading would do." {
			t.Errorf("%s is %+v, %v", name, row.Authorization, err)
		}
	}
}

// TestAFormThatIsSentAfterTheSessionEnded changes nothing, and says so; what was
// typed is shown once more, and the login leads back.
func TestAFormThatIsSentAfterTheSessionEnded(t *testing.T) {
	w, ids, alice, _ := crossedWorld(t)
	base := "http://" + w.Config.Admin.Listen
	page := "/organizations/acme/review/" + ids["release job"]
	alice.Open(base + page + "?sort=risk&done=approved")
	w.after(t, 9*60*60*1e9)
	alice.Type("textarea[name=reason]", "Reading <b>would</b> do.")
	alice.Click("button[value=deny]")
	if text := alice.Text("main"); !strings.Contains(text, "Log in") || !strings.Contains(text, "Nothing was changed: you are not logged in, or not any more.") || !strings.Contains(text, "Reading <b>would</b> do.") {
		t.Errorf("what is said:\n%s", text)
	}
	barriers(t, alice, "a form that was sent too late")
	if got := w.status(t, ids["release job"]); got != "pending" {
		t.Errorf("the token is %s", got)
	}
	// Each action answers so, and none leads to another site.
	for _, path := range []string{page, page + "/talk", "/organizations/acme/tokens/act", "/organizations/acme/settings", "/organizations/acme/policy", "/me/address"} {
		status, header, body := ask(t, "POST", base+path, url.Values{"comment": {"kept"}}, map[string]string{"Referer": "https://evil.example/x"})
		if status != http.StatusForbidden || header.Get("Location") != "" || !strings.Contains(body, "Nothing was changed") || !strings.Contains(body, "kept") || strings.Contains(body, "evil") {
			t.Errorf("%s: %d\n%s", path, status, body)
		}
	}
}

// TestSettingsThatAreManagedElsewhere are shown, with who manages them, and no
// form; a form is refused.
func TestSettingsThatAreManagedElsewhere(t *testing.T) {
	w, _ := consoleWorld(t)
	w.do(t, inventory.CreateOrganization{Name: "managed", ManagedBy: "the platform's file", Settings: map[string]any{"max_token_age_days": 30, "four_eyes": true}})
	header := map[string]string{"Cookie": w.session(t)}
	page := "http://" + w.Config.Admin.Listen + "/organizations/managed/settings"
	status, _, body := ask(t, "GET", page, nil, header)
	main := body[strings.Index(body, "<main"):]
	if status != http.StatusOK || !strings.Contains(html.UnescapeString(main), "They are managed by the platform's file") || strings.Contains(main, "<form") || !regexp.MustCompile(`greatest age in days</dt><dd>30<`).MatchString(main) {
		t.Errorf("the page: %d\n%s", status, main)
	}
	status, _, body = ask(t, "POST", page, url.Values{"version": {"1"}, "max_token_age_days": {"90"}}, header)
	if status != http.StatusConflict || !strings.Contains(html.UnescapeString(body), "managed by the platform's file") {
		t.Errorf("a change: %d\n%s", status, body)
	}
	if o, err := w.Store.Organization(t.Context(), "managed"); err != nil || o.Settings["max_token_age_days"] != 30.0 || o.Version != 1 {
		t.Errorf("it is %+v, %v", o, err)
	}
}

// TestAnAddressIsConfirmedAsItWasShown: one that was given meanwhile is not
// confirmed on a word for the one before.
func TestAnAddressIsConfirmedAsItWasShown(t *testing.T) {
	w, _ := consoleWorld(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "zoe", Role: "read", Email: "zoe@example.com"})
	page := "http://" + w.Config.Admin.Listen + "/organizations/acme/members"
	operating := map[string]string{"Cookie": w.session(t)}
	of := regexp.MustCompile(`name="user" value="zoe"><input type="hidden" name="version" value="(\d+)"`)
	shown := func() string {
		t.Helper()
		_, _, body := ask(t, "GET", page, nil, operating)
		found := of.FindStringSubmatch(body)
		if found == nil {
			t.Fatalf("zoe's form has no version:\n%s", body)
		}
		return found[1]
	}
	confirmed := func() bool {
		t.Helper()
		row, err := w.Store.Member(t.Context(), "acme", "zoe")
		if err != nil {
			t.Fatal(err)
		}
		return row.EmailConfirmedAt != nil
	}
	before := shown()
	w.do(t, inventory.AddMember{Organization: "acme", User: "zoe", Role: "read", Email: "mallory@example.com"})
	for version, want := range map[string]int{before: http.StatusConflict, "": http.StatusUnprocessableEntity, "x": http.StatusUnprocessableEntity} {
		for _, what := range []string{"/confirm", "/ask"} {
			status, _, body := ask(t, "POST", page+what, url.Values{"user": {"zoe"}, "version": {version}}, operating)
			if status != want || !strings.Contains(body, "Nothing was changed") {
				t.Errorf("%s at version %q answers %d, want %d", what, version, status, want)
			}
		}
	}
	if confirmed() {
		t.Fatal("an address that nobody looked at is confirmed")
	}
	if status, _, _ := ask(t, "POST", page+"/confirm", url.Values{"user": {"zoe"}, "version": {shown()}}, operating); status != http.StatusSeeOther || !confirmed() {
		t.Errorf("the address that was shown: %d, confirmed %t", status, confirmed())
	}
}
