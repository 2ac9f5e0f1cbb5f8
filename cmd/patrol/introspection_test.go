package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

const clientSecret = "a secret: of the client" // with what has to be encoded

// introspected is an App behind a real Envoy that asks a real server of RFC 7662
// about tokens.
func introspected(t *testing.T) (w *world, p *envoy.Process, issuer string) {
	t.Helper()
	issuer = nodeServer(t, "introspection.mjs")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(clientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = startApp(t, func(c *Config) {
		c.Sources.Introspection = []IntrospectionConfig{{
			Name: "corp", URL: issuer + "/token/introspection", Format: "[A-Za-z0-9_-]{43}", ClientID: "patrol", ClientSecretFile: secret,
			Cache: duration(30 * time.Second), CacheInactive: duration(10 * time.Second),
		}}
	})
	w.people(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Seen-Owner", r.Header.Get("X-Patrol-Owner"))
		_, _ = rw.Write([]byte(`{}`))
	}))
	t.Cleanup(upstream.Close)
	return w, envoytest.Start(t, envoy.Config{File: envoy.Strict, Patrol: w.listeners[0].Addr().String(), Upstream: upstream.Listener.Addr().String()}), issuer
}

// mint gives a token of the server's.
func mint(t *testing.T, issuer, sub, scope string, life time.Duration) string {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"sub": sub, "scope": scope, "seconds": int(life.Seconds())})
	resp, err := http.Post(issuer+"/mint", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return readAll(t, resp.Body)
}

func TestAnIntrospectedTokenIsReviewedAsAnyOther(t *testing.T) {
	w, p, issuer := introspected(t)
	const scope = "openid organization:acme=repo.content.read"
	token := mint(t, issuer, "bob", scope, 10*time.Minute)
	if status, code, _ := asks(t, p, bearer(token)); status != http.StatusForbidden || code != "approval_pending" {
		t.Fatalf("the first use: %d %s", status, code)
	}
	rows := w.foreign(t)
	if len(rows) != 1 || rows[0].Source != "introspection" || rows[0].Owner != "bob" || rows[0].DisplayName != "builder" || rows[0].Authorization.Status != "pending" {
		t.Fatalf("after the first use acme lists %+v", rows)
	}
	w.do(t, inventory.Approve{Organization: "acme", Token: rows[0].ID, Version: 1})
	status, code, answer := asks(t, p, bearer(token))
	if status != http.StatusOK || answer.Get("Seen-Owner") != "bob" {
		t.Errorf("approved: %d %s", status, code)
	}
	// The next token of the same client and person is the same to patrol; git
	// sends it as a password.
	next := mint(t, issuer, "bob", scope, 10*time.Minute)
	if status, _, _ := ask(t, "GET", "http://bob:"+next+"@"+p.Address+"/acme/model/info/refs?service=git-upload-pack", nil, nil); status != http.StatusOK {
		t.Errorf("the next one, as git sends it: %d", status)
	}
	for name, c := range map[string]struct{ token, code string }{
		"of nobody":                     {mint(t, issuer, "nobody", scope, time.Minute), "token_unknown"},
		"that the server does not know": {strings.Repeat("x", 43), "token_unknown"},
		"of another format":             {"short", "token_unknown"},
		"granting nothing":              {mint(t, issuer, "bob", "openid", time.Minute), "no_grant"},
	} {
		if status, code, _ := asks(t, p, bearer(c.token)); status < 400 || code != c.code {
			t.Errorf("one %s: %d %s", name, status, code)
		}
	}
	text := metricsOf(t, w)
	for _, want := range []string{
		`patrol_introspections_total{endpoint="corp",result="active"} 4`, `patrol_introspections_total{endpoint="corp",result="inactive"} 1`,
		`patrol_introspections_total{endpoint="corp",result="remembered"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for name, secret := range map[string]string{"the token": token, "the client's secret": clientSecret, "the client's secret, encoded": url.QueryEscape(clientSecret)} {
		log, err := os.ReadFile(w.logs)
		if err != nil || strings.Contains(string(log)+text, secret) {
			t.Errorf("the log or the metrics hold %s (%v)", name, err)
		}
	}
	// Revoked there, it ends here when its answer is no longer remembered.
	form := url.Values{"token": {token}, "client_id": {"builder"}, "client_secret": {"another-secret"}}
	if status, _, body := ask(t, "POST", issuer+"/token/revocation", form, nil); status != http.StatusOK {
		t.Fatalf("revoke: %d %s", status, body)
	}
	if status, _, _ := asks(t, p, bearer(token)); status != http.StatusOK {
		t.Errorf("revoked there, within the time that an answer is remembered: %d", status)
	}
	w.after(t, 31*time.Second)
	if status, code, _ := asks(t, p, bearer(token)); status != http.StatusUnauthorized || code != "token_unknown" {
		t.Errorf("revoked there: %d %s", status, code)
	}
	// Revoked here, at once.
	w.do(t, revokeOf(rows[0].ID))
	if status, code, _ := asks(t, p, bearer(next)); status != http.StatusForbidden || code != "token_revoked" {
		t.Errorf("revoked here: %d %s", status, code)
	}
}

func TestAnAnswerIsNotRememberedBeyondTheTokensEnd(t *testing.T) {
	w, p, issuer := introspected(t)
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "only_fine_grained_tokens"})
	token := mint(t, issuer, "bob", "organization:acme=repo.content.read", 15*time.Second)
	if status, code, _ := asks(t, p, bearer(token)); status != http.StatusOK {
		t.Fatalf("%d %s", status, code)
	}
	// patrol's clock is ahead of the server's, which still says it is active.
	w.after(t, 16*time.Second)
	if status, code, _ := asks(t, p, bearer(token)); status != http.StatusUnauthorized || code != "token_expired" {
		t.Errorf("after its end: %d %s", status, code)
	}
}
