package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
	"github.com/patrol-authz/patrol/test/freeaddr"
)

// TestTheWholeWay goes from a refusal to a request that passes: Envoy refuses a
// token, its administrator's mail arrives at a mail server, the mail's link
// opens the review in a browser, the approval lets the same request pass, and
// the owner's mail arrives.
func TestTheWholeWay(t *testing.T) {
	console := freeaddr.For(t)
	server := &mailServer{}
	port, _ := server.start(t, "127.0.0.1:0")
	w := startApp(t, func(c *Config) {
		c.Admin.Listen = console
		c.Answer.PublicURL = "http://" + console
		c.Mail = MailConfig{From: "patrol@example.com", SMTP: SMTPConfig{Host: "127.0.0.1", Port: port, TLS: "none"}}
	})
	w.people(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) }))
	t.Cleanup(upstream.Close)
	p := envoytest.Start(t, envoy.Config{File: envoy.Strict, Patrol: w.listeners[0].Addr().String(), Upstream: upstream.Listener.Addr().String()})
	secret := credential.Generate()
	id := w.do(t, inventory.IssueToken{
		Owner: "bob", DisplayName: "ci", Kind: authz.KindFineGrained, Digest: w.digester.Secret(secret), Last4: secret.Last4(), Purpose: "nightly builds",
		Grants: []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.content.read"}}},
	}).Token.ID
	bearer := map[string]string{"Authorization": "Bearer " + secret.Reveal()}
	status, header, body := ask(t, "GET", "http://"+p.Address+"/api/models/acme/model", nil, bearer)
	if status != http.StatusForbidden || header.Get("X-Error-Code") != "approval_pending" || !strings.Contains(body, "http://"+console+"/tokens/"+id) {
		t.Fatalf("before the approval: %d %s\n%s", status, header.Get("X-Error-Code"), body)
	}
	if got := server.subjects(t, 2); got["alice@example.com: bob asks for access to acme: ci"] != 1 {
		t.Fatalf("the administrator was not told: %v", got)
	}
	link := regexp.MustCompile(`http://[^\s"<=]+/review/[0-9a-f-]{36}`).FindString(strings.ReplaceAll(server.to("alice@example.com"), "=\r\n", ""))
	if link == "" {
		t.Fatalf("the mail has no link to the review:\n%s", server.to("alice@example.com"))
	}
	tab := w.loggedIn(t)
	tab.Open(link)
	if text := tab.Text("main"); !strings.Contains(text, "nightly builds") {
		t.Fatalf("the link opens\n%s", text)
	}
	tab.Click("button[value=approve]")
	if text := tab.Text("main"); !strings.Contains(text, "Nothing else waits") {
		t.Fatalf("after the approval stands\n%s", text)
	}
	if status, _, body := ask(t, "GET", "http://"+p.Address+"/api/models/acme/model", nil, bearer); status != http.StatusOK {
		t.Fatalf("after the approval: %d\n%s", status, body)
	}
	if got := server.subjects(t, 3); got["bob@example.com: Approved for acme: ci"] != 1 {
		t.Fatalf("the owner was not told: %v", got)
	}
	for _, mail := range server.text {
		if strings.Contains(mail, secret.Reveal()) {
			t.Error("a mail holds the secret")
		}
	}
}

// to is the first mail to an address.
func (m *mailServer) to(address string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, one := range m.mails {
		if strings.Trim(one.Header.Get("To"), "<>") == address {
			return m.text[i]
		}
	}
	return ""
}
