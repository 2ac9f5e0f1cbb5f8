package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin/console"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	uses "github.com/patrol-authz/patrol/authz/usage"
	"github.com/patrol-authz/patrol/test/browser"
)

// someProvider configures a login provider that nobody reaches: for sessions that
// sessionOf begins.
func someProvider(c *Config) {
	c.Login = LoginConfig{Issuer: "http://127.0.0.1:9", ClientID: "patrol"}
	c.Answer.PublicURL = cmp.Or(c.Answer.PublicURL, "http://127.0.0.1:9")
}

// sessionOf is the cookie of a user who has logged in by the provider that is
// configured.
func (w *world) sessionOf(t testing.TB, user string) map[string]string {
	t.Helper()
	if w.Config.Login.Issuer == "" {
		t.Fatal("without a provider there are no such sessions: start it with someProvider")
	}
	now := w.Clock()
	secret := fmt.Sprintf("of-%s-in-a-test-at-%d", user, now.UnixNano())
	err := sessions{w.Store}.Put(t.Context(), console.Session{Hash: hashOfSession(secret), Caller: console.Caller{Name: user, Issuer: w.Config.Login.Issuer}, Created: now, Expires: now.Add(time.Hour)}, now)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"Cookie": "patrol_session=" + secret}
}

// used gives a token a history: usage of a month, and findings.
func (w *world) used(t *testing.T, id string) {
	t.Helper()
	o, err := w.Store.Organization(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	b := &uses.Batch{}
	now := w.Clock()
	for day := range 30 {
		at := now.AddDate(0, 0, -day)
		for reason, n := range map[string]int64{"approved": int64(200 + 37*day%91), "insufficient_permission": int64(day % 7), "approval_pending": int64(max(0, day-20) * 9)} {
			if n > 0 {
				b.Counts = append(b.Counts, uses.Count{Key: uses.Key{
					Day: uses.DayOf(at), Token: id, Organization: o.ID, ResourceType: "model", Resource: "acme/model", Permission: "repo.write",
					Network: "192.0.2.0/24", Reason: reason, Allowed: reason == "approved",
				}, Count: n, First: at, Last: at})
			}
		}
	}
	b.Uses = []uses.Use{{Token: id, Organization: o.ID, Allowed: now, Refused: now}}
	if _, err := w.Store.WriteUsage(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	w.Hygiene.Close() // it would judge by the real rules
	err = w.Store.SaveFindings(t.Context(), []hygiene.Result{{Pair: hygiene.Pair{Organization: o.ID, Token: id}, Findings: []hygiene.Finding{
		{Name: "grants_never_used", Severity: hygiene.SeverityMedium, Title: "Grants never used", Message: "1 of its permissions was not used in 60 days", Do: "Narrow its grants", Details: map[string]any{
			"narrower": []any{map[string]any{"entity": map[string]any{"type": "organization", "name": "acme"}, "permissions": []any{"repo.content.read"}}},
		}},
		{Name: "no_expiry", Severity: hygiene.SeverityHigh, Title: "No expiry", Message: "It never ends", Do: "Give it an end", Details: map[string]any{"narrower": "not grants"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestATokensPageTellsHowItIsUsed(t *testing.T) {
	w, ids := consoleWorld(t)
	w.used(t, ids["dashboards"])
	base := "http://" + w.Config.Admin.Listen
	tab := w.loggedIn(t)
	for theme, dark := range map[string]bool{"light": false, "dark": true} {
		tab.Theme(dark)
		tab.Open(base + "/organizations/acme/tokens/" + ids["dashboards"])
		barriers(t, tab, "token "+theme)
		text := tab.Text("main")
		for _, want := range []string{
			"Grants never used.", "Narrow its grants", "These grants would do:", "read content on everything of acme", "No expiry.", "Insufficient permission: 85",
			"Last used", "Resources", "Networks", "What happened", "approved by uid:0", "asked for when it was issued",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the page does not say %q:\n%s", want, text)
			}
		}
		if n := browser.Evaluate[int](tab, "document.querySelectorAll('.chart rect.allowed').length"); n != 30 {
			t.Errorf("%d bars", n)
		}
		tab.Open(base + "/organizations/acme")
		barriers(t, tab, "overview "+theme)
		if text := tab.Text("main"); !strings.Contains(text, "Approval pending approval_pending") || !strings.Contains(text, "No expiry") {
			t.Errorf("the overview does not tell of refusals and findings:\n%s", text)
		}
	}
	tab.Click(".findings a")
	if text := tab.Text("main table"); !strings.Contains(text, "dashboards") || strings.Contains(text, "release job") {
		t.Errorf("the finding's tokens are not the listing:\n%s", text)
	}
	tab.Open(base + "/bundles")
	if text := tab.Text("main"); !strings.Contains(text, "Replicas") || !strings.Contains(text, "ready") {
		t.Errorf("the replicas are not shown:\n%s", text)
	}
	barriers(t, tab, "bundles")
}

func TestSettingsAreChangedInABrowser(t *testing.T) {
	w, _ := consoleWorld(t)
	w.do(t, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"our_own": []any{"x"}}})
	base := "http://" + w.Config.Admin.Listen
	tab := w.loggedIn(t)
	tab.Open(base + "/organizations/acme/settings")
	barriers(t, tab, "settings")
	tab.Tick("input[name=four_eyes]")
	tab.Type("input[name=request_cooldown_hours]", "4")
	tab.Type("input[name=review_act]", "read_only renewal")
	tab.Click("main button[type=submit]")
	if text := tab.Text("main"); !strings.Contains(text, "The settings are changed.") || !strings.Contains(text, "Other settings") ||
		!strings.Contains(text, "our_own") || !strings.Contains(text, "neither patrol nor a rule of the bundle reads it by name") {
		t.Errorf("after saving:\n%s", text)
	}
	o, err := w.Store.Organization(t.Context(), "acme")
	if err != nil || o.Settings["four_eyes"] != true || o.Settings["request_cooldown_hours"] != 4.0 || len(o.Settings["review_act"].([]any)) != 2 || o.Settings["our_own"] == nil {
		t.Errorf("the settings are %v, %v", o.Settings, err)
	}
	// What is wrong stands beside its field, and changes nothing.
	tab.Type("input[name=max_token_age_days]", "ninety")
	tab.Click("main button[type=submit]")
	if text := tab.Text("main"); !strings.Contains(text, "Write a whole number.") {
		t.Errorf("a number in words:\n%s", text)
	}
	tab.Open(base + "/organizations/acme/settings")
	tab.Type("input[name=review_act]", "nope")
	tab.Click("main button[type=submit]")
	if text := tab.Text("main"); !strings.Contains(text, "which is no review rule of the active bundle") {
		t.Errorf("a review rule that there is not:\n%s", text)
	}
	// Somebody else was there first.
	tab.Open(base + "/organizations/acme/settings")
	w.do(t, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"max_token_age_days": 30}})
	tab.Type("input[name=request_cooldown_hours]", "8")
	tab.Click("main button[type=submit]")
	if text := tab.Text("main"); !strings.Contains(text, "The organization acme has changed") {
		t.Errorf("a change that crossed another:\n%s", text)
	}
	if o, err := w.Store.Organization(t.Context(), "acme"); err != nil || o.Settings["max_token_age_days"] != 30.0 || o.Settings["request_cooldown_hours"] != 4.0 {
		t.Errorf("the settings are %v, %v", o.Settings, err)
	}
	reviewer := w.sessionOf(t, "rita")
	w.do(t, inventory.AddMember{Organization: "acme", User: "rita", Role: "reviewer"})
	if status, _, page := ask(t, "GET", base+"/organizations/acme/settings", nil, reviewer); status != 200 || strings.Contains(page, "Save") {
		t.Errorf("a reviewer's page of settings: %d\n%s", status, page)
	}
	if status, _, _ := ask(t, "POST", base+"/organizations/acme/settings", url.Values{"version": {"9"}}, reviewer); status != http.StatusForbidden {
		t.Errorf("a reviewer changes settings: %d", status)
	}
}

func TestEqualRequestsAreDecidedAtOnceInABrowser(t *testing.T) {
	w, ids := consoleWorld(t)
	base := "http://" + w.Config.Admin.Listen
	tab := w.loggedIn(t)
	tab.Open(base + "/organizations/acme/review")
	tab.Tick("summary")
	tab.Click("details button")
	for theme, dark := range map[string]bool{"dark": true, "light": false} {
		tab.Theme(dark)
		barriers(t, tab, "a group "+theme)
		tab.Picture(pictures, "reviewgroup-"+theme)
	}
	if text := tab.Text("main"); !strings.Contains(text, "3 tokens of bob, which ask for the same") {
		t.Errorf("the group:\n%s", text)
	}
	// One of them is decided on meanwhile: the others go through, and it is told.
	w.do(t, inventory.RevokeToken{Organization: "acme", Token: ids["release job"]})
	tab.Click("button[value=approve]")
	barriers(t, tab, "what came of a group")
	text := tab.Text("main")
	if !strings.Contains(text, "Not all of it worked") || strings.Count(text, "approved") != 2 || !strings.Contains(text, "release job") {
		t.Errorf("what came of it:\n%s", text)
	}
	for name, want := range map[string]string{"nightly builds": authz.StateApproved, "eval <b>harness</b>": authz.StateApproved, "release job": authz.StateRevoked} {
		if row, err := w.Store.Token(t.Context(), "acme", ids[name]); err != nil || row.Authorization.Status != want {
			t.Errorf("%s is %+v, %v; want %s", name, row.Authorization, err, want)
		}
	}
}

func TestAnOwnerRotatesInTheConsole(t *testing.T) {
	w, _ := consoleWorld(t)
	base := "http://" + w.Config.Admin.Listen
	secret := credential.Generate()
	token := w.do(t, inventory.IssueToken{Digest: w.digester.Secret(secret), Last4: secret.Last4(), Owner: "rob", DisplayName: "mine", Kind: authz.KindRead}).Token
	page := base + "/tokens/" + token.ID
	owner := w.sessionOf(t, "rob")
	status, _, body := ask(t, "GET", page, nil, owner)
	if status != 200 || !strings.Contains(body, "Give it another secret") {
		t.Fatalf("the owner's page: %d\n%s", status, body)
	}
	form := url.Values{"overlap": {"none"}, "version": {"1"}}
	w.do(t, inventory.AddMember{Organization: "acme", User: "alan", Role: "admin"})
	for who, header := range map[string]map[string]string{"an administrator": w.sessionOf(t, "alan"), "an operator": {"Cookie": w.session(t)}, "nobody": nil} {
		if status, _, body := ask(t, "POST", page+"/rotate", form, header); status == 200 || strings.Contains(body, "ptl_") {
			t.Errorf("%s rotates somebody's token: %d", who, status)
		}
	}
	status, header, body := ask(t, "POST", page+"/rotate", form, owner)
	shown := regexp.MustCompile(`ptl_[0-9A-Za-z]{42}`).FindString(body)
	if status != 200 || shown == "" || header.Get("Cache-Control") != "no-store" {
		t.Fatalf("rotating answers %d, %q:\n%s", status, header.Get("Cache-Control"), body)
	}
	conn := w.overSocket(t)
	path := "/api/whoami-v2"
	if got := headerOf(checkWith(t, conn, path, secret).GetDeniedResponse().GetHeaders(), "X-Error-Code"); got != "token_unknown" {
		t.Errorf("the old secret: %q", got)
	}
	if r := checkWith(t, conn, path, credential.NewSecret(shown)); r.GetOkResponse() == nil {
		t.Errorf("the new secret: %v", r)
	}
	// Sent again, by a reload, it changes nothing.
	if status, _, body := ask(t, "POST", page+"/rotate", form, owner); status != http.StatusConflict || strings.Contains(body, "ptl_") {
		t.Errorf("sent again: %d", status)
	}
	if row, err := w.Store.Token(context.Background(), "", token.ID); err != nil || row.Version != 2 {
		t.Errorf("the token is %+v, %v", row, err)
	}
}

func TestThePeoplesAddressHasPagesAndNoAPI(t *testing.T) {
	w := startApp(t, func(c *Config) {
		c.Answer.PublicURL, c.People.Listen = "https://patrol.example.com", "127.0.0.1:0"
	})
	base := "http://" + w.Config.People.Listen
	if status, _, body := ask(t, "GET", base+"/login", nil, nil); status != 200 || !strings.Contains(body, "Log in") {
		t.Errorf("the page: %d\n%s", status, body)
	}
	for _, path := range []string{"/api/whoami-v2", "/api/openapi.json", "/api/organizations"} {
		if status, header, _ := ask(t, "GET", base+path, nil, map[string]string{"Authorization": "Bearer x"}); status != http.StatusNotFound || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
			t.Errorf("%s answers %d", path, status)
		}
	}
}

func hashOfSession(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// TestTheQueueComesUpToDateByItself, and not under somebody's hands.
func TestTheQueueComesUpToDateByItself(t *testing.T) {
	w, _ := consoleWorld(t)
	tab := w.loggedIn(t)
	tab.Open("http://" + w.Config.Admin.Listen + "/organizations/acme/review")
	refresh := func() { browser.Evaluate[any](tab, "htmx.trigger('#queue', 'refresh'); 0") }
	queue := func() string { return tab.Text("#queue") }
	if text := queue(); !strings.Contains(text, "3 tokens wait") {
		t.Fatalf("the queue:\n%s", text)
	}
	w.issueFor(t, "fourth")
	refresh()
	waitFor(t, "the fourth is shown", func() bool { return strings.Contains(queue(), "4 tokens wait") })
	// Somebody has opened a group: it stays open.
	tab.Tick("summary")
	w.issueFor(t, "fifth")
	refresh()
	time.Sleep(time.Second)
	if text := queue(); !strings.Contains(text, "4 tokens wait") {
		t.Errorf("it changed under somebody's hands:\n%s", text)
	}
	tab.Tick("summary")
	browser.Evaluate[any](tab, "document.activeElement.blur(); 0")
	refresh()
	waitFor(t, "the fifth is shown", func() bool { return strings.Contains(queue(), "5 tokens wait") })
	// The session has ended: the page to log in on comes, whole.
	db, err := sql.Open("sqlite", filepath.Join(w.Config.DataDir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DELETE FROM sessions"); err != nil {
		t.Fatal(err)
	}
	refresh()
	waitFor(t, "the login", func() bool { return strings.Contains(tab.Address(), "/login?next=") })
}

// TestWhatComesUpToDateStaysWhatWasChosen: the order, and the page of the queue;
// what was done last is not said again.
func TestWhatComesUpToDateStaysWhatWasChosen(t *testing.T) {
	w, ids := consoleWorld(t)
	risky := w.issueTo(t, "rob", "risky")
	tab := w.loggedIn(t)
	base := "http://" + w.Config.Admin.Listen + "/organizations/acme/review"
	first := func() string {
		return browser.Evaluate[string](tab, `document.querySelector(".queue a").getAttribute("href")`)
	}
	refresh := func(name string) {
		t.Helper()
		w.issueTo(t, "rob", name)
		browser.Evaluate[any](tab, "htmx.trigger('#queue', 'refresh'); 0")
		waitFor(t, name+" is shown", func() bool { return strings.Contains(tab.HTML("#queue"), name) })
	}
	tab.Open(base + "?done=approved&sort=risk")
	for _, name := range []string{"", "one", "two"} { // also what came up to date does so again
		if name != "" {
			refresh(name)
		}
		if got := first(); !strings.HasSuffix(got, risky+"?sort=risk") {
			t.Errorf("with %q the first of the queue is %s, not the riskiest", name, got)
		}
		if asked := browser.Evaluate[string](tab, `document.querySelector("#queue").getAttribute("hx-get")`); asked != "/organizations/acme/review?sort=risk" {
			t.Errorf("what is asked for anew is %s", asked)
		}
	}
	_, next, err := w.Store.FindApprovals(t.Context(), "acme", inventory.ApprovalFilter{Status: "open"}, inventory.Page{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	tab.Open(base + "?cursor=" + url.QueryEscape(next))
	refresh("three")
	if text := tab.HTML("#queue"); strings.Contains(text, ids["nightly builds"]) || !strings.Contains(text, ids["release job"]) {
		t.Errorf("the second page became\n%s", text)
	}
}

// TestTheConsolesHtmxIsThePublishedOne.
func TestTheConsolesHtmxIsThePublishedOne(t *testing.T) {
	published, err := os.ReadFile("../../tools/node/node_modules/htmx.org/dist/htmx.min.js")
	if err != nil {
		t.Fatalf("htmx is missing (run make parts): %v", err)
	}
	ours, err := os.ReadFile("../../authz/admin/console/static/htmx.min.js")
	if err != nil || string(ours) != string(published) {
		t.Errorf("the console's htmx.min.js is not that of tools/node/package.json: %v", err)
	}
}
