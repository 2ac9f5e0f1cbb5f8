package notify_test

import (
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/notify"
)

// audiencesOf are those for whom a kind of message is written: it has a file for
// each.
func audiencesOf(t *testing.T, kind string) (out []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("templates", kind+".*.tmpl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no template: %v", kind, err)
	}
	for _, f := range files {
		audience := strings.Split(filepath.Base(f), ".")[1]
		if out = append(out, audience); audience == notify.Owner {
			out = append(out, notify.Responsible)
		}
	}
	return out
}

// sampled is a view of tokens whose names and reasons hold markup.
func sampled(kind, audience string, many bool) notify.View {
	token := notify.Token{
		ID: "1", Name: "nightly <b>builds</b>", Last4: "x7Qa", Kind: "fine-grained", Owner: "bob", Grants: []string{"read and write content on everything of acme"},
		Purpose: "to push <i>checkpoints</i>", Request: "open", AskedAt: start, Until: start.AddDate(0, 3, 0), Expires: start.AddDate(0, 6, 0), By: "alice",
		Comment: "Which job is it? <script>alert(1)</script>", Recommendation: &notify.Recommendation{Action: "escalate", Reasons: []notify.RecommendationReason{{Rule: "no_end", Action: "escalate", Why: "it never expires"}}}, Link: "https://patrol.example.com/tokens/1?organization=acme",
	}
	v := notify.View{
		Kind: kind, Audience: audience, Token: token, Tokens: []notify.Token{token}, Many: many, Now: start,
		Organization: notify.Organization{Name: "acme", TokenPolicy: "allow_user_access_tokens", NextTokenPolicy: "require_administrator_approval", EnforceAt: start.AddDate(0, 0, 14)},
		Stops:        &notify.Stops{Tokens: 12, Owners: 4, Used: 7, Days: 30, Since: start.AddDate(0, -2, 0)},
		Queue:        "https://patrol.example.com/organizations/acme/review", Policy: "https://patrol.example.com/organizations/acme/policy",
		Listing: "https://patrol.example.com/organizations/acme/tokens?sort=-severity", Mine: "https://patrol.example.com/me",
	}
	if many {
		other := token
		other.ID, other.Name, other.Purpose, other.Until, other.Expires = "2", "release job", "", start.AddDate(0, 0, 7), start.AddDate(0, 0, 7)
		v.Tokens = append(v.Tokens, other)
	}
	if kind == notify.HygieneDigest {
		v.Token, v.Tokens, v.Many = notify.Token{}, nil, false
		v.Findings = []notify.Finding{{Severity: "high", Title: "It never expires", Advice: "Give it an end.", Token: token}}
		if many {
			v.Findings = append(v.Findings, notify.Finding{Severity: "low", Title: "It was never used", Advice: "Revoke it.", Token: token},
				notify.Finding{Severity: "low", Title: "Exception ended", Advice: "Remove it."}) // of the organization itself
			v.More = 1
		}
	}
	if kind == notify.AddressConfirmation {
		v.Confirm = &notify.Confirmation{User: "bob", Email: "bob@example.com", Until: start.AddDate(0, 0, 7), Link: "https://patrol.example.com/confirm?code=x"}
	}
	if kind == notify.Test || kind == notify.PolicyComing || kind == notify.AddressConfirmation {
		v.Token, v.Tokens, v.Many = notify.Token{}, nil, false
	}
	return v
}

// TestEveryMessageIsForPeople writes each message about one token and about
// several. With PATROL_PICTURES it leaves them there, for eyes.
func TestEveryMessageIsForPeople(t *testing.T) {
	templates, err := notify.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range notify.Kinds() {
		for _, audience := range audiencesOf(t, kind) {
			for name, many := range map[string]bool{"one": false, "many": true} {
				t.Run(kind+" "+audience+" "+name, func(t *testing.T) {
					m, err := templates.Render(sampled(kind, audience, many))
					if err != nil {
						t.Fatal(err)
					}
					told(t, m, kind)
					keep(t, strings.Join([]string{"mail", kind, audience, name}, "-"), m)
				})
			}
		}
	}
}

// told holds a message against what every message has.
func told(t *testing.T, m *notify.Message, kind string) {
	t.Helper()
	if strings.ContainsAny(m.Subject, "\r\n") || len(m.Subject) > 120 || m.Subject == "" {
		t.Errorf("the subject is %q", m.Subject)
	}
	for _, markup := range []string{"<b>builds", "<i>checkpoints", "<script"} {
		if strings.Contains(m.HTML, markup) {
			t.Errorf("%s is markup in the message:\n%s", markup, m.HTML)
		}
	}
	for _, odd := range []string{"0001-01-01", "<no value>", "%!", "“”", " 1 findings", "  of "} {
		if strings.Contains(m.Subject+m.Text, odd) {
			t.Errorf("%q in\n%s\n%s", odd, m.Subject, m.Text)
		}
	}
	if !strings.Contains(m.Text, "You are told ") || !strings.Contains(m.HTML, "You are told ") {
		t.Errorf("it does not say why it was sent:\n%s", m.Text)
	}
	if kind == notify.Test {
		return
	}
	if !strings.Contains(m.Text, "https://patrol.example.com/") || !strings.Contains(html.UnescapeString(m.HTML), `href="https://patrol.example.com/`) {
		t.Errorf("it leads nowhere:\n%s", m.Text)
	}
	if !strings.Contains(m.Subject+m.Text, "acme") {
		t.Errorf("it names no organization:\n%s", m.Text)
	}
}

func keep(t *testing.T, name string, m *notify.Message) {
	t.Helper()
	folder := os.Getenv("PATROL_PICTURES")
	if folder == "" {
		return
	}
	for ending, text := range map[string]string{".txt": "Subject: " + m.Subject + "\n\n" + m.Text, ".html": m.HTML} {
		if err := os.WriteFile(filepath.Join(folder, name+ending), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatEndsIsToldWithItsDay also where several tokens end.
func TestWhatEndsIsToldWithItsDay(t *testing.T) {
	templates, err := notify.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	soon := start.AddDate(0, 0, 7).Format(time.DateOnly)
	for _, kind := range []string{notify.ApprovalEnds, notify.TokenExpires} {
		m, err := templates.Render(sampled(kind, notify.Owner, true))
		if err != nil || !strings.Contains(m.Text, "release job") || !strings.Contains(m.Text, soon) || !strings.Contains(m.HTML, soon) || !strings.Contains(m.Text, "/me\n") {
			t.Errorf("%s, %v:\n%+v", kind, err, m)
		}
	}
}

// TestWhoAnswersForAnAccountIsToldWhoseTokenItIs and nothing of what is among
// reviewers.
func TestWhoAnswersForAnAccountIsToldWhoseTokenItIs(t *testing.T) {
	templates, err := notify.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range notify.Kinds() {
		for _, many := range []bool{false, true} {
			m, err := templates.Render(sampled(kind, notify.Responsible, many))
			if err != nil {
				continue // owners are not told of it
			}
			text := strings.ToLower(m.Subject + "\n" + m.Text)
			if strings.Contains(text, "your token") || strings.Contains(text, "yours") || strings.Contains(text, "the rules say") {
				t.Errorf("%s speaks as to the owner:\n%s\n%s", kind, m.Subject, m.Text)
			}
			if !strings.Contains(text, "that you answer for") {
				t.Errorf("%s does not say why it was sent:\n%s", kind, m.Text)
			}
		}
	}
}
