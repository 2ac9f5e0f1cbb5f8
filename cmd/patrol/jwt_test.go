package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

// login is a provider that signs JWTs.
type login struct {
	t      *testing.T
	issuer string
	key    *ecdsa.PrivateKey
}

func newLogin(t *testing.T, issuer string) *login {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &login{t, issuer, key}
}

func (l *login) keys() string {
	l.t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: l.key.Public(), KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

// token signs the claims of bob's program for acme, changed.
func (l *login) token(change map[string]any) string {
	l.t.Helper()
	claims := map[string]any{
		"iss": l.issuer, "sub": "bob", "azp": "builder", "aud": "patrol", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"scope": "openid organization:acme=repo.content.read",
	}
	maps.Copy(claims, change)
	for k, v := range change {
		if v == nil {
			delete(claims, k)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: l.key, KeyID: "one"}}, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		l.t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		l.t.Fatal(err)
	}
	return raw
}

const issuer = "https://login.example.com"

// jwtEdge is an App behind a real Envoy that verifies JWTs, over a Unix socket
// or over TCP.
func jwtEdge(t *testing.T, file string, peers []string, unix bool) (*world, *envoy.Process, *login) {
	t.Helper()
	w := startApp(t, func(c *Config) {
		c.Sources.JWT = JWTConfig{Peers: peers, Issuers: []IssuerConfig{{Issuer: issuer, Payload: "corp"}}}
		c.Policy.CredentialHeaders = []string{"x-api-key"}
	})
	w.people(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Seen-Authorization", r.Header.Get("Authorization"))
		rw.Header().Set("Seen-Owner", r.Header.Get("X-Patrol-Owner"))
		_, _ = rw.Write([]byte(`{}`))
	}))
	t.Cleanup(upstream.Close)
	l := newLogin(t, issuer)
	patrol := w.listeners[0].Addr().String()
	if unix {
		patrol = w.Config.ExtAuthz.Listen[1]
	}
	return w, envoytest.Start(t, envoy.Config{
		File: file, Patrol: patrol, Upstream: upstream.Listener.Addr().String(), JWT: &envoy.JWT{Issuer: issuer, Keys: l.keys()},
	}), l
}

