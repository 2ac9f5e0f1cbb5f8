package main

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/test/browser"
)

// TestABadgeIsAsGraveAsItsFinding, which an operator's rule may grade otherwise
// than its kind.
func TestABadgeIsAsGraveAsItsFinding(t *testing.T) {
	w, ids := consoleWorld(t)
	w.Hygiene.Close() // it would judge by the real rules
	o := w.organization(t)
	err := w.Store.SaveFindings(t.Context(), []hygiene.Result{{Pair: hygiene.Pair{Organization: o.ID, Token: ids["release job"]}, Findings: []hygiene.Finding{
		{Name: "no_expiry", Severity: hygiene.SeverityLow, Title: "No expiry, which is known", Message: "m", Do: "d"},
		{Name: "unused", Severity: hygiene.SeverityHigh, Title: "Unused for a year", Message: "m", Do: "d"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	_, page := w.listing(t, "")
	_, _, one := ask(t, "GET", "http://"+w.Config.Admin.Listen+"/organizations/acme/review/"+ids["release job"], nil, map[string]string{"Cookie": w.session(t)})
	for name, body := range map[string]string{"the listing": page, "the review": one} {
		if !strings.Contains(body, `<span class="badge ">No expiry, which is known</span>`) || !strings.Contains(body, `<span class="badge bad">Unused for a year</span>`) {
			t.Errorf("%s:\n%s", name, body)
		}
	}
}

// TestTheListingStaysAsItWasAfterAnAction: filter, order and page; also where the
// form is sent back.
func TestTheListingStaysAsItWasAfterAnAction(t *testing.T) {
	w, ids := consoleWorld(t)
	base := "http://" + w.Config.Admin.Listen
	header := map[string]string{"Cookie": w.session(t)}
	action := func(page string) string {
		t.Helper()
		m := regexp.MustCompile(`<form method="post" action="(/organizations/acme/tokens/[^"]+)"`).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("there is no form:\n%s", page)
		}
		return base + html.UnescapeString(m[1])
	}
	for _, c := range []struct {
		page   string
		tokens []string
		verb   string
		to     string
	}{
		{"/organizations/acme/tokens?owner=bob&sort=-name&done=revoked", []string{ids["release job"]}, "suspend", "/organizations/acme/tokens?owner=bob&sort=-name&done=suspended"},
		{"/organizations/acme/tokens?owner=bob&status=suspended", []string{ids["release job"]}, "resume", "/organizations/acme/tokens?owner=bob&status=suspended&done=resumed"},
		{"/organizations/acme/tokens?q=a", []string{ids["dashboards"], ids["eval <b>harness</b>"]}, "revoke", "/organizations/acme/tokens?q=a&done=all-revoked"},
		{"/organizations/acme/tokens", []string{ids["nightly builds"]}, "suspend", "/organizations/acme/tokens?done=suspended"},
		{"/organizations/acme/tokens/" + ids["nightly builds"], []string{ids["nightly builds"]}, "resume", "/organizations/acme/tokens/" + ids["nightly builds"] + "?done=resumed"},
	} {
		_, _, page := ask(t, "GET", base+c.page, nil, header)
		form := url.Values{"action": {c.verb}, "token": c.tokens, "comment": {strings.Repeat("x", 2001)}}
		_, _, named := ask(t, "POST", action(page), form, header)
		back := regexp.MustCompile(`.done=.*`).ReplaceAllString(c.to, "")
		if !strings.Contains(html.UnescapeString(named), `<a href="`+back+`">Leave it`) && !strings.Contains(html.UnescapeString(named), `<a href="`+back+`">Leave them`) {
			t.Errorf("%s: the page before it does not lead back:\n%s", c.page, named)
		}
		status, _, wrong := ask(t, "POST", action(named), form, header)
		if status != http.StatusUnprocessableEntity {
			t.Fatalf("%s: a comment that is too long: %d", c.page, status)
		}
		form.Set("comment", "")
		status, h, body := ask(t, "POST", action(wrong), form, header)
		if to := h.Get("Location"); status != http.StatusSeeOther || to != c.to {
			t.Errorf("%s: %s leads to %q (%d), want %q\n%s", c.page, c.verb, to, status, c.to, body)
		}
	}
	status, _, body := ask(t, "POST", base+"/organizations/acme/tokens/act?list=1&owner=bob", url.Values{"action": {"suspend"}, "token": {ids["dashboards"]}}, header)
	if status != http.StatusConflict || !strings.Contains(body, `<a href="/organizations/acme/tokens?owner=bob">Back`) {
		t.Errorf("what did not work: %d\n%s", status, body)
	}
}

// TestAPageLoadsTheFilesOfItsVersion: they are kept for ever under an address with
// their content, and asked for anew under any other.
func TestAPageLoadsTheFilesOfItsVersion(t *testing.T) {
	w := startApp(t, func(c *Config) { c.Admin.Listen = "127.0.0.1:0" })
	base := "http://" + w.Config.Admin.Listen
	_, _, page := ask(t, "GET", base+"/login", nil, nil)
	loaded := regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(loaded) != 4 {
		t.Fatalf("the page loads %v", loaded)
	}
	for _, m := range loaded {
		address := html.UnescapeString(m[1])
		name, _, _ := strings.Cut(address, "?v=")
		status, header, _ := ask(t, "GET", base+address, nil, nil)
		if status != http.StatusOK || !strings.Contains(header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %q", address, status, header.Get("Cache-Control"))
		}
		for _, other := range []string{name, name + "?v=0123456789abcdef"} {
			status, header, body := ask(t, "GET", base+other, nil, nil)
			if status != http.StatusOK || header.Get("Cache-Control") != "no-cache" || header.Get("ETag") == "" || body == "" {
				t.Errorf("%s: %d, %v", other, status, header)
			}
			if status, _, body := ask(t, "GET", base+other, nil, map[string]string{"If-None-Match": header.Get("ETag")}); status != http.StatusNotModified || body != "" {
				t.Errorf("%s, which the browser has: %d", other, status)
			}
		}
	}
	if status, header, _ := ask(t, "GET", base+"/static/none.css?v=", nil, nil); status != http.StatusNotFound || strings.Contains(header.Get("Cache-Control"), "immutable") {
		t.Errorf("a file that is not there: %d, %q", status, header.Get("Cache-Control"))
	}
}

// TestNothingIsCutOnAPhone: each tab is seen, and what stands below a button has
// room.
func TestNothingIsCutOnAPhone(t *testing.T) {
	w, ids := consoleWorld(t)
	tab := w.loggedIn(t)
	tab.Phone()
	tab.Open("http://" + w.Config.Admin.Listen + "/organizations/acme/review/" + ids["release job"])
	if cut := browser.Evaluate[string](tab, `[...document.querySelectorAll(".tabs a")].filter(a => a.getBoundingClientRect().right > innerWidth).map(a => a.textContent).join(", ")`); cut != "" {
		t.Errorf("the tabs %s are cut", cut)
	}
	gap := browser.Evaluate[float64](tab, `(b => b.nextElementSibling.getBoundingClientRect().top - b.getBoundingClientRect().bottom)(document.querySelector("button[value=deny]"))`)
	if gap < 8 {
		t.Errorf("%v pixels are below the button that denies", gap)
	}
}

// TestTheAuditLogIsInWords, also on the overview.
func TestTheAuditLogIsInWords(t *testing.T) {
	w, _ := consoleWorld(t)
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "only_fine_grained_tokens"})
	w.do(t, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{"max_token_age_days": 30, "four_eyes": true}})
	header := map[string]string{"Cookie": w.session(t)}
	for _, page := range []string{"/organizations/acme/audit", "/organizations/acme"} {
		_, _, body := ask(t, "GET", "http://"+w.Config.Admin.Listen+page, nil, header)
		text := regexp.MustCompile(`<[^>]+>`).ReplaceAllString(body, "")
		for _, want := range []string{"token policy changed organization.policy", "now: Only access via fine-grained tokens", "settings changed", "approvals need two people: yes", "greatest age in days: 30"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", page, want, text)
			}
		}
	}
}
