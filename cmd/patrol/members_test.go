package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/test/browser"
)

// issueTo makes a token of a user, which asks for acme.
func (w *world) issueTo(t *testing.T, owner, name string) string {
	t.Helper()
	secret := credential.Generate()
	return w.do(t, inventory.IssueToken{
		Owner: owner, DisplayName: name, Kind: authz.KindFineGrained, Digest: w.digester.Secret(secret), Last4: secret.Last4(),
		Grants: []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write"}}},
	}).Token.ID
}

// mailed is a world that mails to a real SMTP server, and has the service
// account ci, for which bob and carol answer. carol's address is not confirmed.
func mailed(t *testing.T) (*world, *mailServer) {
	t.Helper()
	server := &mailServer{}
	port, _ := server.start(t, "127.0.0.1:0")
	w := startApp(t, func(c *Config) {
		c.Admin.Listen = "127.0.0.1:0"
		c.Mail = MailConfig{From: "patrol@example.com", SMTP: SMTPConfig{Host: "127.0.0.1", Port: port, TLS: "none"}, Fallback: []string{"fallback@example.com"}}
		c.Answer.PublicURL = "https://patrol.example.com"
		someProvider(c)
	})
	w.people(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "carol", Role: "write", Email: "carol@example.com"})
	w.do(t, inventory.AddMember{Organization: "acme", User: "ci", Type: "service_account", Role: "write", Responsible: &[]string{"bob", "carol"}})
	return w, server
}

// linkIn finds the link in the newest mail of a subject.
func linkIn(t *testing.T, server *mailServer, subject string) string {
	t.Helper()
	server.mu.Lock()
	defer server.mu.Unlock()
	for i := len(server.mails) - 1; i >= 0; i-- {
		if server.mails[i].Header.Get("Subject") != subject {
			continue
		}
		text := strings.ReplaceAll(server.text[i], "=\r\n", "") // quoted-printable
		if code := regexp.MustCompile(`/confirm\?code=(?:3D)?([\w-]+)`).FindStringSubmatch(text); code != nil {
			return "/confirm?code=" + code[1]
		}
		t.Fatalf("the mail has no link:\n%s", text)
	}
	t.Fatalf("there is no mail %q", subject)
	return ""
}

// TestMailsOnTokensGoToConfirmedAddresses: of an account's people to those whose
// address is confirmed, and to the others once they have followed the link.
func TestMailsOnTokensGoToConfirmedAddresses(t *testing.T) {
	w, server := mailed(t)
	w.issueTo(t, "ci", "deploy")
	want := map[string]int{
		"carol@example.com: Is this your address, carol?":                  1,
		"alice@example.com: ci asks for access to acme: deploy":            1,
		"bob@example.com: ci's token deploy waits for an approval by acme": 1,
	}
	if got := server.subjects(t, 3); !same(got, want) {
		t.Fatalf("arrived: %v, want %v", got, want)
	}
	base := "http://" + w.Config.Admin.Listen
	link := linkIn(t, server, "Is this your address, carol?")
	code := url.Values{"code": {strings.TrimPrefix(link, "/confirm?code=")}}
	// Looking at it, as mail scanners do, confirms nothing.
	for range 2 {
		if status, header, body := ask(t, "GET", base+link, nil, nil); status != 200 || !strings.Contains(body, "carol@example.com") || header.Get("Referrer-Policy") != "no-referrer" {
			t.Fatalf("the link answers %d %v:\n%s", status, header, body)
		}
	}
	if m := w.member(t, "carol"); m.EmailConfirmedAt != nil {
		t.Fatal("looking at the link confirmed the address")
	}
	forged := url.Values{"code": {code.Get("code")[:20] + "x" + code.Get("code")[21:]}}
	for name, form := range map[string]url.Values{"a forged code": forged, "no code": {}, "nonsense": {"code": {"!!"}}} {
		if status, _, body := ask(t, "POST", base+"/confirm", form, nil); status != http.StatusGone || !strings.Contains(body, "good no more") {
			t.Errorf("%s answers %d:\n%s", name, status, body)
		}
	}
	if status, _, _ := ask(t, "POST", base+"/confirm", code, map[string]string{"Sec-Fetch-Site": "cross-site"}); status != http.StatusForbidden {
		t.Errorf("another site's form answers %d", status)
	}
	tab := browser.Start(t)
	tab.Open(base + link)
	inBothThemes(t, tab, "address")
	tab.Click("main button")
	if text := tab.Text("main"); !strings.Contains(text, "Confirmed") || !strings.Contains(text, "carol@example.com") {
		t.Errorf("after confirming:\n%s", text)
	}
	inBothThemes(t, tab, "address-confirmed")
	if status, _, _ := ask(t, "POST", base+"/confirm", code, nil); status != http.StatusGone {
		t.Errorf("the link is good twice: %d", status)
	}
	if m := w.member(t, "carol"); m.EmailConfirmedAt == nil {
		t.Error("the link confirmed nothing")
	}
	w.issueTo(t, "ci", "release")
	want["alice@example.com: ci asks for access to acme: release"] = 1
	want["bob@example.com: ci's token release waits for an approval by acme"] = 1
	want["carol@example.com: ci's token release waits for an approval by acme"] = 1
	if got := server.subjects(t, 6); !same(got, want) {
		t.Fatalf("arrived: %v, want %v", got, want)
	}
}

