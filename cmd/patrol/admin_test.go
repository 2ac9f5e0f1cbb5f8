package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// bureau is an App with two organizations, their people, and a token of each
// sort of caller; its admin API listens on TCP too.
type bureau struct {
	*world
	t testing.TB
}

// organizationsOf the bureau: acme asks for approvals, globex does not.
const (
	acme   = "acme"
	globex = "globex"
)

func startBureau(t testing.TB, more ...func(*Config)) *bureau {
	t.Helper()
	b := &bureau{t: t, world: startApp(t, func(c *Config) {
		c.Admin.Listen = "127.0.0.1:0"
		c.Admin.SystemOwners = []string{"root"}
		for _, change := range more {
			change(c)
		}
	})}
	for name, policy := range map[string]string{acme: "require_administrator_approval", globex: "allow_user_access_tokens", "watched": "allow_user_access_tokens"} {
		c := inventory.CreateOrganization{Name: name, TokenPolicy: policy}
		if name == "watched" {
			c.Enforcement = authz.Observe
		}
		b.do(t, c)
	}
	for _, m := range []inventory.AddMember{
		{Organization: acme, User: "alice", Role: "admin"},
		{Organization: acme, User: "bob", Role: "write"},
		{Organization: acme, User: "carol", Role: "admin"},
		{Organization: globex, User: "gail", Role: "admin"},
		{Organization: globex, User: "bob", Role: "write"},
		{Organization: globex, User: "root", Role: "read"},
		{Organization: "watched", User: "bob", Role: "read"},
	} {
		b.do(t, m)
	}
	everything := []string{"org.read", "org.write", "org.tokens.read", "org.tokens.review", "org.tokens.write", "repo.write"}
	b.issue("admin", "alice", everything, acme)
	b.issue("reviewer", "alice", []string{"org.tokens.review"}, acme)
	b.issue("reader", "carol", []string{"org.tokens.read"}, acme)
	b.issue("admin_elsewhere", "gail", everything, globex)
	b.issue("member", "bob", everything, globex)
	b.issue("observed", "bob", []string{"org.tokens.write"}, "watched")
	b.issue("revoked", "alice", everything, acme)
	b.issue("suspended", "alice", everything, acme)
	b.issue("disabled", "alice", everything, acme)
	b.issue("pending", "bob", everything, acme)
	b.issueAs("unscoped", inventory.IssueToken{Owner: "alice", Kind: "write"})
	b.issueAs("operator", inventory.IssueToken{Owner: "root", Kind: "fine-grained", Global: []string{"patrol.operate"}})
	b.issueAs("operators_other", inventory.IssueToken{Owner: "root", Kind: "fine-grained"})
	b.issueAs("pretender", inventory.IssueToken{Owner: "alice", Kind: "fine-grained", Global: []string{"patrol.operate"}})
	b.issueAs("ended", inventory.IssueToken{Owner: "alice", Kind: "fine-grained", ExpiresAt: time.Date(2098, 1, 1, 0, 0, 0, 0, time.UTC), Grants: grantsOn(everything, acme)})
	b.do(t, inventory.RevokeToken{Organization: acme, Token: b.ids["revoked"]})
	b.do(t, inventory.SuspendToken{Organization: acme, Token: b.ids["suspended"]})
	b.do(t, inventory.DisableToken{Token: b.ids["disabled"]})
	return b
}

func grantsOn(permissions []string, organizations ...string) (grants []authz.Grant) {
	for _, o := range organizations {
		grants = append(grants, authz.Grant{Entity: authz.Entity{Type: "organization", Name: o}, Permissions: permissions})
	}
	return grants
}

func (b *bureau) issue(name, owner string, permissions []string, organizations ...string) {
	b.issueAs(name, inventory.IssueToken{Owner: owner, Kind: "fine-grained", Grants: grantsOn(permissions, organizations...)})
}

func (b *bureau) issueAs(name string, c inventory.IssueToken) string {
	b.t.Helper()
	secret := credential.Generate()
	c.DisplayName, c.Digest, c.Last4 = name, b.digester.Secret(secret), secret.Last4()
	b.secrets[name], b.ids[name] = secret, b.do(b.t, c).Token.ID
	return b.ids[name]
}

func overSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
}

// answered is an answer of the API.
type answered struct {
	status int
	header http.Header
	body   []byte
}

func (a answered) problem(t testing.TB) (p struct {
	Code, Detail, Title, Error string
	RequestID                  string `json:"request_id"`
	Errors                     []struct{ Field, Message string }
	Present                    map[string]any
},
) {
	t.Helper()
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("this is no problem: %s", a.body)
	}
	return p
}

// call asks the API over TCP with the token of a name ("": none), or over the
// socket as its peer.
func (b *bureau) call(caller, method, path string, body any, headers ...string) answered {
	b.t.Helper()
	var r io.Reader
	if body != nil {
		text, ok := body.(string)
		if !ok {
			encoded, err := json.Marshal(body)
			if err != nil {
				b.t.Fatal(err)
			}
			text = string(encoded)
		}
		r = strings.NewReader(text)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+b.Config.Admin.Listen+path, r)
	if err != nil {
		b.t.Fatal(err)
	}
	client := http.DefaultClient
	switch secret, ok := b.secrets[caller]; {
	case ok:
		req.Header.Set("Authorization", "Bearer "+secret.Reveal())
	case caller == "socket":
		client = overSocket(b.Config.Admin.Socket)
	case caller == "unknown":
		req.Header.Set("Authorization", "Bearer ptl_"+strings.Repeat("0", 42))
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for name, secret := range b.secrets {
		if bytes.Contains(text, []byte(secret.Reveal())) {
			b.t.Errorf("%s %s tells the secret of %s", method, path, name)
		}
	}
	return answered{resp.StatusCode, resp.Header, text}
}
