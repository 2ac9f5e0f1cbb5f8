package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/test/browser"
)

// consoleWorld is a world with a console, people and tokens.
func consoleWorld(t *testing.T) (*world, map[string]string) {
	t.Helper()
	w := startApp(t, func(c *Config) {
		c.Admin.Listen = "127.0.0.1:0"
		someProvider(c)
	})
	w.people(t)
	w.do(t, inventory.AddMember{Organization: "acme", User: "rob", Role: "read"})
	w.do(t, inventory.CreateOrganization{Name: "globex"})
	w.do(t, inventory.AddMember{Organization: "globex", User: "gail", Role: "admin"})
	ids := map[string]string{}
	for _, name := range []string{"nightly builds", "release job", "eval <b>harness</b>", "dashboards"} {
		ids[name] = w.issueFor(t, name)
	}
	w.do(t, inventory.Approve{Organization: "acme", Token: ids["dashboards"], Version: 1})
	return w, ids
}

// loginLink is what patrol login prints.
// loggedIn is a browser whose user came by "patrol login".
func (w *world) loggedIn(t testing.TB) *browser.Tab {
	t.Helper()
	tab := browser.Start(t)
	tab.Open(w.loginLink(t))
	tab.Click("main button")
	return tab
}

func (w *world) loginLink(t testing.TB) string {
	t.Helper()
	c, err := client.New("unix:" + filepath.Join(w.Config.DataDir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	link, err := c.LoginLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return link.URL
}

func TestAnAdministratorReviewsInABrowser(t *testing.T) {
	w, ids := consoleWorld(t)
	tab := browser.Start(t)
	base := "http://" + w.Config.Admin.Listen
	tab.Open(w.loginLink(t))
	tab.Click("main button")
	tab.Open(base + "/organizations/acme")
	if text := tab.Text("main"); !strings.Contains(text, "Waiting for a decision") || !strings.Contains(text, "\n3\n") {
		t.Errorf("the overview does not say that 3 wait:\n%s", text)
	}
	// Approve one: the next opens by itself.
	tab.Open(base + "/organizations/acme/review/" + ids["nightly builds"])
	tab.Click("button[value=approve]")
	if text, address := tab.Text("main"), tab.Address(); !strings.Contains(text, "Approved. It is in force.") || !strings.Contains(address, "/review/"+ids["release job"]) {
		t.Errorf("after the approval stands %s:\n%s", address, text)
	}
	row, err := w.Store.Token(context.Background(), "acme", ids["nightly builds"])
	if err != nil || row.Authorization.Status != authz.StateApproved || row.Authorization.ExpiresAt == nil {
		t.Fatalf("the token is %+v, %v; want it approved with an end", row.Authorization, err)
	}
	// A denial without a reason: the form says so beside the field.
	tab.Click("button[value=deny]")
	if text := tab.Text(".decide"); !strings.Contains(text, "Say why") {
		t.Errorf("the form does not say what is wrong:\n%s", text)
	}
	tab.Type("textarea[name=reason]", "Which job is it? <script>alert(1)</script>")
	tab.Click("button[value=deny]")
	tab.Open(base + "/organizations/acme/tokens/" + ids["release job"])
	if text := tab.Text("main"); !strings.Contains(text, "denied") || !strings.Contains(text, "<script>alert(1)</script>") {
		t.Errorf("the denial is not shown as text:\n%s", text)
	}
	// Revoke by the page that names it first.
	tab.Click("button[value=revoke]")
	barriers(t, tab, "revoking")
	if text := tab.Text("main"); !strings.Contains(text, "release job") || !strings.Contains(text, "for ever") {
		t.Errorf("the page does not name what is revoked:\n%s", text)
	}
	tab.Click("main button[type=submit]")
	if text := tab.Text("main"); !strings.Contains(text, "revoked") {
		t.Errorf("the token is not shown as revoked:\n%s", text)
	}
}

func TestAConflictShowsWhatTheOtherDid(t *testing.T) {
	w, ids := consoleWorld(t)
	tab := w.loggedIn(t)
	tab.Open("http://" + w.Config.Admin.Listen + "/organizations/acme/review/" + ids["release job"])
	w.do(t, inventory.RevokeToken{Organization: "acme", Token: ids["release job"], Comment: "leaked"})
	tab.Click("button[value=approve]")
	barriers(t, tab, "a conflict")
	if text := tab.Text("main"); !strings.Contains(text, "nothing of what you sent was done") || !strings.Contains(text, "revoked by uid:") || !strings.Contains(text, "leaked") {
		t.Errorf("the conflict is not told:\n%s", text)
	}
}

// ask follows no redirect, and keeps no cookie.
func ask(t testing.TB, method, address string, form url.Values, header map[string]string) (int, http.Header, string) {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range header {
		if k == "Host" {
			r.Host = v
		}
		r.Header.Set(k, v)
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// session logs in by a link, and returns the cookie.
func (w *world) session(t testing.TB) string {
	t.Helper()
	link, err := url.Parse(w.loginLink(t))
	if err != nil {
		t.Fatal(err)
	}
	status, header, _ := ask(t, "POST", "http://"+link.Host+"/login/link", url.Values{"code": {link.Query().Get("code")}}, nil)
	if status != http.StatusSeeOther {
		t.Fatalf("the link answers %d", status)
	}
	cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";")
	return cookie
}

func TestWhatTheConsoleRefuses(t *testing.T) {
	w, ids := consoleWorld(t)
	base := "http://" + w.Config.Admin.Listen
	cookie := w.session(t)
	revoke := url.Values{"action": {"revoke"}, "token": {ids["dashboards"]}}
	link := w.loginLink(t)
	code := link[strings.Index(link, "=")+1:]
	cases := []struct {
		name, method, path string
		form               url.Values
		header             map[string]string
		status             int
		says               string
	}{
		{"nobody sees a page", "GET", "/organizations/acme/tokens", nil, nil, 303, ""},
		{"nobody changes anything", "POST", "/organizations/acme/tokens/act", revoke, nil, 403, "Nothing was changed: you are not logged in"},
		{"a cookie that nobody gave out", "GET", "/organizations/acme/tokens", nil, map[string]string{"Cookie": "patrol_session=guessed"}, 303, ""},
		{"a form of another site", "POST", "/organizations/acme/tokens/act", revoke, map[string]string{"Cookie": cookie, "Sec-Fetch-Site": "cross-site"}, 403, "not this console"},
		{"a form of another origin", "POST", "/organizations/acme/tokens/act", revoke, map[string]string{"Cookie": cookie, "Origin": "https://evil.example"}, 403, "not this console"},
		{"another name for this address", "GET", "/", nil, map[string]string{"Cookie": cookie, "Host": "evil.example"}, 421, "public_url"},
		{"a change by GET", "GET", "/organizations/acme/tokens/act?action=revoke&token=" + ids["dashboards"], nil, map[string]string{"Cookie": cookie}, 404, ""},
		{"looking at a link uses it not up", "GET", "/login/link?code=" + code, nil, nil, 200, "Log in"},
		{"a link is good", "POST", "/login/link", url.Values{"code": {code}}, nil, 303, ""},
		{"and only once", "POST", "/login/link", url.Values{"code": {code}}, nil, 410, "good no more"},
		{"an unknown organization", "GET", "/organizations/nowhere", nil, map[string]string{"Cookie": cookie}, 404, "Not found"},
		{"a token that is not there", "GET", "/organizations/acme/tokens/none", nil, map[string]string{"Cookie": cookie}, 404, "Not found"},
		{"nothing chosen", "POST", "/organizations/acme/tokens/act", url.Values{"action": {"revoke"}}, map[string]string{"Cookie": cookie}, 422, "Tick"},
		{"an unknown action", "POST", "/organizations/acme/tokens/act", url.Values{"action": {"promote"}, "token": {ids["dashboards"]}}, map[string]string{"Cookie": cookie}, 422, "Nothing was changed"},
		{"a page that is not there", "GET", "/wp-login.php", nil, nil, 404, "no such page"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, header, body := ask(t, c.method, base+c.path, c.form, c.header)
			if status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%d, want %d and %q:\n%s", status, c.status, c.says, body)
			}
			if p := header.Get("Content-Security-Policy"); !strings.Contains(p, "frame-ancestors 'none'") || strings.Contains(p, "unsafe") {
				t.Errorf("the content security policy is %q", p)
			}
		})
	}
	if row, err := w.Store.Token(t.Context(), "acme", ids["dashboards"]); err != nil || row.Authorization.Status != authz.StateApproved {
		t.Errorf("the token is %v, %v; nothing was to change it", row, err)
	}
	if status, _, _ := ask(t, "POST", base+"/logout", url.Values{}, map[string]string{"Cookie": cookie}); status != 303 {
		t.Errorf("logging out answers %d", status)
	}
	if status, _, _ := ask(t, "GET", base+"/organizations/acme", nil, map[string]string{"Cookie": cookie}); status != 303 {
		t.Errorf("after logging out a page answers %d", status)
	}
	b, err := os.ReadFile(filepath.Join(w.Config.DataDir, "patrol.db-wal"))
	if err == nil && strings.Contains(string(b), strings.TrimPrefix(cookie, "patrol_session=")) {
		t.Error("the secret of a session is in the database")
	}
}