// asks asks for a model of acme's.
func asks(t *testing.T, p *envoy.Process, header map[string]string) (status int, code string, answer http.Header) {
	t.Helper()
	status, answer, _ = ask(t, "GET", "http://"+p.Address+"/api/models/acme/model", nil, header)
	return status, answer.Get("X-Error-Code"), answer
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// foreign lists acme's tokens of other sources.
func (w *world) foreign(t *testing.T) (all []inventory.TokenRow) {
	t.Helper()
	rows, _, err := w.Store.Tokens(t.Context(), "acme", inventory.TokenFilter{Status: "all"}, inventory.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if authz.Foreign(r.Source) {
			all = append(all, r)
		}
	}
	return all
}

// TestATokenThatEnvoyVerifiedIsReviewedAsAnyOther goes from its first use to its
// revocation.
func TestATokenThatEnvoyVerifiedIsReviewedAsAnyOther(t *testing.T) {
	w, p, l := jwtEdge(t, envoy.Strict, []string{"unix"}, true)
	if status, code, _ := asks(t, p, bearer(l.token(nil))); status != http.StatusForbidden || code != "approval_pending" {
		t.Fatalf("the first use: %d %s", status, code)
	}
	rows := w.foreign(t)
	if len(rows) != 1 || rows[0].Source != "jwt" || rows[0].Owner != "bob" || rows[0].DisplayName != "builder" || rows[0].Authorization.Status != "pending" || rows[0].Authorization.Request.OpenedBy != "hit" {
		t.Fatalf("after the first use acme lists %+v", rows)
	}
	id := rows[0].ID
	if resp := asTable(t, w, id); resp.Source != "jwt" {
		t.Errorf("the API lists its source as %q", resp.Source)
	}
	w.do(t, inventory.Approve{Organization: "acme", Token: id, Version: 1})
	status, code, answer := asks(t, p, bearer(l.token(map[string]any{"jti": "another"})))
	if status != http.StatusOK || answer.Get("Seen-Owner") != "bob" || answer.Get("Seen-Authorization") != "" {
		t.Errorf("approved: %d %s %v", status, code, answer)
	}
	// More than was approved is asked for; what was approved goes on.
	wider := l.token(map[string]any{"scope": "organization:acme=repo.content.read,repo.write"})
	w.after(t, 2*time.Minute) // a record is not widened more often than that
	if status, code, _ := asks(t, p, bearer(wider)); status != http.StatusOK {
		t.Errorf("wider: %d %s", status, code)
	}
	if row := w.foreign(t)[0]; row.Authorization.Request.State != "open" || len(row.Grants[0].Permissions) != 2 {
		t.Errorf("seen with more: %+v", row)
	}
	if status, _, _ := ask(t, "POST", "http://"+p.Address+"/api/models/acme/model/commit/main", nil, bearer(wider)); status != http.StatusForbidden {
		t.Errorf("what was not approved: %d", status)
	}
	// Claims that grant nothing use nothing of what was approved.
	if status, code, _ := asks(t, p, bearer(l.token(map[string]any{"scope": "openid"}))); status != http.StatusForbidden || code != "no_grant" {
		t.Errorf("with claims that grant nothing: %d %s", status, code)
	}
	for _, step := range []struct {
		do     inventory.Command
		status int
		code   string
	}{
		{suspendOf(id), 403, "token_suspended"},
		{resumeOf(id), 200, ""},
		{disableOf(id), 401, "token_unknown"},
		{enableOf(id), 200, ""},
		{revokeOf(id), 403, "token_revoked"},
		{inventory.DeleteToken{Token: id}, 401, "token_unknown"},
	} {
		w.do(t, step.do)
		if status, code, _ := asks(t, p, bearer(l.token(nil))); status != step.status || code != step.code {
			t.Errorf("after %s: %d %s, want %d %s", step.do.Action(), status, code, step.status, step.code)
		}
	}
	if rows := w.foreign(t); len(rows) != 0 {
		t.Errorf("a deleted one came back: %+v", rows)
	}
}

// asTable is a row of the API's listing.
func asTable(t *testing.T, w *world, id string) (found struct{ ID, Source string }) {
	t.Helper()
	var rows []struct {
		ID     string `json:"_id"`
		Source string `json:"source"`
	}
	body := overAdminSocket(t, w, "/api/organizations/acme/settings/tokens?status=all")
	if err := json.Unmarshal(body, &rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.ID == id {
			found.ID, found.Source = r.ID, r.Source
		}
	}
	return found
}

// TestOnlyWhatEnvoyVerifiedIsTaken: what patrol refuses, whatever Envoy made of it.
func TestOnlyWhatEnvoyVerifiedIsTaken(t *testing.T) {
	for _, file := range []string{envoy.Strict, envoy.Raw} {
		t.Run(file, func(t *testing.T) {
			w, p, l := jwtEdge(t, file, []string{"127.0.0.1"}, false)
			w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "only_fine_grained_tokens"})
			own, secret := w.fineToken(t, authz.KindFineGrained, 0)
			_ = own
			other := newLogin(t, issuer)
			good := l.token(nil)
			if status, code, _ := asks(t, p, bearer(good)); status != http.StatusOK {
				t.Fatalf("a good one: %d %s", status, code)
			}
			head, rest, _ := strings.Cut(good, ".")
			for name, c := range map[string]struct {
				header map[string]string
				status int
				code   string
			}{
				"a token of patrol's own, too":   {bearer(secret.Reveal()), 200, ""},
				"nothing":                        {nil, 401, "credential_missing"},
				"signed by somebody else":        {bearer(other.token(nil)), 401, "token_unknown"},
				"signed by nobody":               {bearer(head + "." + strings.Split(rest, ".")[0] + "."), 401, "token_unknown"},
				"for somebody else":              {bearer(l.token(map[string]any{"aud": "others"})), 401, "token_unknown"},
				"of another issuer":              {bearer(l.token(map[string]any{"iss": "https://evil.example"})), 401, "token_unknown"},
				"ended":                          {bearer(l.token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})), 401, "token_unknown"},
				"without an end":                 {bearer(l.token(map[string]any{"exp": nil})), 401, "token_unknown"},
				"ended, within Envoy's leeway":   {bearer(l.token(map[string]any{"exp": time.Now().Add(-2 * time.Second).Unix()})), 401, "token_expired"},
				"of nobody":                      {bearer(l.token(map[string]any{"sub": nil})), 401, "token_unknown"},
				"of somebody unknown":            {bearer(l.token(map[string]any{"sub": "nobody"})), 401, "token_unknown"},
				"bound to a key":                 {bearer(l.token(map[string]any{"cnf": map[string]any{"jkt": "x"}})), 401, "token_unknown"},
				"beside a token of patrol's":     {map[string]string{"Authorization": "Bearer " + good, "X-Api-Key": secret.Reveal()}, 400, "credential_malformed"},
				"beside a token of nobody's":     {map[string]string{"Authorization": "Bearer " + good, "X-Api-Key": "x"}, 400, "credential_malformed"},
				"as Basic":                       {map[string]string{"Authorization": "Basic " + good}, 400, "credential_malformed"},
				"in a header that claims claims": {map[string]string{"X-Jwt-Payload": head, "X-Patrol-Owner": "bob"}, 401, "credential_missing"},
				"granting to itself globally":    {bearer(l.token(map[string]any{"scope": "organization:nowhere=repo.content.read", "global": []string{"patrol.operate"}})), 403, "no_grant"},
			} {
				t.Run(name, func(t *testing.T) {
					if status, code, _ := asks(t, p, c.header); status != c.status || code != c.code {
						t.Errorf("%d %s, want %d %s", status, code, c.status, c.code)
					}
				})
			}
			if rows := w.foreign(t); len(rows) != 1 {
				t.Errorf("records were made: %+v", rows)
			}
			text := metricsOf(t, w)
			for _, want := range []string{`patrol_source_records_total{result="made",source="jwt"} 1`, `patrol_source_records_total{result="refused",source="jwt"} 1`} {
				if !strings.Contains(text, want) {
					t.Errorf("the metrics lack %s", want)
				}
			}
		})
	}
}

