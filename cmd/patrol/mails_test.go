package main

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/test/browser"
	"github.com/patrol-authz/patrol/test/canary"
)

// parts are a mail's text and HTML, decoded.
func mailParts(t *testing.T, raw string) (text, html string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, into := range []*string{&text, &html} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		*into = string(b)
	}
	return text, html
}

// about is the one mail to somebody whose subject has a text.
func (m *mailServer) about(t *testing.T, to, subject string) (raw string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, one := range m.mails {
		if strings.Contains(one.Header.Get("To"), to) && strings.Contains(one.Header.Get("Subject"), subject) {
			return m.text[i]
		}
	}
	t.Fatalf("no mail to %s is about %q", to, subject)
	return ""
}

// TestTheMailOfAMovedDateIsAPage that a reader shows as it should: moved, and
// taken back.
func TestTheMailOfAMovedDateIsAPage(t *testing.T) {
	const day = 24 * time.Hour
	w, server, p := stopping(t)
	w.dated(t, 10*day)
	w.round(t, p)
	server.subjects(t, 3)
	moved := w.dated(t, 60*day)
	w.round(t, p)
	server.subjects(t, 5)
	w.do(t, inventory.SetPolicy{Organization: "acme", ClearNext: true})
	w.round(t, p)
	server.subjects(t, 7)
	tab := browser.Start(t)
	for subject, says := range map[string]string{
		"has moved": "the token policy of acme changes on " + moved, "has taken": "No change of its token policy is dated any more: nothing stops on that day. The present policy is “Allow access via User Access Tokens (default)”.",
	} {
		text, html := mailParts(t, server.about(t, "bob", subject))
		if !strings.Contains(text, says) || !strings.Contains(text, "https://patrol.example.com/me") {
			t.Errorf("the text does not say %q:\n%s", says, text)
		}
		file := filepath.Join(t.TempDir(), "mail.html")
		if err := os.WriteFile(file, []byte(html), 0o600); err != nil {
			t.Fatal(err)
		}
		tab.Open("file://" + file)
		inBothThemes(t, tab, "mail-policy-"+strings.ReplaceAll(subject, " ", "-"))
		if shown := tab.Text("body"); !strings.Contains(shown, says) || !strings.Contains(shown, "You are told because tokens of yours were to stop.") {
			t.Errorf("the page does not say %q:\n%s", says, shown)
		}
		if link := browser.Evaluate[string](tab, `document.querySelector("a").href`); link != "https://patrol.example.com/me" {
			t.Errorf("it leads to %s", link)
		}
		if title := tab.Title(); !strings.Contains(title, subject) {
			t.Errorf("its title is %q", title)
		}
	}
}

