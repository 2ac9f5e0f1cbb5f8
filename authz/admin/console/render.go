package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

//go:embed templates
var templates embed.FS

// page is one page in the layout: its own template of the set of all of them.
type page struct{ *template.Template }

// parsePages puts each page into the layout. All are one set, so that what they
// share is in memory once: the layout alone is there for each of them. A
// template that does not parse, or has a name that another has, keeps the
// server from starting.
func parsePages() (map[string]page, error) {
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, err
	}
	layout, err := fs.ReadFile(templates, "templates/layout.html")
	if err != nil {
		return nil, err
	}
	set, pages := template.New("").Funcs(functions), map[string]page{}
	for _, name := range names {
		short := strings.TrimSuffix(path.Base(name), ".html")
		if short == "layout" {
			continue
		}
		text, err := fs.ReadFile(templates, name)
		if err == nil && short != "parts" {
			err = define(set, short+"/", string(layout))
		}
		if err == nil {
			err = define(set, short+"/", string(text))
		}
		if err != nil {
			return nil, fmt.Errorf("read the console's page %s: %w", short, err)
		}
		if t := set.Lookup(short + "/layout"); t != nil {
			pages[short] = page{t}
		}
	}
	return pages, nil
}

// define adds the templates of a text to a set; those that each page has go by
// the page's name.
func define(set *template.Template, prefix, text string) error {
	for _, own := range []string{"layout", "main"} {
		for _, as := range []string{`{{define "`, `{{template "`} {
			text = strings.ReplaceAll(text, as+own+`"`, as+prefix+own+`"`)
		}
	}
	one, err := template.New("").Funcs(functions).Parse(text)
	if err != nil {
		return err
	}
	for _, t := range one.Templates() {
		if t.Name() == "" {
			continue
		}
		if set.Lookup(t.Name()) != nil {
			return fmt.Errorf("there is a template %q already", t.Name())
		}
		if _, err := set.AddParseTree(t.Name(), t.Tree); err != nil {
			return err
		}
	}
	return nil
}

var functions = template.FuncMap{
	"date":   day,
	"moment": moment,
	"iso":    func(t any) string { return shown(t, time.RFC3339) },
	"words":  statusWords,
	"tone":   statusTone,
	"kind":   kindWords,
	"grant":  grantWords,
	"join":   strings.Join,
	"word":   permissionWord,
	"label":  func(status string) string { return strings.ReplaceAll(status, "_", " ") },
	"list":   func(all ...string) []string { return all },

	"present":  presentWords,
	"advises":  recommended,
	"speaker":  speaker,
	"number":   func(n any) string { return numbered(n) },
	"ago":      func(now time.Time, then time.Time) string { return ago(now, then) },
	"sub1":     func(n int) int { return n - 1 },
	"came":     func(word string) string { return cameWords[word] },
	"vote":     voteWords,
	"tick":     tick,
	"setting":  settingWords,
	"static":   staticAddress,
	"grave":    severityTone,
	"precise":  func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"plural":   func(n int, one, many string) string { return number(n) + " " + plural(n, one, many) },
	"plural64": func(n int64, one, many string) string { return number(n) + " " + plural(int(n), one, many) },
	// What was typed is shown again, but for a secret that does not belong there.
	"again": func(text string) string {
		if inventory.HoldsSecret(text) {
			return ""
		}
		return text
	},
	"dict": func(pairs ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i+1 < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	},
}

func numbered(n any) string {
	switch n := n.(type) {
	case int:
		return number(n)
	case int64:
		return number(n)
	}
	return fmt.Sprint(n)
}

// frame is what the layout needs.
type frame struct {
	Title        string
	Page         string
	Version      string
	Caller       *Caller
	Organization string
	May          map[string]bool
	Done         string
	// Here is the address of the page as it is asked for again.
	Here string
	Now  time.Time
	Body any
}

// done are the sentences shown after a change, by the word in the address: what
// comes from an address is never shown as it is.
var done = map[string]string{
	didApprove: "Approved. It is in force.", didInVain: "Approved. The token is suspended, and stays so until it is resumed.",
	didVote:             "Your vote is counted. One more person has to approve the same.",
	didDiffer:           "Your vote is counted, and is not for the same as the other one: two people have to approve the same permissions until the same day.",
	didDeny:             "Denied. It is in force.",
	"all-" + didApprove: "All are approved. It is in force.", "all-" + didDeny: "All are denied. It is in force.",
	"all-" + didInVain: "All are approved. They are suspended, and stay so until they are resumed.",
	"all-" + didVote:   "Your votes are counted. One more person has to approve the same.",
	"all-" + didDiffer: "Your votes are counted, and are not for the same as the other ones: two people have to approve the same permissions until the same day.",
	"revoked":          "Revoked. It is in force.",
	"suspended":        "Suspended. It is in force.",
	"all-revoked":      "All are revoked. It is in force.", "all-suspended": "All are suspended. It is in force.", "all-resumed": "All are resumed. They go on as before.", "resumed": "Resumed. It goes on as before.", "policy": "The token policy is changed.",
	"last": "Decided. Nothing else waits.", "asked": "The owner is asked.", "assigned": "Assigned.", "saved": "Saved.",
	"told": "The administrators see it.", "settings": "The settings are changed.",
	"sent": "A link to confirm the address is on its way.", "confirmed": "The address is confirmed.",
}

func (c *Console) show(w http.ResponseWriter, r *http.Request, a *ask, status int, name, title string, body any) {
	f := frame{Title: title, Page: name, Version: c.Version, Here: here(r.URL), Now: c.Clock(), Body: body}
	if r.Method == http.MethodGet { // what a form came to is not what was done before it
		f.Done = done[r.URL.Query().Get("done")]
	}
	if a != nil {
		f.Caller, f.Organization, f.May = a.caller, a.organization, a.may
	}
	var b bytes.Buffer
	if err := c.pages[name].Execute(&b, f); err != nil {
		c.Log.Error("a page of the console cannot be written", "page", name, "error", err)
		http.Error(w, "The server made a mistake; its log tells more.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the reader is gone: nobody to tell
}

// here is a page's address, with what was chosen, and without the word on what was
// done.
func here(u *url.URL) string {
	q := u.Query()
	q.Del("done")
	if len(q) == 0 {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + q.Encode()
}

func (c *Console) fail(w http.ResponseWriter, r *http.Request, a *ask, f *failure) {
	c.show(w, r, a, f.Status, "failure", f.Title, f)
}

// at is the path of a page of an organization.
func at(organization string, parts ...string) string {
	p := "/organizations/" + url.PathEscape(organization)
	for _, part := range parts {
		p += "/" + url.PathEscape(part)
	}
	return p
}