// TestTheWordOfOthersDoesNotCount: an Envoy that is not listed may verify what
// it wants.
func TestTheWordOfOthersDoesNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		peers []string
		unix  bool
	}{"a socket is listed, TCP comes": {[]string{"unix"}, false}, "another address is listed": {[]string{"10.9.9.9"}, false}, "an address is listed, a socket comes": {[]string{"127.0.0.1"}, true}} {
		t.Run(name, func(t *testing.T) {
			w, p, l := jwtEdge(t, envoy.Strict, c.peers, c.unix)
			if status, code, _ := asks(t, p, bearer(l.token(nil))); status != http.StatusUnauthorized || code != "credential_missing" {
				t.Errorf("%d %s", status, code)
			}
			if rows := w.foreign(t); len(rows) != 0 {
				t.Errorf("records were made: %+v", rows)
			}
		})
	}
}

// overAdminSocket reads an address of the admin API as the operator.
func overAdminSocket(t *testing.T, w *world, path string) []byte {
	t.Helper()
	resp, err := overSocket(w.Config.Admin.Socket).Get("http://patrol" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, b)
	}
	return b
}

// metricsOf is what the metrics show.
func metricsOf(t *testing.T, w *world) string {
	t.Helper()
	_, _, text := ask(t, "GET", "http://"+w.Config.Diagnostics.Listen+"/metrics", nil, nil)
	return text
}
