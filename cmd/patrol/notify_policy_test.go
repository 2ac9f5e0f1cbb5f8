package main

import (
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
	"github.com/patrol-authz/patrol/authz/notify"
)

// stopping is acme, open to all tokens, with two of bob's and one of carol's that
// only fine-grained tokens will stop, and a mail server.
func stopping(t *testing.T) (*world, *mailServer, *notify.Planner) {
	t.Helper()
	server := &mailServer{}
	port, _ := server.start(t, "127.0.0.1:0")
	w := startApp(t, func(c *Config) {
		c.Mail = MailConfig{From: "patrol@example.com", SMTP: SMTPConfig{Host: "127.0.0.1", Port: port, TLS: "none"}}
		c.Answer.PublicURL = "https://patrol.example.com"
	})
	w.people(t)
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "allow_user_access_tokens"})
	w.do(t, inventory.AddMember{Organization: "acme", User: "carol", Role: "write", Email: "carol@example.com", Confirmed: inventory.ConfirmedByAdministrator})
	w.do(t, inventory.AddMember{Organization: "acme", User: "dave", Role: "write", Email: "dave@example.com", Confirmed: inventory.ConfirmedByAdministrator})
	for i, one := range [][2]string{{"bob", "deploy"}, {"bob", "laptop"}, {"carol", "backup"}} {
		w.do(t, inventory.IssueToken{Owner: one[0], DisplayName: one[1], Kind: authz.KindWrite, Digest: inventorytest.Digest(8000 + i), Last4: "x0y1"})
	}
	w.do(t, inventory.IssueToken{Owner: "dave", DisplayName: "fine", Kind: authz.KindFineGrained, Digest: inventorytest.Digest(8100), Grants: []authz.Grant{inventorytest.On("acme", "repo.write")}})
	return w, server, w.planner()
}

// round plans and sends what is due.
func (w *world) round(t *testing.T, p *notify.Planner) {
	t.Helper()
	if err := p.Plan(t.Context(), w.Clock()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Notify.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) dated(t *testing.T, in time.Duration) string {
	t.Helper()
	at := w.Clock().Add(in)
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "only_fine_grained_tokens", EnforceAt: at})
	return at.UTC().Format(time.DateOnly)
}

func TestOwnersAreToldWhichOfTheirTokensStopAndWhen(t *testing.T) {
	const day = 24 * time.Hour
	w, server, p := stopping(t)
	date := w.dated(t, 20*day)
	w.round(t, p)
	if got := server.subjects(t, 0); len(got) != 0 {
		t.Fatalf("20 days before: %v", got)
	}
	want := map[string]int{
		"alice@example.com: 3 tokens stop when acme changes its token policy on " + date: 1,
		"bob@example.com: From " + date + " on, acme refuses 2 of your tokens":           1,
		"carol@example.com: From " + date + " on, acme refuses your token backup":        1,
	}
	w.offset.Add(int64(7 * day))
	for range 3 { // each quarter of an hour, and again after a restart
		w.round(t, p)
		p = w.planner()
	}
	if got := server.subjects(t, 3); !same(got, want) {
		t.Fatalf("13 days before: %v, want %v", got, want)
	}
	for i, to := range []string{"bob", "alice"} {
		text := ""
		for j, m := range server.mails {
			if strings.Contains(m.Header.Get("To"), to) {
				text = strings.ReplaceAll(server.text[j], "=\r\n", "")
			}
		}
		for _, says := range [][]string{{"deploy", "laptop", "Token type not allowed", "fine-grained tokens"}, {"Only access via fine-grained tokens", "of 2", "organizations/acme/policy"}}[i] {
			if !strings.Contains(text, says) {
				t.Errorf("the mail to %s does not say %q:\n%s", to, says, text)
			}
		}
	}
	// One of bob's tokens is gone: 3 days before, the rest is told again.
	rows, _, err := w.Store.Tokens(t.Context(), "acme", inventory.TokenFilter{Query: "laptop"}, inventory.Page{})
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	w.do(t, inventory.DeleteToken{Token: rows[0].ID})
	w.offset.Add(int64(10*day + time.Hour))
	w.round(t, p)
	want["alice@example.com: 2 tokens stop when acme changes its token policy on "+date] = 1
	want["bob@example.com: From "+date+" on, acme refuses your token deploy"] = 1
	want["carol@example.com: From "+date+" on, acme refuses your token backup"] = 2
	if got := server.subjects(t, 6); !same(got, want) {
		t.Fatalf("3 days before: %v, want %v", got, want)
	}
}

