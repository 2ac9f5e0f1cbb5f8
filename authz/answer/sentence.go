package answer

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// problem is a refusal on its way to a form.
type problem struct {
	outcome *authz.Outcome
	reason  *authz.Reason
	opts    *Options
	message string
}

// sentence fills the catalogue's sentence: it stands alone, for people who see
// nothing else, with the link in parentheses and without a full stop.
func (p *problem) sentence() string {
	text := p.bare()
	if link := p.link(); link != "" {
		text += " (" + link + ")"
	}
	return text
}

// bare is the sentence without its link.
func (p *problem) bare() string {
	text := p.reason.Sentence
	if text == "" {
		text = p.reason.Title
	}
	return strings.TrimRight(strings.TrimSpace(p.fill(text)), ". ")
}

// hidden says whether nothing may be told that depends on what exists.
func (p *problem) hidden() bool { return p.reason.Outside != "" }

func (p *problem) inside() bool { return Inside(p.outcome.Facts, p.reason) }

// Inside says whether a refusal for a reason goes to somebody who has shown to
// belong to the organization that it is about. All others are answered as if there
// were none: whether it exists, and what it is called now, is not theirs to know.
func Inside(f *authz.Facts, reason *authz.Reason) bool {
	return reason.Outside == "" && reason.HTTPStatus != 401 &&
		f != nil && f.Organization != nil && f.Membership != nil && f.Token != nil && !f.Token.Expired(f.Now)
}

// value is what a {placeholder} stands for. What the facts say goes before the
// decision's params; what nobody knows is empty.
func (p *problem) value(name string) string {
	if v, ok := p.known(name); ok {
		return v
	}
	if v, ok := p.param(name); ok {
		return v
	}
	if name == "resource" {
		return "the resource"
	}
	return ""
}

func (p *problem) param(name string) (string, bool) {
	v, ok := p.outcome.Decision.Params[name]
	if text, isText := v.(string); isText || !ok {
		return text, ok
	}
	return fmt.Sprint(v), true
}

// known is what the request and the facts say.
func (p *problem) known(name string) (value string, ok bool) {
	if r := p.outcome.Request; r != nil {
		switch name {
		case "method":
			return r.Method(), true
		case "path":
			path, _, _ := strings.Cut(r.Path(), "?")
			return cut(path, 120), true
		}
	}
	f := p.outcome.Facts
	if f == nil {
		return "", false
	}
	switch name {
	case "organization", "asked_organization":
		return p.organization(f)
	case "permission", "resource":
		return p.route(name, f.Route)
	case "token", "kind", "expires_at":
		return p.token(name, f.Token)
	case "since", "comment", "asked":
		if p.inside() {
			return p.authorization(name, f.Authorization)
		}
	}
	return "", false
}

// organization is its name to those inside, and to others what they asked for.
func (p *problem) organization(f *authz.Facts) (string, bool) {
	switch {
	case p.inside():
		return f.Organization.Name, true
	case f.Route != nil && len(f.Route.Organizations) > 0:
		return cut(strings.ToLower(f.Route.Organizations[0]), 100), true
	}
	return "", false
}

func (p *problem) route(name string, r *authz.Route) (string, bool) {
	switch {
	case r == nil:
	case name == "permission":
		return r.Permission, true
	case len(r.Organizations) > 0 && !p.inside(): // a resource has its organization's present name
	case name == "resource" && r.Resource != nil && r.Resource.Name != "":
		return r.Resource.Type + " " + cut(r.Resource.Name, 200), true
	}
	return "", false
}

func (p *problem) token(name string, t *authz.Token) (string, bool) {
	switch {
	case t == nil:
	case name == "token":
		return tokenName(t), true
	case name == "kind":
		return t.Kind, true
	case name == "expires_at" && !t.ExpiresAt.IsZero():
		return t.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC"), true
	}
	return "", false
}

func (p *problem) authorization(name string, a *authz.Authorization) (string, bool) {
	switch {
	case a == nil:
	case name == "since" && !a.ChangedAt.IsZero():
		return " on " + a.ChangedAt.UTC().Format(time.DateOnly), true
	case name == "comment" && a.Comment != "":
		return ` ("` + cut(oneLine(a.Comment), 200) + `")`, true
	case name == "asked":
		return p.asked(a)
	}
	return "", false
}

// asked says since when a token waits.
func (p *problem) asked(a *authz.Authorization) (text string, ok bool) {
	if q := p.outcome.Approval; q != nil && !q.OpenedAt.IsZero() {
		text, ok = ", asked for on "+q.OpenedAt.UTC().Format(time.DateOnly), true
	}
	if a.State == authz.StateApproved && !a.ExpiresAt.IsZero() {
		if !ok {
			text, _ = p.param("asked")
		}
		text, ok = text+", since its approval ended on "+a.ExpiresAt.UTC().Format(time.DateOnly), true
	}
	return text, ok
}

// tokenName is how people know a token: its name and last four characters.
func tokenName(t *authz.Token) string {
	name := cut(oneLine(t.DisplayName), 80)
	if t.Last4 == "" {
		return `"` + name + `"`
	}
	return `"` + name + `" (...` + t.Last4 + ")"
}

func oneLine(s string) string {
	if strings.IndexFunc(s, control) < 0 {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, control), " ")
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

func (p *problem) link() string {
	if p.reason.Link != "" {
		return p.fill(p.reason.Link)
	}
	f := p.outcome.Facts
	if p.opts.PublicURL == "" || p.hidden() || f == nil || f.Token == nil {
		return ""
	}
	page := strings.TrimRight(p.opts.PublicURL, "/") + "/tokens/" + url.PathEscape(f.Token.ID)
	switch {
	case p.inside():
		return page + "?organization=" + url.QueryEscape(f.Organization.Name)
	case p.reason.HTTPStatus == 401:
		return page // the token itself is at fault, whatever was asked for
	}
	return ""
}

// fill replaces {placeholders} in one pass; unknown ones vanish.
func (p *problem) fill(template string) string {
	if !strings.Contains(template, "{") {
		return template
	}
	var b strings.Builder
	b.Grow(len(template) + 64)
	for {
		open := strings.IndexByte(template, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(template[open:], '}')
		if end < 0 {
			break
		}
		b.WriteString(template[:open])
		b.WriteString(p.value(template[open+1 : open+end]))
		template = template[open+end+1:]
	}
	b.WriteString(template)
	return b.String()
}

// Sentence is what a refused client is told.
func Sentence(o *authz.Outcome, opts Options) string {
	if o.Reason == nil || o.Reason.Allow {
		return ""
	}
	return (&problem{outcome: o, reason: o.Reason, opts: &opts}).sentence()
}

// Told is what a refused client is told, and the link that leads on; both
// together are the sentence.
func Told(o *authz.Outcome, opts Options) (sentence, link string) {
	if o.Reason == nil || o.Reason.Allow {
		return "", ""
	}
	p := &problem{outcome: o, reason: o.Reason, opts: &opts}
	return p.bare(), p.link()
}