// TestNobodyConfirmedIsNobody: where no administrator has a confirmed address,
// the fallback is told, and the audit.
func TestNobodyConfirmedIsNobody(t *testing.T) {
	w, server := mailed(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "alice", Role: "admin", Email: "alice@new.example"})
	w.issueTo(t, "bob", "ci")
	got := server.subjects(t, 4)
	want := map[string]int{
		"carol@example.com: Is this your address, carol?":              1,
		"alice@new.example: Is this your address, alice?":              1,
		"fallback@example.com: bob asks for access to acme: ci":        1,
		"bob@example.com: Your token ci waits for an approval by acme": 1,
	}
	if !same(got, want) {
		t.Fatalf("arrived: %v, want %v", got, want)
	}
	rows, _, err := w.Store.Audit(t.Context(), "acme", inventory.Page{Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for _, r := range rows {
		told = told || r.Action == "notify.unreachable"
	}
	if !told {
		t.Errorf("the audit says nothing: %+v", rows)
	}
}

// TestALinkToAnAddressThatWasReplacedIsNotSent: neither the old link, nor the new
// one to the old address.
func TestALinkToAnAddressThatWasReplacedIsNotSent(t *testing.T) {
	w, server := mailed(t)
	server.subjects(t, 1)
	first := linkIn(t, server, "Is this your address, carol?")
	w.offset.Store(int64(2 * time.Hour))
	w.do(t, inventory.AddMember{Organization: "acme", User: "carol", Role: "write", Email: "carol@new.example"})
	if got := server.subjects(t, 2); got["carol@new.example: Is this your address, carol?"] != 1 || got["carol@example.com: Is this your address, carol?"] != 1 {
		t.Fatalf("arrived: %v", got)
	}
	base := "http://" + w.Config.Admin.Listen
	if status, _, _ := ask(t, "GET", base+first, nil, nil); status != http.StatusGone {
		t.Errorf("the link to the address before answers %d", status)
	}
	second := linkIn(t, server, "Is this your address, carol?")
	w.offset.Store(int64(2*time.Hour + inventory.LinkFor + time.Minute))
	if status, _, _ := ask(t, "GET", base+second, nil, nil); status != http.StatusGone {
		t.Errorf("a link of last week answers %d", status)
	}
}

// TestWhoAnswersForAnAccountHasItsPages, in that organization; nobody else has.
func TestWhoAnswersForAnAccountHasItsPages(t *testing.T) {
	w, _ := mailed(t)
	w.do(t, inventory.CreateOrganization{Name: "globex", TokenPolicy: "require_administrator_approval"})
	w.do(t, inventory.AddMember{Organization: "globex", User: "ci", Role: "write"})
	w.do(t, inventory.AddMember{Organization: "globex", User: "bob", Role: "write"})
	id := w.issueTo(t, "ci", "deploy")
	base := "http://" + w.Config.Admin.Listen
	bob, eve := w.sessionOf(t, "bob"), w.sessionOf(t, "eve")
	page := "/tokens/" + id + "?organization=acme"
	for _, c := range []struct {
		name, path string
		session    map[string]string
		status     int
		says       string
	}{
		{"who answers sees whose it is", page, bob, 200, "a service account that bob, carol answer for"},
		{"and may ask", page, bob, 200, "Say what it is for"},
		{"and finds it from the own page", "/me", bob, 200, `href="/accounts/acme/ci"`},
		{"and the list of its tokens", "/accounts/acme/ci", bob, 200, "deploy"},
		{"not as another organization sees it", "/tokens/" + id + "?organization=globex", bob, 404, "Not yours"},
		{"not as a whole", "/tokens/" + id, bob, 404, "Not yours"},
		{"not its list elsewhere", "/accounts/globex/ci", bob, 404, "Not yours"},
		{"not another's list", "/accounts/acme/alice", bob, 404, "Not yours"},
		{"others see nothing", page, eve, 404, "Not yours"},
		{"nor a list", "/accounts/acme/ci", eve, 404, "Not yours"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, _, body := ask(t, "GET", base+c.path, nil, c.session); status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%d, want %d and %q:\n%s", status, c.status, c.says, body)
			}
		})
	}
	if _, _, body := ask(t, "GET", base+page, nil, bob); strings.Contains(body, "another secret") {
		t.Error("who answers for an account is offered its secret")
	}
	purpose := url.Values{"organization": {"acme"}, "purpose": {"deploys the site"}}
	if status, _, _ := ask(t, "POST", base+"/tokens/"+id+"/ask", purpose, eve); status != http.StatusNotFound {
		t.Errorf("eve asks for it: %d", status)
	}
	if status, _, body := ask(t, "POST", base+"/tokens/"+id+"/rotate", url.Values{"overlap": {"none"}, "version": {"1"}}, bob); status != http.StatusNotFound || strings.Contains(body, "ptl_") {
		t.Errorf("bob rotates it: %d", status)
	}
	if status, _, _ := ask(t, "POST", base+"/tokens/"+id+"/ask", purpose, bob); status != http.StatusSeeOther {
		t.Errorf("bob asks for it: %d", status)
	}
	if row, err := w.Store.Token(t.Context(), "acme", id); err != nil || row.Authorization.Request.Purpose != "deploys the site" {
		t.Errorf("the request is %+v, %v", row, err)
	}
	w.do(t, inventory.RemoveMember{Organization: "acme", User: "bob"})
	if status, _, _ := ask(t, "GET", base+page, nil, bob); status != http.StatusNotFound {
		t.Errorf("who has left sees it: %d", status)
	}
}

