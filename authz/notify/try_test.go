package notify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/notify"
)

// TestAMistakeInATemplateIsToldAtTheStart, with file and line, wherever it
// stands: also in what is told seldom, to some, or in one of the two forms.
func TestAMistakeInATemplateIsToldAtTheStart(t *testing.T) {
	message := func(lead string) string {
		return "{{define \"subject\"}}A subject{{end}}\n{{define \"lead\"}}A lead\n" + lead + "\n{{end}}\n{{define \"why\"}}You are told.{{end}}\n"
	}
	for _, c := range []struct{ name, file, text, at string }{
		{"findings", "hygiene_digest.administrators.tmpl", message("{{range .Findings}}{{.Titel}}{{end}}"), "hygiene_digest.administrators.tmpl:3:"},
		{"more", "hygiene_digest.administrators.tmpl", message("{{if .More}}{{.More.Count}}{{end}}"), "hygiene_digest.administrators.tmpl:3:"},
		{"one more", "hygiene_digest.administrators.tmpl", message("{{if eq .More 3}}{{.Moar}}{{end}}"), "hygiene_digest.administrators.tmpl:3:"},
		{"the next policy", "policy_moved.owner.tmpl", message("{{if .Organization.NextTokenPolicy}}{{.Organization.NextTokenPolicy.Title}}{{end}}"), "policy_moved.owner.tmpl:3:"},
		{"no next policy", "policy_moved.owner.tmpl", message("{{if .Organization.NextTokenPolicy}}{{else}}{{.Organization.Present}}{{end}}"), "policy_moved.owner.tmpl:3:"},
		{"votes", "approval_voted.administrators.tmpl", message("{{range .Token.Votes}}{{.Name}}{{end}}"), "approval_voted.administrators.tmpl:3:"},
		{"no votes", "approval_voted.administrators.tmpl", message("{{range .Token.Votes}}{{else}}{{.Nobody}}{{end}}"), "approval_voted.administrators.tmpl:3:"},
		{"assignee", "approval_assigned.administrators.tmpl", message("{{with .Token.Assignee}}{{.Name}}{{end}}"), "approval_assigned.administrators.tmpl:3:"},
		{"by", "owner_asked.owner.tmpl", message("{{if .Token.By}}{{date .Token.By}}{{end}}"), "owner_asked.owner.tmpl:3:"},
		{"why", "policy_dated.owner.tmpl", message("{{range .Tokens}}{{with .Why}}{{.Reason}}{{end}}{{end}}"), "policy_dated.owner.tmpl:3:"},
		{"a kind", "token_expires.owner.tmpl", message("{{if eq .Token.Kind \"read\"}}{{.Read}}{{end}}"), "token_expires.owner.tmpl:3:"},
		{"who answers for the owner", "token_expires.owner.tmpl", message("{{if ne .Audience \"owner\"}}{{.Answering}}{{end}}"), "token_expires.owner.tmpl:3:"},
		{"what stops, seldom", "policy_coming.administrators.tmpl", message("{{with .Stops}}{{if gt .Unknown 100}}{{.Known}}{{end}}{{end}}"), "policy_coming.administrators.tmpl:3:"},
		{"what stops, in another kind", "token_denied.owner.tmpl", message("{{.Stops.Tokens}}"), "token_denied.owner.tmpl:3:"},
		{"a block that is not there", "token_denied.owner.tmpl", message("{{if .Token.Comment}}{{template \"comment\" .}}{{end}}"), "token_denied.owner.tmpl:3:"},
		{"the text's layout", "layout.txt", "{{.Subject}}\n{{range .View.Findings}}{{.Titel}}{{end}}\n", "layout.txt:2:"},
		{"the HTML's layout", "layout.html", "<p>{{.Subject}}</p>\n{{if eq .View.Kind \"none\"}}{{.View.Moar}}{{end}}\n", "layout.html:2:"},
		{"an attribute of the HTML's layout", "layout.html", "<p>{{.Subject}}</p>\n<a href=\"{{.Link}}>x</a>\n", "layout.html"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := notify.LoadTemplates(dir)
			if err == nil || !strings.Contains(err.Error(), c.at) {
				t.Errorf("the mistake is told as %v, want it at %s", err, c.at)
			}
		})
	}
}

// TestATemplateThatMindsWhatMayBeMissingIsTaken: conditions that keep it from
// reading what is not there count.
func TestATemplateThatMindsWhatMayBeMissingIsTaken(t *testing.T) {
	for name, c := range map[string]struct{ lead, own string }{
		"an index behind a count":   {lead: `{{if gt (len .Tokens) 9}}{{(index .Tokens 9).Name}}{{else}}none{{end}}`},
		"what a condition declares": {lead: `{{if $n := len .Findings}}{{$n}} {{else}}none {{$n}}{{end}}`},
		"a loop that ends early":    {lead: `{{range .Tokens}}{{if .Asks}}{{break}}{{else}}{{continue}}{{end}}{{end}}x`},
		"what only some have":       {lead: `{{with .Stops}}{{.Tokens}}{{else}}{{.Organization.Name}}{{end}}`},
		"a block of its own":        {`{{range .Tokens}}{{template "of" .}}{{end}}x`, `{{define "of"}}{{if .Owner}} of {{.Owner}}{{end}}{{end}}`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := c.own + "{{define \"subject\"}}A subject{{end}}{{define \"lead\"}}" + c.lead + "{{end}}"
			if err := os.WriteFile(filepath.Join(dir, "token_denied.owner.tmpl"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := notify.LoadTemplates(dir); err != nil {
				t.Error(err)
			}
		})
	}
}
