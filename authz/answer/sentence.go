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
	text := p.reason.Sentence
	if text == "" {
		text = p.reason.Title
	}
	text = fill(text, p.values())
	text = strings.TrimRight(strings.TrimSpace(text), ". ")
	if link := p.link(); link != "" {
		text += " (" + link + ")"
	}
	return text
}

// hidden says whether nothing may be told that depends on what exists.
func (p *problem) hidden() bool { return p.reason.Outside != "" }

func (p *problem) values() map[string]string {
	v := map[string]string{"detail": "", "since": "", "comment": "", "asked": "", "resource": "the resource"}
	for k, x := range p.outcome.Decision.Params {
		v[k] = fmt.Sprint(x)
	}
	if r := p.outcome.Request; r != nil {
		path, _, _ := strings.Cut(r.Path(), "?")
		v["method"], v["path"] = r.Method(), cut(path, 120)
	}
	f := p.outcome.Facts
	if f == nil {
		return v
	}
	if f.Route != nil {
		v["permission"] = f.Route.Permission
		if len(f.Route.Organizations) > 0 {
			v["asked_organization"] = cut(strings.ToLower(f.Route.Organizations[0]), 100)
			if f.Organization != nil && !p.hidden() {
				v["asked_organization"] = f.Organization.Name
			}
		}
		if f.Route.Resource != nil && f.Route.Resource.Name != "" {
			v["resource"] = f.Route.Resource.Type + " " + cut(f.Route.Resource.Name, 200)
		}
	}
	if f.Organization != nil {
		v["organization"] = f.Organization.Name
	}
	if t := f.Token; t != nil {
		v["token"], v["kind"] = tokenName(t), t.Kind
		if !t.ExpiresAt.IsZero() {
			v["expires_at"] = t.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC")
		}
	}
	if a := f.Authorization; a != nil {
		p.authorization(v, a)
	}
	return v
}

func (p *problem) authorization(v map[string]string, a *authz.Authorization) {
	if !a.ChangedAt.IsZero() {
		v["since"] = " on " + a.ChangedAt.UTC().Format(time.DateOnly)
	}
	if a.Comment != "" {
		v["comment"] = ` ("` + cut(oneLine(a.Comment), 200) + `")`
	}
	if q := p.outcome.Approval; q != nil && !q.OpenedAt.IsZero() {
		v["asked"] = ", asked for on " + q.OpenedAt.UTC().Format(time.DateOnly)
	}
	if a.State == authz.StateApproved && !a.ExpiresAt.IsZero() {
		v["asked"] += ", since its approval ended on " + a.ExpiresAt.UTC().Format(time.DateOnly)
	}
}

// tokenName is how people know a token: its name and last four characters.
func tokenName(t *authz.Token) string {
	name := `"` + cut(oneLine(t.DisplayName), 80) + `"`
	if t.Last4 != "" {
		name += " (..." + t.Last4 + ")"
	}
	return name
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }), " ")
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

func (p *problem) link() string {
	if p.reason.Link != "" {
		return fill(p.reason.Link, p.values())
	}
	f := p.outcome.Facts
	if p.opts.PublicURL == "" || p.hidden() || f == nil || f.Token == nil || f.Organization == nil {
		return ""
	}
	return strings.TrimRight(p.opts.PublicURL, "/") + "/tokens/" + url.PathEscape(f.Token.ID) + "?organization=" + url.QueryEscape(f.Organization.Name)
}

// fill replaces {placeholders} in one pass; unknown ones vanish.
func fill(template string, values map[string]string) string {
	var b strings.Builder
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
		b.WriteString(values[template[open+1:open+end]])
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
