package main

import (
	"context"
	"io"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/notify"
	"github.com/patrol-authz/patrol/test/freeaddr"
)

// mailServer is a real SMTP server on loopback. It can be down.
type mailServer struct {
	mu    sync.Mutex
	mails []*mail.Message
	text  []string
}

func (m *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) { return mailSession{m}, nil }

type mailSession struct{ *mailServer }

func (mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (mailSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (mailSession) Reset()                               {}
func (mailSession) Logout() error                        { return nil }

func (m mailSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	parsed, err := mail.ReadMessage(strings.NewReader(string(b)))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails, m.text = append(m.mails, parsed), append(m.text, string(b))
	return err
}

// start serves on an address, ":0" for a free one, and returns its port.
func (m *mailServer) start(t *testing.T, address string) (port int, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(m)
	s.Domain = "localhost"
	go s.Serve(l) //nolint:errcheck // ends with the test
	stop = func() { s.Close() }
	t.Cleanup(stop)
	return l.Addr().(*net.TCPAddr).Port, stop
}

// subjects waits until mails have arrived, and returns "to: subject" of each.
func (m *mailServer) subjects(t *testing.T, want int) map[string]int {
	t.Helper()
	for range 400 {
		m.mu.Lock()
		n := len(m.mails)
		m.mu.Unlock()
		if n >= want {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]int{}
	for _, one := range m.mails {
		out[strings.Trim(one.Header.Get("To"), "<>")+": "+one.Header.Get("Subject")]++
	}
	return out
}

// people is an organization with an approval policy, an administrator and a
// member with addresses.
func (w *world) people(t *testing.T) {
	t.Helper()
	w.do(t, inventory.CreateOrganization{Name: "acme", TokenPolicy: "require_administrator_approval"})
	w.do(t, inventory.AddMember{Organization: "acme", User: "alice", Role: "admin", Email: "alice@example.com", Confirmed: inventory.ConfirmedByAdministrator})
	w.do(t, inventory.AddMember{Organization: "acme", User: "bob", Role: "write", Email: "bob@example.com", Confirmed: inventory.ConfirmedByAdministrator})
}

func (w *world) issueFor(t *testing.T, name string) string {
	t.Helper()
	secret := credential.Generate()
	r := w.do(t, inventory.IssueToken{
		Owner: "bob", DisplayName: name, Kind: authz.KindFineGrained, Digest: w.digester.Secret(secret), Last4: secret.Last4(),
		Grants: []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write"}}},
	})
	return r.Token.ID
}

func TestMailsArriveOnceAlsoAfterAnHourWithoutTheirServer(t *testing.T) {
	server := &mailServer{}
	port, stop := server.start(t, freeaddr.For(t))
	w := startApp(t, func(c *Config) {
		c.Mail = MailConfig{From: "patrol@example.com", SMTP: SMTPConfig{Host: "127.0.0.1", Port: port, TLS: "none"}}
		c.Answer.PublicURL = "https://patrol.example.com"
	})
	w.people(t)
	id := w.issueFor(t, "ci")
	want := map[string]int{
		"alice@example.com: bob asks for access to acme: ci":           1,
		"bob@example.com: Your token ci waits for an approval by acme": 1,
	}
	if got := server.subjects(t, 2); !same(got, want) {
		t.Fatalf("arrived: %v, want %v", got, want)
	}
	stop()
	row, err := w.Store.Token(context.Background(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	w.do(t, inventory.Approve{Organization: "acme", Token: id, Version: row.Version})
	for range 60 { // an hour of minutes
		w.offset.Add(int64(time.Minute))
		if err := w.Notify.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sizes, err := w.Store.OutboxSizes(t.Context())
	if err != nil || sizes["waiting"] != 1 || sizes["dead"] != 0 {
		t.Fatalf("after an hour without the server the outbox holds %v, %v; want one that waits", sizes, err)
	}
	again := &mailServer{}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	again.start(t, address)
	for range 70 {
		w.offset.Add(int64(time.Minute))
		if err := w.Notify.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want = map[string]int{"bob@example.com: Approved for acme: ci": 1}
	if got := again.subjects(t, 1); !same(got, want) {
		t.Fatalf("arrived: %v, want %v", got, want)
	}
	if ref := again.mails[0].Header.Get("References"); ref == "" || ref != server.mails[0].Header.Get("References") {
		t.Errorf("the mails on one request are no thread: %q and %q", ref, server.mails[0].Header.Get("References"))
	}
}

func same(a, b map[string]int) bool {
	if len(a) != len(b) {
		return false
	}
	for k, n := range a {
		if b[k] != n {
			return false
		}
	}
	return true
}

// TestADigestTellsWhatWasFound on Monday, once, to administrators.
func TestADigestTellsWhatWasFound(t *testing.T) {
	server := &mailServer{}
	port, _ := server.start(t, "127.0.0.1:0")
	w := startApp(t, func(c *Config) {
		c.Mail = MailConfig{From: "patrol@example.com", SMTP: SMTPConfig{Host: "127.0.0.1", Port: port, TLS: "none"}}
	})
	w.people(t)
	id := w.issueFor(t, "ci")
	server.subjects(t, 2)
	row, err := w.Store.Organization(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Store.SaveFindings(t.Context(), []hygiene.Result{{Pair: hygiene.Pair{Organization: row.ID, Token: id}, Findings: []hygiene.Finding{{Name: "no_expiry", Severity: "high", Title: "It never expires", Do: "Give it an end"}}}}); err != nil {
		t.Fatal(err)
	}
	p := notify.NewPlanner(outbox{w.Store}, calendar{w.App})
	monday := w.Clock().UTC().Truncate(24 * time.Hour)
	for monday.Weekday() != time.Monday {
		monday = monday.AddDate(0, 0, 1)
	}
	for _, at := range []time.Duration{0, time.Hour, 23 * time.Hour} {
		if err := p.Plan(t.Context(), monday.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	w.offset.Store(int64(monday.Add(24 * time.Hour).Sub(w.Clock())))
	if err := w.Notify.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := server.subjects(t, 3)
	if got["alice@example.com: Token hygiene of acme: 1 finding"] != 1 {
		t.Fatalf("arrived: %v", got)
	}
	if text := server.text[len(server.text)-1]; !strings.Contains(text, "It never expires") {
		t.Errorf("the digest does not tell what was found:\n%s", text)
	}
}
