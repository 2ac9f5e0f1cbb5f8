package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/test/browser"
)

// ownersWorld is a world with a real login, in which dora has a token that acme
// denied and globex lets through, and one on which acme asks her something.
func ownersWorld(t *testing.T) (w *world, base, denied, asked string) {
	t.Helper()
	w, base = oidcWorld(t)
	w.do(t, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{inventory.SettingCooldown: 0}})
	for _, o := range []string{"acme", "globex"} {
		w.do(t, inventory.AddMember{Organization: o, User: "dora", Role: "write"})
	}
	issue := func(name string, organizations ...string) string {
		secret := credential.Generate()
		w.secrets[name] = secret
		c := inventory.IssueToken{Owner: "dora", DisplayName: name, Kind: authz.KindFineGrained, Digest: w.digester.Secret(secret), Last4: secret.Last4()}
		for _, o := range organizations {
			c.Grants = append(c.Grants, authz.Grant{Entity: authz.Entity{Type: "organization", Name: o}, Permissions: []string{"repo.write"}})
		}
		return w.do(t, c).Token.ID
	}
	denied, asked = issue("nightly builds", "acme", "globex"), issue("release job", "acme")
	w.do(t, inventory.Deny{Organization: "acme", Token: denied, Version: 1, Reason: "Reading would do: <i>ask for</i> less."})
	w.do(t, inventory.CommentRequest{Organization: "acme", Token: asked, Comment: "internal: do we trust her?"})
	w.do(t, inventory.AskOwner{Organization: "acme", Token: asked, Question: "Which pipeline releases with it?"})
	return w, base, denied, asked
}

// says fails for each text that a page does not show.
func says(t *testing.T, tab *browser.Tab, what string, all ...string) {
	t.Helper()
	text := tab.Text("main")
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", what, want, text)
		}
	}
	if strings.Contains(text, "internal") {
		t.Errorf("%s shows what reviewers say among themselves:\n%s", what, text)
	}
}

// TestAnOwnerFindsOutAndAsksAgainFromMyTokens: with no link of a refusal at hand,
// and no organization in any address that is typed.
func TestAnOwnerFindsOutAndAsksAgainFromMyTokens(t *testing.T) {
	w, base, denied, asked := ownersWorld(t)
	tab := browser.Start(t)
	loginAs(tab, base, "dora", "/me")
	says(t, tab, "/me", "acme denied", "Reading would do: <i>ask for</i> less.", "globex works", "acme waits for an answer")
	tab.Click(`td a[href="/tokens/` + denied + `?organization=acme"]`)
	says(t, tab, "the denied token", "In acme: denied", "An administrator of acme denied it on", "Reading would do", "Who can help: bob, who administers acme.", "In other organizations", "globex works")
	tab.Type("textarea[name=purpose]", "Pushes the checkpoints of the nightly builds")
	tab.Click("form[action$='/ask'] button")
	says(t, tab, "after asking again", "The administrators see it.", "In acme: denied, asked again", "They were asked again on")
	row, err := w.Store.Token(t.Context(), "acme", denied)
	if err != nil || row.Authorization.Request.State != authz.RequestOpen || row.Authorization.Request.Purpose != "Pushes the checkpoints of the nightly builds" {
		t.Errorf("the token is %+v, %v", row.Authorization, err)
	}
	// Whoever is to decide reads what it is for, and so does the owner.
	says(t, tab, "after saying what it is for", "Purpose\nPushes the checkpoints of the nightly builds")
	for _, page := range []string{"review", "tokens"} {
		if _, _, body := ask(t, "GET", base+"/organizations/acme/"+page+"/"+denied, nil, w.sessionOf(t, "bob")); !strings.Contains(body, "<dt>Purpose</dt><dd>Pushes the checkpoints of the nightly builds</dd>") {
			t.Errorf("the page of %s does not say what it is for:\n%s", page, body)
		}
	}

	// A question stands above the form that answers it.
	tab.Open(base + "/me")
	tab.Click(`td a[href="/tokens/` + asked + `?organization=acme"]`)
	says(t, tab, "the token that was asked about", "In acme: waits for an answer", "acme asks", "Asked by an operator on", "The request waits for an answer", "Which pipeline releases with it?")
	tab.Type("textarea[name=answer]", "")
	tab.Click("form[action$='/answer'] button")
	says(t, tab, "an empty answer", "is missing", "Which pipeline")
	tab.Type("textarea[name=answer]", "The one of the website")
	tab.Click("form[action$='/answer'] button")
	says(t, tab, "after the answer", "The administrators see it.", "In acme: waits for an approval", "What happened", "answered by dora answer: The one of the website", "owner asked by an operator question: Which pipeline releases with it?")
	row, err = w.Store.Token(t.Context(), "acme", asked)
	if q := row.Authorization.Request; err != nil || q.WaitsForOwner || q.Notes[len(q.Notes)-1].Kind != "answer" || q.Notes[len(q.Notes)-1].By != "dora" {
		t.Errorf("the request is %+v, %v", q, err)
	}
}