func TestWhatIsToldOfADateIsWithdrawnWhenItIsMoved(t *testing.T) {
	const day = 24 * time.Hour
	w, server, p := stopping(t)
	w.dated(t, 10*day)
	if err := p.Plan(t.Context(), w.Clock()); err != nil { // queued, and not sent yet
		t.Fatal(err)
	}
	moved := w.dated(t, 12*day)
	w.round(t, p)
	want := map[string]int{
		"alice@example.com: 3 tokens stop when acme changes its token policy on " + moved: 1,
		"bob@example.com: From " + moved + " on, acme refuses 2 of your tokens":           1,
		"carol@example.com: From " + moved + " on, acme refuses your token backup":        1,
	}
	if got := server.subjects(t, 3); !same(got, want) {
		t.Fatalf("after the date was moved: %v, want %v", got, want)
	}
	// Taken back before the next mails go out.
	w.offset.Add(int64(10 * day))
	if err := p.Plan(t.Context(), w.Clock()); err != nil {
		t.Fatal(err)
	}
	w.do(t, inventory.SetPolicy{Organization: "acme", ClearNext: true})
	want["bob@example.com: acme has taken its dated change of token policy back"] = 1
	want["carol@example.com: acme has taken its dated change of token policy back"] = 1
	for range 3 { // once
		w.round(t, p)
		p = w.planner()
	}
	if got := server.subjects(t, 5); !same(got, want) {
		t.Fatalf("after the change was taken back: %v, want %v", got, want)
	}
	for range 400 { // the server's own sender is at work too
		sizes, err := w.Store.OutboxSizes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sizes["waiting"]+sizes["events"]+sizes["dead"] == 0 {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	if got := server.subjects(t, 5); !same(got, want) {
		t.Fatalf("in the end: %v, want %v", got, want)
	}
	if sizes, err := w.Store.OutboxSizes(t.Context()); err != nil || sizes["waiting"]+sizes["events"]+sizes["dead"] != 0 {
		t.Errorf("left in the outbox: %v %v", sizes, err)
	}
}

// TestOwnersAreToldWhenTheDateThatTheyWereToldIsMoved: far away, and back.
func TestOwnersAreToldWhenTheDateThatTheyWereToldIsMoved(t *testing.T) {
	const day = 24 * time.Hour
	w, server, p := stopping(t)
	first := w.Clock().Add(10 * day)
	to := func(at time.Time) {
		t.Helper()
		w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "only_fine_grained_tokens", EnforceAt: at})
		for range 3 { // each is told once, also after a restart
			w.round(t, p)
			p = w.planner()
		}
	}
	to(first)
	server.subjects(t, 3)
	far := w.Clock().Add(60 * day)
	to(far)
	server.subjects(t, 5) // what is not sent when the date moves once more is told no more
	to(first)             // of which its mails are over
	date := func(at time.Time) string { return at.UTC().Format(time.DateOnly) }
	want := map[string]int{
		"alice@example.com: 3 tokens stop when acme changes its token policy on " + date(first): 1,
		"bob@example.com: From " + date(first) + " on, acme refuses 2 of your tokens":           1,
		"carol@example.com: From " + date(first) + " on, acme refuses your token backup":        1,
	}
	for _, who := range []string{"bob", "carol"} { // dave's token goes on: he was told nothing
		want[who+"@example.com: acme has moved its change of token policy to "+date(far)] = 1
		want[who+"@example.com: acme has moved its change of token policy to "+date(first)] = 1
	}
	if got := server.subjects(t, 7); !same(got, want) {
		t.Fatalf("told %v, want %v", got, want)
	}
}

func TestDaysOfMailThatAreWrong(t *testing.T) {
	for want, m := range map[string]MailConfig{
		"mail.policy_days[1]: 91 is not from 1 to 90": {PolicyDays: []int{14, 91}},
		"mail.policy_days[0]: 0 is not from 1 to 90":  {PolicyDays: []int{0}},
		"mail.keep_days: 99 is not from 100 to 3650":  {KeepDays: 99},
		"mail.folder_days: -1 is not from 1 to 3650":  {FolderDays: -1},
	} {
		if err := m.checkDays(); err == nil || err.Error() != want {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
	if err := (&MailConfig{PolicyDays: []int{}, KeepDays: 100, FolderDays: 1}).checkDays(); err != nil {
		t.Error(err)
	}
}
