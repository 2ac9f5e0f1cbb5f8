package main

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/test/browser"
	"github.com/patrol-authz/patrol/test/freeaddr"
)

// provider starts a real OpenID Connect provider that sends people back to an
// address, and returns its issuer.
func provider(t *testing.T, callback string) string { return nodeServer(t, "provider.mjs", callback) }

// nodeServer starts a server of tools/node, which prints its address first.
func nodeServer(t *testing.T, script ...string) string {
	t.Helper()
	node, err := filepath.Abs("../../.venv/bin/node")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, script...)
	cmd.Dir = "../../tools/node"
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s (run make parts): %v", script[0], err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "http://") {
			go func() {
				for lines.Scan() {
				}
			}()
			return lines.Text()
		}
	}
	t.Fatalf("%s did not start", script[0])
	return ""
}

// oidcWorld is a world whose console logs in by a real provider.
func oidcWorld(t *testing.T) (w *world, base string) {
	t.Helper()
	address := freeaddr.For(t)
	base = "http://" + address
	issuer := provider(t, base+"/login/callback")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a-secret-of-the-client\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = startApp(t, func(c *Config) {
		c.Admin.Listen, c.Answer.PublicURL = address, base
		c.Login = LoginConfig{Issuer: issuer, ClientID: "patrol", ClientSecretFile: secret, Groups: []GroupConfig{{Group: "acme-security", Organization: "acme", Role: "reviewer"}}}
	})
	w.do(t, inventory.CreateOrganization{Name: "acme", TokenPolicy: "require_administrator_approval"})
	w.do(t, inventory.CreateOrganization{Name: "globex"})
	w.do(t, inventory.AddMember{Organization: "acme", User: "bob", Role: "admin"})
	w.do(t, inventory.AddMember{Organization: "globex", User: "gail", Role: "write"})
	return w, base
}

// loginAs logs in at the provider.
func loginAs(tab *browser.Tab, base, name, next string) {
	tab.Open(base + "/login/start?next=" + url.QueryEscape(next))
	tab.Type("input[name=login]", name)
	tab.Type("input[name=password]", "any")
	tab.Click("button[type=submit]") // log in
	tab.Click("button[type=submit]") // agree
}

func TestPeopleLogInByOpenIDConnect(t *testing.T) {
	w, base := oidcWorld(t)
	tab := browser.Start(t)
	// A membership makes bob an administrator; where they wanted to go they come.
	loginAs(tab, base, "bob", "/organizations/acme/policy")
	if address, text := tab.Address(), tab.Text("main"); address != base+"/organizations/acme/policy" || !strings.Contains(text, "Nothing is saved yet") {
		t.Fatalf("bob stands at %s:\n%s", address, text)
	}
	tab.Open(base + "/organizations/globex")
	if text := tab.Text("main"); !strings.Contains(text, "Not found") {
		t.Errorf("bob sees globex:\n%s", text)
	}
	// The role is lost with the membership, in the same session.
	w.do(t, inventory.AddMember{Organization: "acme", User: "zoe", Role: "admin"})
	w.do(t, inventory.RemoveMember{Organization: "acme", User: "bob"})
	tab.Open(base + "/organizations/acme/policy")
	if text := tab.Text("main"); !strings.Contains(text, "Not found") {
		t.Errorf("bob is no member any more, and sees\n%s", text)
	}
}

func TestAGroupGivesARole(t *testing.T) {
	_, base := oidcWorld(t)
	tab := browser.Start(t)
	loginAs(tab, base, "alice", "https://evil.example/")
	if address := tab.Address(); !strings.HasPrefix(address, base+"/") {
		t.Errorf("the login led to %s", address)
	}
	tab.Open(base + "/organizations/acme/review")
	if text := tab.Text("main"); !strings.Contains(text, "Nothing waits") {
		t.Errorf("a reviewer sees\n%s", text)
	}
	tab.Open(base + "/organizations/acme/policy")
	tab.Click("button[name=preview]")
	if text := tab.Text("main"); strings.Contains(text, "Save") || !strings.Contains(text, "Whom it would break") {
		t.Errorf("a reviewer may look at a change of policy, and not make it:\n%s", text)
	}
}

