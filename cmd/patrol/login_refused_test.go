package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/patrol-authz/patrol/test/browser"
	"github.com/patrol-authz/patrol/test/freeaddr"
)

// refusedClearly holds a page against what every refusal of a login has: it says
// what is wrong and how to go on, has no session, and nothing of the inside.
func refusedClearly(t *testing.T, status int, header http.Header, page string, want int, says string) {
	t.Helper()
	if status != want || !strings.Contains(page, says) {
		t.Errorf("it answers %d, want %d and %q:\n%s", status, want, says, page)
	}
	if strings.Contains(strings.Join(header["Set-Cookie"], " "), "patrol_session=") {
		t.Errorf("somebody is logged in: %q", header["Set-Cookie"])
	}
	for _, inside := range []string{"goroutine", ".go:", "panic", "oidc:", "oauth2:", "jwt", "0x"} {
		if strings.Contains(page, inside) {
			t.Errorf("the page tells of the inside (%s):\n%s", inside, page)
		}
	}
	if !strings.Contains(header.Get("Content-Type"), "text/html") || !strings.Contains(page, `<a href="/">`) {
		t.Errorf("the page leads nowhere:\n%s", page)
	}
}

// forger is a provider that signs whatever it is told to.
type forger struct {
	*oidctest.Server
	key    *ecdsa.PrivateKey
	issuer string
	token  func() string // makes the ID token
}

func (f *forger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/token" {
		f.Server.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": f.token()})
}

func newForger(t *testing.T) *forger {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{key: key, Server: &oidctest.Server{
		PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "k", Algorithm: oidc.ES256}}, Algorithms: []string{oidc.ES256},
	}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.issuer = s.URL
	f.SetIssuer(s.URL)
	return f
}

// loginBy is a world whose console logs in by an issuer.
func loginBy(t *testing.T, issuer string) (base string) {
	t.Helper()
	address := freeaddr.For(t)
	base = "http://" + address
	startApp(t, func(c *Config) {
		c.Admin.Listen, c.Answer.PublicURL, c.Login = address, base, LoginConfig{Issuer: issuer, ClientID: "patrol"}
	})
	return base
}

// TestIDTokensThatAreNotMeantForUs: each is signed by the provider, or by
// somebody, and has one thing wrong.
func TestIDTokensThatAreNotMeantForUs(t *testing.T) {
	f := newForger(t)
	base := loginBy(t, f.issuer)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := func() map[string]any {
		return map[string]any{"iss": f.issuer, "aud": "patrol", "sub": "bob", "preferred_username": "bob", "exp": time.Now().Add(time.Hour).Unix()}
	}
	cases := []struct {
		name  string
		wrong map[string]any
		key   *ecdsa.PrivateKey
		query string
		in    bool
	}{
		{name: "nothing is wrong", in: true},
		{name: "its issuer is another", wrong: map[string]any{"iss": "https://id.evil.example"}},
		{name: "its issuer has a slash more", wrong: map[string]any{"iss": f.issuer + "/"}},
		{name: "it is for another client", wrong: map[string]any{"aud": "grafana"}},
		{name: "it has ended", wrong: map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}},
		{name: "it is of another login", wrong: map[string]any{"nonce": "another"}},
		{name: "somebody else signed it", key: stranger},
		{name: "another issuer brings the code", query: "&iss=" + url.QueryEscape("https://id.evil.example")},
		{name: "the issuer says that it brings the code", query: "&iss=" + url.QueryEscape(f.issuer), in: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, header, _ := ask(t, "GET", base+"/login/start", nil, nil)
			to, err := url.Parse(header.Get("Location"))
			if err != nil || status != http.StatusSeeOther {
				t.Fatalf("the login answers %d: %v", status, err)
			}
			claims := good()
			claims["nonce"] = to.Query().Get("nonce")
			maps.Copy(claims, c.wrong)
			key := f.key
			if c.key != nil {
				key = c.key
			}
			f.token = func() string {
				text, err := json.Marshal(claims)
				if err != nil {
					t.Error(err)
				}
				return oidctest.SignIDToken(key, "k", oidc.ES256, string(text))
			}
			cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";")
			status, header, page := ask(t, "GET", base+"/login/callback?code=x&state="+to.Query().Get("state")+c.query, nil, map[string]string{"Cookie": cookie})
			if c.in {
				if status != http.StatusSeeOther || !strings.Contains(strings.Join(header["Set-Cookie"], " "), "patrol_session=") {
					t.Errorf("it answers %d:\n%s", status, page)
				}
				return
			}
			refusedClearly(t, status, header, page, http.StatusBadRequest, "The login did not work")
		})
	}
}