// TestAnAddressIsConfirmedInTheConsole by an operator's word; administrators
// have a link sent, and owners too.
func TestAnAddressIsConfirmedInTheConsole(t *testing.T) {
	w, server := mailed(t)
	server.subjects(t, 1)
	w.offset.Store(int64(2 * time.Hour))
	base := "http://" + w.Config.Admin.Listen
	members := base + "/organizations/acme/members"
	alice, carol := w.sessionOf(t, "alice"), w.sessionOf(t, "carol")
	who := url.Values{"user": {"carol"}}
	if status, _, body := ask(t, "GET", members, nil, alice); status != 200 || !strings.Contains(body, "Send a link") || strings.Contains(body, "Confirm it") || !strings.Contains(body, "bob, carol answer for it") {
		t.Errorf("an administrator sees %d:\n%s", status, body)
	}
	if status, _, _ := ask(t, "POST", members+"/confirm", who, alice); status != http.StatusForbidden {
		t.Errorf("an administrator's word: %d", status)
	}
	for _, path := range []string{"/confirm", "/ask"} {
		if status, _, _ := ask(t, "POST", members+path, who, carol); status != http.StatusNotFound {
			t.Errorf("a member's %s: %d", path, status)
		}
	}
	who.Set("version", strconv.FormatInt(w.member(t, "carol").Version, 10))
	if status, _, _ := ask(t, "POST", members+"/ask", who, alice); status != http.StatusSeeOther {
		t.Errorf("an administrator sends a link: %d", status)
	}
	if got := server.subjects(t, 2)["carol@example.com: Is this your address, carol?"]; got != 2 {
		t.Errorf("%d links arrived", got)
	}
	if status, _, body := ask(t, "GET", base+"/me", nil, carol); status != 200 || !strings.Contains(body, "Send me a link") {
		t.Errorf("her own page: %d\n%s", status, body)
	}
	if status, _, body := ask(t, "POST", base+"/me/address", url.Values{}, carol); status != http.StatusConflict || !strings.Contains(body, "A link was sent at") {
		t.Errorf("a third link within the hour: %d\n%s", status, body)
	}
	w.offset.Store(int64(4 * time.Hour))
	if status, header, _ := ask(t, "POST", base+"/me/address", url.Values{}, w.sessionOf(t, "carol")); status != http.StatusSeeOther || header.Get("Location") != "/me?done=sent" {
		t.Errorf("she has a link sent herself: %d %v", status, header)
	}
	tab := w.loggedIn(t)
	tab.Open(members)
	barriers(t, tab, "members")
	tab.Click("button[formaction]")
	if text := tab.Text("main"); strings.Contains(text, "not confirmed") || !strings.Contains(tab.Text("body"), "The address is confirmed.") {
		t.Errorf("after the operator's word:\n%s", text)
	}
	if m := w.member(t, "carol"); m.EmailConfirmedAt == nil {
		t.Error("the word confirmed nothing")
	}
	w.do(t, inventory.AddMember{Organization: "acme", User: "zoe", Type: "service_account", Role: "read"})
	tab.Open(members)
	if text := tab.Text("main"); !strings.Contains(text, "nobody answers for it") {
		t.Errorf("the members:\n%s", text)
	}
	tab.Picture(pictures, "members-answering")
}

