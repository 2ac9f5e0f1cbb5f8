package notify_test

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/notify"
	"github.com/patrol-authz/patrol/test/canary"
)

// told is a directory that tells of everything that a kind of message can be about.
type toldAll struct{ *directory }

func (d toldAll) Subject(ctx context.Context, e notify.Event) (*notify.Subject, error) {
	s, err := d.directory.Subject(ctx, e)
	if s == nil || err != nil {
		return s, err
	}
	s.Organization.TokenPolicy, s.Organization.NextTokenPolicy = "allow_user_access_tokens", "only_fine_grained_tokens"
	switch e.Kind {
	case notify.PolicyComing:
		s.Stops = &notify.Stops{Tokens: 3, Owners: 2, Used: 1, Days: 30, Since: start}
	case notify.PolicyDated:
		s.Tokens = []notify.Token{{ID: "t1", Name: "ci t1", Kind: "write", Owner: "bob", Why: "Token type not allowed"}}
	}
	if e.Kind != notify.HygieneDigest {
		s.Findings = nil
	}
	s.Responsible = []notify.Person{{Name: "carol", Email: "carol@example.com"}}
	if e.Kind == notify.AddressConfirmation {
		s.Confirm = &notify.Confirmation{User: "bob", Email: "bob@example.com", Code: "a-code", Until: start.AddDate(0, 0, 7)}
	}
	return s, nil
}

// withoutToken are the kinds that are about no single token.
var withoutToken = map[string]bool{notify.HygieneDigest: true, notify.PolicyComing: true, notify.PolicyDated: true, notify.PolicyMoved: true, notify.AddressConfirmation: true, notify.Test: true}

// read is a mail as it goes out: its headers, and its two parts decoded.
type readMail struct {
	mail.Header
	text, html string
}

func readMails(t *testing.T, folder string) (all []readMail) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		one := readMail{Header: m.Header}
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		parts := multipart.NewReader(m.Body, params["boundary"])
		for _, into := range []*string{&one.text, &one.html} {
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
		all = append(all, one)
	}
	return all
}

// TestEveryMailIsOfAListAndARequestIsOneThread sends each kind of message about
// one token and its request, as files, and reads them as a mail reader does.
func TestEveryMailIsOfAListAndARequestIsOneThread(t *testing.T) {
	threads, ids := map[string]bool{}, map[string]bool{}
	for _, kind := range notify.Kinds() {
		t.Run(kind, func(t *testing.T) {
			folder := t.TempDir()
			b := newBench(t, func(o *notify.Options) {
				o.Mail = &notify.Folder{Path: folder, From: "patrol@example.com"}
				o.Directory = toldAll{o.Directory.(*directory)}
				o.Operators = []string{"ops@example.com"}
			})
			e := notify.Event{Kind: kind, Organization: "acme", Key: kind, Owner: "bob", At: start}
			if !withoutToken[kind] {
				e.Token, e.Request = "t1", "r1"
			}
			if err := b.q.Add(t.Context(), []notify.Event{e}, b.at.Now()); err != nil {
				t.Fatal(err)
			}
			b.step(t)
			mails := readMails(t, folder)
			if len(mails) < len(audiencesOf(t, kind)) || b.q.states(notify.Dead) > 0 {
				t.Fatalf("%d mails were written, %d messages given up", len(mails), b.q.states(notify.Dead))
			}
			for _, m := range mails {
				if list := m.Get("List-Id"); list != "<acme.tokens.patrol.example.com>" {
					t.Errorf("the List-Id is %q", list)
				}
				if auto := m.Get("Auto-Submitted"); auto != "auto-generated" {
					t.Errorf("Auto-Submitted is %q", auto)
				}
				want := ""
				if e.Request != "" {
					want = "<request-r1@patrol.example.com>"
					threads[m.Get("References")] = true
				}
				if m.Get("References") != want || m.Get("In-Reply-To") != want {
					t.Errorf("it refers to %q, in reply to %q; want %q", m.Get("References"), m.Get("In-Reply-To"), want)
				}
				if id := m.Get("Message-Id"); ids[id] || id == "" {
					t.Errorf("the Message-Id %q is another mail's", id)
				}
				ids[m.Get("Message-Id")] = true
				for part, text := range map[string]string{"text": m.text, "HTML": m.html} {
					canary.Text(t, "the "+part, []byte(text))
					if strings.TrimSpace(text) == "" || strings.Contains(text, "ptl_") {
						t.Errorf("the %s is\n%s", part, text)
					}
				}
			}
		})
	}
	if len(threads) != 1 {
		t.Errorf("the messages on one request are in the threads %v", threads)
	}
}
