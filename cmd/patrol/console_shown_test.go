package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/test/browser"
)

// pictures is where pictures go that are looked at: PATROL_PICTURES.
var pictures = os.Getenv("PATROL_PICTURES")

// longName has no place where a line may end.
var longName = strings.Repeat("nightly-evaluation-of-", 4) + "2026"

// fullWorld is a consoleWorld with tokens in every status, more of them than a
// page has rows, a long name, usage, findings, and an organization with nothing
// in it.
func fullWorld(t *testing.T) (*world, map[string]string) {
	t.Helper()
	w, ids := consoleWorld(t)
	w.do(t, inventory.CreateOrganization{Name: "initech"})
	w.do(t, inventory.AddMember{Organization: "acme", User: "rob", Role: "read", Email: "rob@example.com"})
	w.do(t, inventory.AddMember{Organization: "acme", User: "deployer", Type: "service_account", Role: "write", Responsible: &[]string{"alice", "bob"}})
	w.do(t, inventory.AddMember{Organization: "acme", User: "legacy-sync", Type: "service_account", Role: "read"})
	ids["deploy"] = w.issueTo(t, "deployer", "deploy the site")
	for i := range 12 {
		name := fmt.Sprintf("ci-runner-%02d", i)
		if i == 11 {
			name = longName
		}
		ids[name] = w.issueFor(t, name)
	}
	var many inventory.ImportTokens
	for i := range 60 {
		many.Tokens = append(many.Tokens, inventory.ImportToken{
			Digest: inventorytest.Digest(i), Owner: "rob", DisplayName: fmt.Sprintf("laptop-%02d", i), Kind: authz.KindRead, CreatedAt: w.Clock().AddDate(0, 0, -i-1),
		})
	}
	w.do(t, many)
	approve := func(name string, days int) {
		w.do(t, inventory.Approve{Organization: "acme", Token: ids[name], Version: 1, Until: w.Clock().AddDate(0, 0, days)})
	}
	approve("ci-runner-00", 90)
	approve("ci-runner-01", 365)
	w.do(t, inventory.SuspendToken{Organization: "acme", Token: ids["ci-runner-01"], Comment: "Is it still in use?"})
	w.do(t, inventory.Deny{Organization: "acme", Token: ids["ci-runner-02"], Version: 1, Reason: "Reading would do: <i>ask for</i> less."})
	w.do(t, inventory.RevokeToken{Organization: "acme", Token: ids["ci-runner-03"], Comment: "It was in a public repository."})
	w.used(t, ids["dashboards"])
	return w, ids
}

// shownPages are the pages that stand at an address; those that a form leads to
// are visited by the tests of the forms.
func shownPages(ids map[string]string) []struct{ name, path string } {
	acme := "/organizations/acme"
	return []struct{ name, path string }{
		{"home", "/"},
		{"overview", acme},
		{"overview-empty", "/organizations/initech"},
		{"tokens", acme + "/tokens?revoked=on&owner=bob"},
		{"tokens-many", acme + "/tokens?revoked=on&sort=name"},
		{"tokens-empty", "/organizations/initech/tokens"},
		{"tokens-none", acme + "/tokens?q=nothing-like-this&status=denied&finding=unheard_of"},
		{"token", acme + "/tokens/" + ids["dashboards"]},
		{"token-denied", acme + "/tokens/" + ids["ci-runner-02"]},
		{"token-long", acme + "/tokens/" + ids[longName]},
		{"review", acme + "/review"},
		{"review-empty", "/organizations/initech/review"},
		{"reviewone", acme + "/review/" + ids["eval <b>harness</b>"]},
		{"reviewone-revoked", acme + "/review/" + ids["ci-runner-03"]},
		{"policy", acme + "/policy"},
		{"policy-ask", acme + "/policy?preview=1&token_policy=require_administrator_approval&when=now&enforcement=enforce&existing=ask"},
		{"policy-wrong", acme + "/policy?preview=1&token_policy=only_fine_grained_tokens&when=date&date=soon&enforcement=enforce"},
		{"settings", acme + "/settings"},
		{"members", acme + "/members"},
		{"members-empty", "/organizations/initech/members"},
		{"audit", acme + "/audit"},
		{"bundles", "/bundles"},
		{"owned-operator", "/tokens/" + ids["dashboards"] + "?organization=acme"},
		{"mine-operator", "/me"},
		{"failure", "/organizations/nowhere"},
		{"link-used", "/login/link?code=none"},
	}
}

// TestPagesAreShown in both themes and on a phone; with PATROL_PICTURES it
// leaves pictures for eyes.
func TestPagesAreShown(t *testing.T) {
	w, ids := fullWorld(t)
	tab := browser.Start(t)
	base := "http://" + w.Config.Admin.Listen
	tab.Open(base + "/login")
	inBothThemes(t, tab, "login")
	tab.Open(w.loginLink(t))
	inBothThemes(t, tab, "link")
	tab.Click("main button")
	pages := shownPages(ids)
	for _, page := range pages {
		for theme, dark := range map[string]bool{"light": false, "dark": true} {
			tab.Theme(dark)
			tab.Open(base + page.path)
			if markup := tab.HTML("main"); strings.Contains(markup, "<b>harness") || strings.Contains(markup, "<i>ask for") {
				t.Errorf("%s: a token's name, or a reason, became markup", page.name)
			}
			if title := tab.Title(); !strings.HasSuffix(title, "· patrol") {
				t.Errorf("%s has the title %q", page.name, title)
			}
			barriers(t, tab, page.name+" "+theme)
			tab.Picture(pictures, page.name+"-"+theme)
		}
	}
	tab.Phone()
	tab.Theme(false)
	for _, page := range pages {
		tab.Open(base + page.path)
		if browser.Evaluate[bool](tab, "document.documentElement.scrollWidth > document.documentElement.clientWidth") {
			t.Errorf("%s: the page is wider than a phone", page.name)
		}
		switch page.name { // that are put otherwise on a phone
		case "policy", "tokens", "token", "overview":
			barriers(t, tab, page.name+" on a phone")
		}
		tab.Picture(pictures, page.name+"-phone")
	}
}

// barriers holds a page against WCAG 2.2 AA, as far as axe-core can.
func barriers(t *testing.T, tab *browser.Tab, name string) {
	t.Helper()
	axe, err := os.ReadFile("../../tools/node/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("axe-core is missing (run make parts): %v", err)
	}
	browser.Evaluate[any](tab, string(axe)+";0")
	// Colours that are on their way to another theme's are none that anybody reads.
	browser.Await[int](tab, "Promise.all(document.getAnimations().map(a => a.finished)).then(all => all.length)")
	found := browser.Await[string](tab, `axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => r.violations.map(v =>
		v.id + ": " + v.help + " " + v.nodes.map(n => n.target + " " + n.failureSummary).join("; ")).join("\n"))`)
	if found != "" {
		t.Errorf("%s: %s", name, found)
	}
}