// TestATokensPageWithoutAnOrganization shows the one that there is, or those to
// choose from; and to nobody else that there is a token.
func TestATokensPageWithoutAnOrganization(t *testing.T) {
	w, base, denied, asked := ownersWorld(t)
	tab := browser.Start(t)
	loginAs(tab, base, "dora", "/tokens/"+asked)
	says(t, tab, "a token of one organization", "In acme: waits for an answer", "Which pipeline")
	tab.Open(base + "/tokens/" + denied)
	says(t, tab, "a token of two", "In which organization?", "acme denied", "globex works")
	tab.Click(`main a[href$="organization=globex"]`)
	says(t, tab, "the one that was chosen", "In globex: works", "authorizes it")
	if _, _, body := ask(t, "GET", base+"/tokens/"+denied, nil, w.sessionOf(t, "eve")); !strings.Contains(body, "Not yours") || strings.Contains(body, "globex") {
		t.Errorf("somebody else sees\n%s", body)
	}
	// What was said on the token as a whole is told to its owner, and nothing of globex on acme's page.
	w.do(t, inventory.RevokeToken{Organization: "globex", Token: denied, Comment: "globex alone knows why"})
	w.do(t, inventory.DisableToken{Token: denied, Comment: "It was in a public repository"})
	for _, path := range []string{"/tokens/" + denied + "?organization=acme", "/tokens/" + denied} {
		tab.Open(base + path)
		says(t, tab, path, "disabled everywhere by an operator comment: It was in a public repository")
		if _, text, _ := strings.Cut(tab.Text("main"), "What happened"); strings.Contains(text, "revoked") {
			t.Errorf("%s tells of globex:\n%s", path, text)
		}
	}
	w.do(t, inventory.EnableToken{Token: denied})
	// Who is no member any more is told so, and no names of administrators.
	w.do(t, inventory.RemoveMember{Organization: "globex", User: "dora"})
	tab.Open(base + "/tokens/" + denied + "?organization=globex")
	says(t, tab, "who has left", "dora is no member of globex", "Who can help: an administrator of globex", "globex alone knows why")
}

// TestOwnersPagesAreShown in both themes and on a phone, as their owner and who
// answers for a service account see them; with PATROL_PICTURES it leaves pictures.
func TestOwnersPagesAreShown(t *testing.T) {
	w, base, denied, asked := ownersWorld(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "deployer", Type: "service_account", Role: "write", Responsible: &[]string{"dora"}})
	account := w.issueTo(t, "deployer", "deploy the site")
	w.do(t, inventory.SuspendToken{Organization: "acme", Token: w.issueTo(t, "deployer", longName), Comment: "Is it still in use?"})
	w.do(t, inventory.IssueToken{Owner: "dora", DisplayName: "laptop", Kind: authz.KindWrite, Digest: inventorytest.Digest(9000), Last4: "x0y1"})
	for i, path := range []string{"/api/models/acme/llm/tree/main?recursive=true", "/api/models/acme/llm/tree/main?recursive=true", "/models/of/acme", "/api/models/acme/llm"} {
		w.ask(t, "GET", path, w.secrets["nightly builds"].Reveal(), fmt.Sprintf("4f1c7a52-5c8e-4a9e-8d0c-3b7a7b1f9f1%d", i))
	}
	w.written(t)
	tab := browser.Start(t)
	loginAs(tab, base, "dora", "/me")
	pages := []struct{ name, path string }{
		{"mine", "/me"},
		{"owned", "/tokens/" + denied},
		{"owned-denied", "/tokens/" + denied + "?organization=acme"},
		{"owned-question", "/tokens/" + asked + "?organization=acme"},
		{"owned-answering", "/tokens/" + account + "?organization=acme"},
		{"account", "/accounts/acme/deployer"},
	}
	for _, page := range pages {
		for theme, dark := range map[string]bool{"light": false, "dark": true} {
			tab.Theme(dark)
			tab.Open(base + page.path)
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
		barriers(t, tab, page.name+" on a phone")
		tab.Picture(pictures, page.name+"-phone")
	}
}

