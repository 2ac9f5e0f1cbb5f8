package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/test/browser"
)

// inBothThemes looks at a page that a form led to, which has no address to go to
// again, in both themes and on a phone.
func inBothThemes(t *testing.T, tab *browser.Tab, name string) {
	t.Helper()
	for theme, dark := range map[string]bool{"dark": true, "light": false} {
		tab.Theme(dark)
		barriers(t, tab, name+" "+theme)
		tab.Picture(pictures, name+"-"+theme)
	}
	tab.Phone()
	barriers(t, tab, name+" on a phone")
	if browser.Evaluate[bool](tab, "document.documentElement.scrollWidth > document.documentElement.clientWidth") {
		t.Errorf("%s: the page is wider than a phone", name)
	}
	tab.Picture(pictures, name+"-phone")
	tab.Desktop()
}

// TestThePageOfANewSecretHasNoBarriers: an owner rotates in a browser; the
// secret is shown once.
func TestThePageOfANewSecretHasNoBarriers(t *testing.T) {
	w, base := oidcWorld(t)
	secret := credential.Generate()
	token := w.do(t, inventory.IssueToken{Digest: w.digester.Secret(secret), Last4: secret.Last4(), Owner: "bob", DisplayName: "nightly builds", Kind: authz.KindRead}).Token
	tab := browser.Start(t)
	loginAs(tab, base, "bob", "/tokens/"+token.ID)
	tab.Tick("summary")
	barriers(t, tab, "an owner's page")
	tab.Click("details button[type=submit]")
	text := tab.Text("main")
	if !regexp.MustCompile(`ptl_[0-9A-Za-z]{42}`).MatchString(text) || !strings.Contains(text, "only time it is shown") {
		t.Fatalf("the new secret is not shown:\n%s", text)
	}
	if label := browser.Evaluate[string](tab, `document.querySelector(".secret").getAttribute("aria-label")`); label == "" {
		t.Error("the secret has no name for who hears the page")
	}
	inBothThemes(t, tab, "rotated")
	tab.Click("main a[href='/tokens/" + token.ID + "']")
	if text := tab.Text("body"); strings.Contains(text, "ptl_") {
		t.Errorf("the secret is shown again:\n%s", text)
	}
}

// TestThePageOfResultsHasNoBarriers: of several tokens that are revoked at once
// one is gone meanwhile, and one was revoked by somebody else.
func TestThePageOfResultsHasNoBarriers(t *testing.T) {
	w, ids := consoleWorld(t)
	base := "http://" + w.Config.Admin.Listen
	tab := w.loggedIn(t)
	tab.Open(base + "/organizations/acme/tokens")
	for _, name := range []string{"nightly builds", "release job", "dashboards"} {
		tab.Tick("input[value='" + ids[name] + "']")
	}
	tab.Click("button[value=suspend]")
	inBothThemes(t, tab, "confirm")
	if text := tab.Text("main"); !strings.Contains(text, "Suspend 3 tokens?") || !strings.Contains(text, "Stops now, can be resumed.") {
		t.Errorf("the page before it:\n%s", text)
	}
	w.do(t, inventory.RevokeToken{Organization: "acme", Token: ids["release job"]})
	tab.Type("textarea[name=comment]", "Which job is it?")
	tab.Click("main button[type=submit]")
	text := tab.Text("main")
	if !strings.Contains(text, "not all of it worked") || strings.Count(text, "suspended") != 2 || !strings.Contains(text, "was revoked") {
		t.Errorf("what came of it:\n%s", text)
	}
	inBothThemes(t, tab, "results")
	for name, want := range map[string]string{"nightly builds": "suspended", "release job": authz.StateRevoked, "dashboards": "suspended"} {
		if row, err := w.Store.Token(t.Context(), "acme", ids[name]); err != nil || row.Authorization.Status != want {
			t.Errorf("%s is %+v, %v; want %s", name, row.Authorization, err, want)
		}
	}
}