// TestAProviderThatSaysItIsAnother, or that does not answer: nobody is sent there.
func TestAProviderThatSaysItIsAnother(t *testing.T) {
	f := newForger(t)
	f.SetIssuer("https://id.evil.example")
	base := loginBy(t, f.issuer)
	status, header, page := ask(t, "GET", base+"/login/start", nil, nil)
	refusedClearly(t, status, header, page, http.StatusBadGateway, "Another login provider answers")
	if strings.Contains(page, "evil.example") {
		t.Errorf("the page repeats the other's name:\n%s", page)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	status, header, page = ask(t, "GET", loginBy(t, gone.URL)+"/login/start", nil, nil)
	refusedClearly(t, status, header, page, http.StatusBadGateway, "The login is out of reach")
}

var (
	formTarget = regexp.MustCompile(`action="([^"]+)"`)
	formPrompt = regexp.MustCompile(`name="prompt" value="([^"]+)"`)
)

// callbackOf logs in at the real provider, and stops where it sends the browser
// back: the address with the code, and the cookie of the login.
func callbackOf(t *testing.T, base, name string) (callback, cookie string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), base+"/login/callback") {
			callback = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	visit := func(method, address string, form url.Values) (string, *url.URL) {
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b strings.Builder
		if err := resp.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.String(), resp.Request.URL
	}
	page, at := visit("GET", base+"/login/start", nil)
	for range 2 { // log in, agree
		target := formTarget.FindStringSubmatch(page)
		prompt := formPrompt.FindStringSubmatch(page)
		if target == nil || prompt == nil {
			t.Fatalf("the provider shows no form:\n%s", page)
		}
		to, err := at.Parse(target[1])
		if err != nil {
			t.Fatal(err)
		}
		page, at = visit("POST", to.String(), url.Values{"prompt": {prompt[1]}, "login": {name}, "password": {"any"}})
	}
	u, err := url.Parse(base + "/login/callback")
	if err != nil || callback == "" {
		t.Fatalf("the provider does not send anybody back: %v\n%s", err, page)
	}
	for _, c := range jar.Cookies(u) {
		if c.Name == "patrol_login" {
			cookie = c.Name + "=" + c.Value
		}
	}
	return callback, cookie
}

// TestACodeIsGoodOnce, and for the browser that began the login; the real
// provider says by whom it was given (RFC 9207).
func TestACodeIsGoodOnce(t *testing.T) {
	_, base := oidcWorld(t)
	callback, cookie := callbackOf(t, base, "bob")
	if !strings.Contains(callback, "&iss=") {
		t.Errorf("the provider does not say who it is: %s", callback)
	}
	other := regexp.MustCompile(`iss=[^&]*`).ReplaceAllString(callback, "iss=https%3A%2F%2Fid.evil.example")
	for _, address := range []string{other, strings.Replace(other, "iss=", "was=", 1)} {
		status, header, page := ask(t, "GET", address, nil, map[string]string{"Cookie": cookie})
		refusedClearly(t, status, header, page, http.StatusBadRequest, "The login did not work")
	}
	status, header, page := ask(t, "GET", callback, nil, map[string]string{"Cookie": cookie})
	if status != http.StatusSeeOther || !strings.Contains(strings.Join(header["Set-Cookie"], " "), "patrol_session=") {
		t.Fatalf("the login answers %d:\n%s", status, page)
	}
	status, header, page = ask(t, "GET", callback, nil, map[string]string{"Cookie": cookie})
	refusedClearly(t, status, header, page, http.StatusBadRequest, "was used before")
	callback, _ = callbackOf(t, base, "bob")
	status, header, page = ask(t, "GET", callback, nil, map[string]string{"Cookie": cookie})
	refusedClearly(t, status, header, page, http.StatusBadRequest, "The login did not work")
}

// TestALinkEndsAfterFiveMinutes: who opens it then, and who had it open, is told
// how to get another, in a real browser.
func TestALinkEndsAfterFiveMinutes(t *testing.T) {
	w, _ := consoleWorld(t)
	link := w.loginLink(t)
	tab := browser.Start(t)
	tab.Open(link)
	w.offset.Add(int64(5*time.Minute - 30*time.Second)) // the clock goes on by itself too
	if status, _, page := ask(t, "GET", link, nil, nil); status != http.StatusOK {
		t.Errorf("after less than five minutes it answers %d:\n%s", status, page)
	}
	w.offset.Add(int64(30 * time.Second))
	status, header, page := ask(t, "GET", link, nil, nil)
	refusedClearly(t, status, header, page, http.StatusGone, "The link is good no more")
	tab.Click("main button")
	barriers(t, tab, "a link that has ended")
	if text := tab.Text("main"); !strings.Contains(text, "The link is good no more") || !strings.Contains(text, "patrol login") {
		t.Errorf("the page:\n%s", text)
	}
	tab.Open("http://" + w.Config.Admin.Listen + "/organizations/acme")
	if address := tab.Address(); !strings.Contains(address, "/login?next=") {
		t.Errorf("somebody is logged in: %s", address)
	}
}
