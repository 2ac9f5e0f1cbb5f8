package notify

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"
)

//go:embed templates
var embedded embed.FS

// Templates write messages. Each kind and audience has a file
// KIND.AUDIENCE.tmpl with the blocks subject, lead, action, link and why, in
// plain text; layout.txt and layout.html put them into the two forms. Those for
// owners are also for who answers for a service account: "your" says which.
type Templates struct {
	messages map[string]*texttemplate.Template
	text     *texttemplate.Template
	html     *htmltemplate.Template
}

// blocks that a message's file may define; the first two it must.
var blocks = []string{"subject", "lead", "action", "link", "why"}

// LoadTemplates reads the built-in templates, each replaced by the file of the
// same name in folder where there is one ("": none), and tries every one, with
// all that a message may tell and with the least, and each branch. An error names
// the file and its line; a file that replaces nothing is an error.
func LoadTemplates(folder string) (*Templates, error) {
	built, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(built, "*")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range names {
		b, err := fs.ReadFile(built, name)
		if err != nil {
			return nil, err
		}
		files[name] = string(b)
	}
	if folder != "" {
		if err := replace(files, folder); err != nil {
			return nil, fmt.Errorf("the templates in %s: %w", folder, err)
		}
	}
	t := &Templates{messages: map[string]*texttemplate.Template{}}
	if err := t.parse(files); err != nil {
		return nil, err
	}
	if err := t.try(); err != nil {
		return nil, err
	}
	return t, t.everyBranch(files["layout.html"])
}

func replace(files map[string]string, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if _, known := files[e.Name()]; !known {
			return fmt.Errorf("%s replaces no template; there are %s", e.Name(), strings.Join(sorted(files), ", "))
		}
		b, err := os.ReadFile(path.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		files[e.Name()] = string(b)
	}
	return nil
}