// TestNoLinkIsOfferedWhereNoneCanBeMailed: without a public address there is no page
// that it could lead to.
func TestNoLinkIsOfferedWhereNoneCanBeMailed(t *testing.T) {
	w := startApp(t, func(c *Config) { c.Admin.Listen = "127.0.0.1:0" })
	w.people(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "carol", Role: "write", Email: "carol@example.com"})
	tab := w.loggedIn(t)
	tab.Open("http://" + w.Config.Admin.Listen + "/organizations/acme/members")
	if text := tab.Text("main"); !strings.Contains(text, "not confirmed") || !strings.Contains(text, "Confirm it") || strings.Contains(text, "Send a link") {
		t.Errorf("the members:\n%s", text)
	}
	tab.Click("button[formaction]")
	if m := w.member(t, "carol"); m.EmailConfirmedAt == nil {
		t.Error("the word confirmed nothing")
	}
	if u, err := w.Store.User(t.Context(), "carol"); err != nil || !u.AskedAt.IsZero() {
		t.Errorf("carol was asked: %+v, %v", u, err)
	}
}

// TestTheLoginProviderConfirmsAddresses that it has verified, of users who are
// known here; and none that it has not.
func TestTheLoginProviderConfirmsAddresses(t *testing.T) {
	w, base := oidcWorld(t)
	for user, email := range map[string]string{"bob": "", "carl": "typo@example.com", "dora": "dora@example.com", "eve": "eve@provider.example"} {
		c := inventory.AddMember{Organization: "acme", User: user, Role: "admin", Email: email}
		if user == "dora" {
			c.Confirmed = inventory.ConfirmedByDirectory
		}
		w.do(t, c)
	}
	for user, want := range map[string]struct{ email, by string }{
		"bob":  {"bob@provider.example", "provider"},
		"carl": {"carl@provider.example", "provider"},
		"dora": {"dora@example.com", "directory"},
		"eve":  {"eve@provider.example", ""},
	} {
		t.Run(user, func(t *testing.T) {
			tab := browser.Start(t)
			loginAs(tab, base, user, "/me")
			u, err := w.Store.User(t.Context(), user)
			if err != nil || u.Email != want.email || u.ConfirmedBy != want.by {
				t.Errorf("%s is %+v, %v; want %+v", user, u, err, want)
			}
		})
	}
	tab := browser.Start(t)
	loginAs(tab, base, "stranger", "/me")
	if u, err := w.Store.User(t.Context(), "stranger"); err != nil || u != nil {
		t.Errorf("a login made the user %+v, %v", u, err)
	}
}