// again starts patrol again on the same data and address, with another
// configuration.
func (w *world) again(t *testing.T, change func(*Config)) {
	t.Helper()
	w.Close()
	change(&w.Config)
	w.App = &App{Config: w.Config, Log: w.Log, Clock: w.Clock}
	if err := w.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestAMappingThatIsTakenOutTakesTheRole from sessions that are there; one that is
// put in gives it, since the session holds the groups. Without the provider its
// sessions are over, and who came by patrol login stays.
func TestAMappingThatIsTakenOutTakesTheRole(t *testing.T) {
	w, base := oidcWorld(t)
	tab := browser.Start(t)
	loginAs(tab, base, "alice", "/organizations/acme/review")
	review := func(what, want string) {
		t.Helper()
		tab.Open(base + "/organizations/acme/review")
		if text := tab.Text("main"); !strings.Contains(text, want) {
			t.Errorf("%s, alice sees\n%s", what, text)
		}
	}
	review("with the mapping", "Nothing waits")
	mapped := w.Config.Login
	w.again(t, func(c *Config) { c.Login.Groups = nil })
	review("without the mapping", "Not found")
	tab.Open(base + "/me")
	if text := tab.Text("main"); !strings.Contains(text, "My tokens") {
		t.Errorf("without the mapping she is still logged in:\n%s", text)
	}
	w.again(t, func(c *Config) {
		c.Login.Groups = []GroupConfig{{Group: "acme-security", Organization: "acme", Role: "admin"}}
	})
	tab.Open(base + "/organizations/acme/settings")
	if text := tab.Text("main"); !strings.Contains(text, "Save") {
		t.Errorf("with a greater role, alice sees\n%s", text)
	}
	machine := map[string]string{"Cookie": w.session(t)}
	w.again(t, func(c *Config) { c.Login = LoginConfig{} })
	tab.Open(base + "/organizations/acme/review")
	if address := tab.Address(); !strings.HasPrefix(address, base+"/login") {
		t.Errorf("without the provider alice stands at %s:\n%s", address, tab.Text("main"))
	}
	if status, _, _ := ask(t, "GET", base+"/organizations/acme/review", nil, machine); status != http.StatusOK {
		t.Errorf("without the provider, who came by patrol login gets %d", status)
	}
	w.again(t, func(c *Config) { c.Login = mapped; c.Login.Issuer = "http://127.0.0.1:9" })
	if tab.Open(base + "/me"); !strings.HasPrefix(tab.Address(), base+"/login") {
		t.Errorf("with another provider alice stands at %s", tab.Address())
	}
}

// TestLoginsThatAreForged: an answer that no browser asked for, one with another
// state, and a code that is none, all end on a clear page.
func TestLoginsThatAreForged(t *testing.T) {
	_, base := oidcWorld(t)
	status, header, _ := ask(t, "GET", base+"/login/start", nil, nil)
	if status != http.StatusSeeOther {
		t.Fatalf("the login answers %d", status)
	}
	cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";")
	to, err := url.Parse(header.Get("Location"))
	if err != nil || to.Query().Get("code_challenge_method") != "S256" || to.Query().Get("nonce") == "" {
		t.Fatalf("the login leads to %s: no PKCE, or no nonce", to)
	}
	state := to.Query().Get("state")
	for name, c := range map[string]struct{ query, cookie string }{
		"no browser asked":  {"code=x&state=" + state, ""},
		"another state":     {"code=x&state=other", cookie},
		"no state":          {"code=x", cookie},
		"a code that isn't": {"code=x&state=" + state, cookie},
		"a forged cookie":   {"code=x&state=", "patrol_login=e30"},
	} {
		t.Run(name, func(t *testing.T) {
			status, header, body := ask(t, "GET", base+"/login/callback?"+c.query, nil, map[string]string{"Cookie": c.cookie})
			if status != http.StatusBadRequest || !strings.Contains(body, "The login did not work") || strings.Contains(header.Get("Set-Cookie"), "patrol_session=") {
				t.Errorf("%d %v\n%s", status, header["Set-Cookie"], body)
			}
		})
	}
}