func sorted(files map[string]string) []string {
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

var functions = texttemplate.FuncMap{
	"date":  func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"time":  func(t time.Time) string { return t.UTC().Format(minute) },
	"name":  Token.title,
	"join":  strings.Join,
	"your":  View.your,
	"Your":  View.atStart,
	"yours": View.yours,

	"refused": View.refused,
	"help":    View.help,
	"policy":  policyWords,
	"count":   counted,
}

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// policyWords are a token policy's title, or its name.
func policyWords(title, name string) string {
	if title == "" {
		return name
	}
	return "“" + title + "”"
}

// refused says what becomes of tokens that wait for an approval, or whose approval
// ends or has ended.
func (v View) refused() string {
	o, they, are, work, goOn := v.Organization, "it", "is", "works", "it goes on"
	if v.Many {
		they, are, work, goOn = "they", "are", "work", "they go on"
	}
	ends, ended := v.Kind == ApprovalEnds, v.Kind == ApprovalEnded
	switch {
	case !ends && !ended && !v.Many && v.Token.Status == "approved": // it asks for more than was approved
		return "Until then it goes on within what was approved before; what it asks for beyond that is refused there."
	case !ends && !v.Many && v.Token.Excepted:
		return "An exception in the policy lets it in there all the same."
	case o.Observes:
		return o.Name + " only observes for now: " + they + " " + work + " there all the same."
	case ends && !o.AsksFrom.IsZero(): // which may be before or after it
		return "From then on, but not before " + o.AsksFrom.UTC().Format(minute) + ", " + they + " " + are + " refused there until " + they + " " + are + " approved again."
	case !o.AsksFrom.IsZero():
		return capital(they) + " " + work + " there until " + o.AsksFrom.UTC().Format(minute) + ", and " + are + " refused from then on without an approval."
	}
	switch {
	case ends:
		return "From then on " + they + " " + are + " refused there until " + they + " " + are + " approved again."
	case ended:
		return capital(they) + " " + are + " refused there until " + they + " " + are + " approved again; elsewhere " + goOn + "."
	}
	return "Until then " + they + " " + are + " refused there."
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// help says whom an owner, or who answers for one, may ask.
func (v View) help() string {
	if v.Audience != Owner && v.Audience != Responsible || v.Organization.Name == "" {
		return ""
	}
	switch names := v.Helpers; len(names) {
	case 0:
		return "Who can help: an administrator of " + v.Organization.Name + "."
	case 1:
		return "Who can help: " + names[0] + ", who administers " + v.Organization.Name + "."
	default:
		return "Who can help: " + strings.Join(names, ", ") + ", who administer " + v.Organization.Name + "."
	}
}

// minute is how a moment is written.
const minute = "2006-01-02 15:04 UTC"

// your is whose tokens a message is about, before the word: "your token" to their
// owner, "ci's token" to who answers for the service account ci.
func (v View) your() string {
	switch {
	case v.Audience != Responsible:
		return "your"
	case v.Many || v.Token.Owner == "":
		return "your service accounts'"
	}
	return v.Token.Owner + "'s"
}

// atStart is the same at a sentence's start; a name stays as it is.
func (v View) atStart() string {
	your := v.your()
	if rest, ok := strings.CutPrefix(your, "your"); ok && (v.Audience != Responsible || rest != "'s") {
		return "Your" + rest
	}
	return your
}

// yours is the same at a sentence's end.
func (v View) yours() string {
	if v.Audience == Responsible {
		return "of a service account that you answer for"
	}
	return "yours"
}

// title is how people know a token.
func (t Token) title() string {
	if t.Last4 == "" {
		return "“" + t.Name + "”"
	}
	return "“" + t.Name + "” (…" + t.Last4 + ")"
}

func (t *Templates) parse(files map[string]string) (err error) {
	for _, name := range sorted(files) {
		switch name {
		case "layout.txt":
			t.text, err = texttemplate.New(name).Funcs(functions).Option("missingkey=error").Parse(files[name])
		case "layout.html":
			t.html, err = htmltemplate.New(name).Funcs(functions).Option("missingkey=error").Parse(files[name])
		default:
			var m *texttemplate.Template
			if m, err = texttemplate.New(name).Funcs(functions).Option("missingkey=error").Parse(files[name]); err == nil {
				t.messages[strings.TrimSuffix(name, ".tmpl")] = m
			}
		}
		if err != nil {
			return fmt.Errorf("read the template %s: %w", name, err)
		}
	}
	return nil
}

// page is what the layouts see: a message's parts as plain text.
type page struct {
	Subject      string
	Lead         []string
	Action, Link string
	Why          string
	View         View
	Rows         [][2]string
}

// templateOf names the template for an audience: that of an owner is also for
// who answers for one.
func templateOf(kind, audience string) string {
	if audience == Responsible {
		audience = Owner
	}
	return kind + "." + audience
}

// Render writes a message: its Subject, Text and HTML.
func (t *Templates) Render(v View) (*Message, error) {
	name := templateOf(v.Kind, v.Audience)
	m := t.messages[name]
	if m == nil {
		return nil, fmt.Errorf("there is no template %s.tmpl", name)
	}
	parts := map[string]string{}
	for _, block := range blocks {
		if m.Lookup(block) == nil {
			if block == "subject" || block == "lead" {
				return nil, fmt.Errorf("the template %s.tmpl does not define %q", name, block)
			}
			continue
		}
		var b bytes.Buffer
		if err := m.ExecuteTemplate(&b, block, v); err != nil {
			return nil, fmt.Errorf("write the template %s.tmpl: %w", name, err)
		}
		parts[block] = strings.TrimSpace(b.String())
	}
	p := pageOf(parts, v)
	var text, html bytes.Buffer
	if err := t.text.Execute(&text, p); err != nil {
		return nil, fmt.Errorf("write layout.txt for %s: %w", name, err)
	}
	if err := t.html.Execute(&html, p); err != nil {
		return nil, fmt.Errorf("write layout.html for %s: %w", name, err)
	}
	return &Message{Subject: p.Subject, Text: text.String(), HTML: html.String(), View: v}, nil
}

// pageOf puts a message's parts together.
func pageOf(parts map[string]string, v View) page {
	p := page{
		Subject: strings.Join(strings.Fields(parts["subject"]), " "), Lead: paragraphs(parts["lead"]),
		Action: parts["action"], Link: parts["link"], Why: strings.Join(strings.Fields(parts["why"]), " "), View: v,
	}
	if !v.Many && v.Token.ID != "" {
		p.Rows = v.Token.rows(v.Audience)
	}
	return p
}

// paragraphs are parted by empty lines.
func paragraphs(s string) []string {
	var out []string
	for p := range strings.SplitSeq(s, "\n\n") {
		if p = strings.Join(strings.Fields(p), " "); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// rows are a token's facts, for people.
func (t Token) rows(audience string) [][2]string {
	var rows [][2]string
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, [2]string{name, value})
		}
	}
	add("Token", t.title())
	if audience != Owner {
		add("Owner", t.Owner)
	}
	add("Kind", t.Kind)
	add("Why", t.Why)
	for _, g := range t.Grants {
		add("Grants", g)
	}
	for _, g := range t.Approved {
		add("Approved", g)
	}
	if !t.Until.IsZero() {
		add("Approved until", t.Until.UTC().Format(time.DateOnly))
	}
	add("Purpose", t.Purpose)
	if !t.Expires.IsZero() {
		add("Expires", t.Expires.UTC().Format(time.DateOnly))
	}
	if !t.AskedAt.IsZero() && t.Request == "open" {
		add("Asked for", t.AskedAt.UTC().Format(minute))
	}
	if audience != Owner && audience != Responsible {
		add("The rules say", t.Recommendation.words())
	}
	return rows
}