// TestTheMailOfADenialIsAPage that says what happened, what may be done, and whom
// to ask.
func TestTheMailOfADenialIsAPage(t *testing.T) {
	w, server := mailed(t)
	id := w.issueFor(t, "nightly builds")
	w.do(t, inventory.Deny{Organization: "acme", Token: id, Version: 1, Reason: "Reading would do: ask for less."})
	server.subjects(t, 4)
	text, html := mailParts(t, server.about(t, "bob", "Denied for acme"))
	file := filepath.Join(t.TempDir(), "mail.html")
	if err := os.WriteFile(file, []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	tab := browser.Start(t)
	tab.Open("file://" + file)
	inBothThemes(t, tab, "mail-denied")
	shown := tab.Text("body")
	again := w.Clock().Add(inventory.DefaultCooldown).UTC().Format(time.DateOnly)
	for _, says := range []string{
		"An administrator of acme denied your token “nightly builds”", "They wrote: Reading would do: ask for less.", "You may ask again from " + again, "Who can help: alice, who administers acme.",
		"You are told because the token is yours.", "patrol sent this",
	} {
		if !strings.Contains(text, says) || !strings.Contains(shown, says) {
			t.Errorf("it does not say %q:\n%s\n%s", says, text, shown)
		}
	}
}

// TestNoMailHoldsASecret over a token's whole life, also where somebody writes
// one into a text: that is refused, and the field named.
func TestNoMailHoldsASecret(t *testing.T) {
	server := &mailServer{}
	port, _ := server.start(t, "127.0.0.1:0")
	w := startApp(t, func(c *Config) {
		c.Admin.Listen = "127.0.0.1:0"
		c.Mail = MailConfig{From: "patrol@example.com", SMTP: SMTPConfig{Host: "127.0.0.1", Port: port, TLS: "none"}}
		c.Answer.PublicURL = "https://patrol.example.com"
		someProvider(c)
	})
	w.people(t)
	secret, next := credential.Generate(), credential.Generate()
	on := []authz.Grant{inventorytest.On("acme", "repo.write")}
	token := w.do(t, inventory.IssueToken{Owner: "bob", DisplayName: "ci", Kind: authz.KindFineGrained, Digest: w.digester.Secret(secret), Last4: secret.Last4(), Grants: on}).Token.ID
	leak := "It is " + secret.Reveal() + ", as you asked."
	bob := inventory.Actor{Kind: "console", Name: "bob"}
	for field, c := range map[string]inventory.Command{
		"purpose":      inventory.AskAgain{Organization: "acme", Token: token, Purpose: leak},
		"comment":      inventory.CommentRequest{Organization: "acme", Token: token, Comment: leak},
		"question":     inventory.AskOwner{Organization: "acme", Token: token, Question: leak},
		"reason":       inventory.Deny{Organization: "acme", Token: token, Version: 1, Reason: leak},
		"display_name": inventory.IssueToken{Owner: "bob", DisplayName: secret.Reveal(), Kind: authz.KindRead, Digest: w.digester.Secret(next)},
	} {
		_, err := w.Store.Do(t.Context(), bob, c)
		var invalid *inventory.Invalid
		if !errors.As(err, &invalid) || invalid.Field != field || strings.Contains(err.Error(), secret.Reveal()) {
			t.Errorf("a secret in %s: %v", field, err)
		}
	}
	base := "http://" + w.Config.Admin.Listen
	status, _, page := ask(t, "POST", base+"/tokens/"+token+"/ask", url.Values{"organization": {"acme"}, "purpose": {leak}}, w.sessionOf(t, "bob"))
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "holds the secret of a token") {
		t.Errorf("the owner's page answers %d:\n%s", status, page)
	}
	canary.Text(t, "the owner's page", []byte(page))
	for _, c := range []inventory.Command{
		inventory.AskOwner{Organization: "acme", Token: token, Question: "What is it for?"},
		inventory.AskAgain{Organization: "acme", Token: token, Purpose: "nightly builds"},
		inventory.Approve{Organization: "acme", Token: token, Version: 1},
		inventory.SuspendToken{Organization: "acme", Token: token, Comment: "who runs it?"},
		inventory.ResumeToken{Organization: "acme", Token: token},
		inventory.RotateToken{Token: token, Digest: w.digester.Secret(next), Last4: next.Last4()},
		inventory.Deny{Organization: "acme", Token: token, Version: 2, Reason: "it is not used"},
		inventory.RevokeToken{Organization: "acme", Token: token, Comment: "for good"},
	} {
		w.do(t, c)
		if err := w.Notify.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := server.subjects(t, 9)
	if len(got) < 8 {
		t.Errorf("only %v arrived", got)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	threads := map[string]bool{}
	for i, raw := range server.text {
		text, html := mailParts(t, raw)
		canary.Text(t, "a mail", []byte(raw+text+html))
		if strings.Contains(text+html, credential.Prefix) {
			t.Errorf("a secret's form is in\n%s", text)
		}
		if list := server.mails[i].Header.Get("List-Id"); list != "<acme.tokens.patrol.example.com>" {
			t.Errorf("the List-Id is %q", list)
		}
		for _, onRequest := range []string{"asks for access", "waits for an approval", "asks about", "Approved"} {
			if strings.Contains(server.mails[i].Header.Get("Subject"), onRequest) {
				threads[server.mails[i].Header.Get("References")] = true
			}
		}
	}
	if len(threads) != 1 || threads[""] {
		t.Errorf("the mails on one request refer to %v", threads)
	}
}