// TestMyTokensWithoutAny says what can be done by whoever stands there: no command
// is advised that cannot work.
func TestMyTokensWithoutAny(t *testing.T) {
	w, _ := consoleWorld(t)
	base := "http://" + w.Config.Admin.Listen
	for _, c := range []struct {
		name      string
		session   map[string]string
		says, not []string
	}{
		{"who came by patrol login", map[string]string{"Cookie": w.session(t)}, []string{"is no user, and owns no tokens", `href="/"`, "patrol token issue --owner NAME"}, []string{"--owner uid:"}},
		{"a member", w.sessionOf(t, "rob"), []string{"You have no token here", "patrol token issue --owner rob"}, []string{"no member"}},
		{"who is no member", w.sessionOf(t, "stranger"), []string{"are no member of an organization yet", "patrol member add ORGANIZATION stranger --role read"}, []string{"token issue"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, body := ask(t, "GET", base+"/me", nil, c.session)
			for _, want := range c.says {
				if status != 200 || !strings.Contains(body, want) {
					t.Errorf("%d, without %q:\n%s", status, want, body)
				}
			}
			for _, odd := range c.not {
				if strings.Contains(body, odd) {
					t.Errorf("it says %q:\n%s", odd, body)
				}
			}
		})
	}
}

// TestALinkThatIsGoodNoMoreHasOneAnswer, whatever is wrong with it: what there is
// cannot be found out by trying. It says how to come by another.
func TestALinkThatIsGoodNoMoreHasOneAnswer(t *testing.T) {
	w, server := mailed(t)
	server.subjects(t, 1)
	base := "http://" + w.Config.Admin.Listen
	code := func(link string) string {
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get("code")
	}
	post := func(path, code string) (int, string) {
		t.Helper()
		status, _, body := ask(t, "POST", base+path, url.Values{"code": {code}}, nil)
		return status, body
	}
	logins := map[string]string{"used": code(w.loginLink(t)), "expired": code(w.loginLink(t)), "foreign": strings.Repeat("A", 43), "none": ""}
	if status, body := post("/login/link", logins["used"]); status != http.StatusSeeOther {
		t.Fatalf("the link answers %d:\n%s", status, body)
	}
	replaced := code(linkIn(t, server, "Is this your address, carol?"))
	w.offset.Store(int64(2 * time.Hour)) // the link to log in has expired by now
	w.do(t, inventory.AddMember{Organization: "acme", User: "carol", Role: "write", Email: "carol@new.example"})
	server.subjects(t, 2)
	used := code(linkIn(t, server, "Is this your address, carol?"))
	if status, body := post("/confirm", used); status != http.StatusOK {
		t.Fatalf("the link answers %d:\n%s", status, body)
	}
	_, elsewhere := mailed(t) // another patrol, with a carol of its own
	elsewhere.subjects(t, 1)
	addresses := map[string]string{"used": used, "replaced": replaced, "foreign": code(linkIn(t, elsewhere, "Is this your address, carol?")), "none": ""}
	for path, c := range map[string]struct {
		codes map[string]string
		says  string
	}{
		"/login/link": {logins, "run patrol login for another"},
		"/confirm":    {addresses, "Your page of tokens, or an administrator, sends another"},
	} {
		first := ""
		for what, code := range c.codes {
			status, _, page := ask(t, "GET", base+path+"?code="+url.QueryEscape(code), nil, nil)
			sent, answer := post(path, code)
			if first == "" {
				first = page
			}
			if status != http.StatusGone || sent != http.StatusGone || page != first || answer != first || !strings.Contains(page, c.says) {
				t.Errorf("%s, %s: %d and %d:\n%s\n%s", path, what, status, sent, page, answer)
			}
		}
	}
}
