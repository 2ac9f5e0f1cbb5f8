package extauthz

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
)

// prebuilt answers outcomes by templates, one for each reason, client form and
// shape of the facts. What an answer says is up to package answer: a template
// is made of what it renders for an outcome with marks in place of what
// differs, and before it serves it has to give, for the outcome at hand, the
// very bytes that the plain way gives. What no template fits goes that way.
type prebuilt struct {
	options   answer.Options
	templates atomic.Pointer[map[shape]*template] // nil: the plain way
	mu        sync.Mutex
}

// shape is what an answer's form depends on.
type shape struct {
	reason *authz.Reason
	form   *answer.Form // of a refusal
	has    parts
	// warnings are how many an allow has.
	warnings int8
}

type parts uint16

const (
	hasFacts parts = 1 << iota
	hasRoute
	hasCredential
	hasOrganization
	hasToken
	hasOwner
	hasApproval
	hasApprovalID
	hasLink
	hasPolicy
	hasShown
	isHead
	isAnonymous
	isInside
)

// maxTemplates bounds the cache: each bundle brings its own reasons.
const maxTemplates = 4096

func newPrebuilt(o answer.Options) *prebuilt {
	p := &prebuilt{options: o}
	p.templates.Store(&map[shape]*template{})
	return p
}

// answer is the outcome's CheckResponse, encoded: in the room, which is empty, where
// that suffices.
func (p *prebuilt) answer(o *authz.Outcome, room []byte) []byte {
	var v values
	s, ok := p.look(o, &v)
	if !ok {
		return p.plain(o)
	}
	t, known := (*p.templates.Load())[s]
	if !known {
		t = p.learn(o, s, &v)
	}
	if t == nil {
		return p.plain(o)
	}
	return t.fill(&v, room)
}

func (p *prebuilt) plain(o *authz.Outcome) []byte { return encode(answer.Render(o, p.options)) }

// learn makes the template of a shape, and keeps it.
func (p *prebuilt) learn(o *authz.Outcome, s shape, v *values) *template {
	t := newTemplate(p.render(o), writingOf(s.form))
	if t != nil && !bytes.Equal(t.fill(v, nil), p.plain(o)) {
		t = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old := *p.templates.Load()
	next := make(map[shape]*template, len(old)+1)
	if len(old) < maxTemplates {
		for k, have := range old {
			next[k] = have
		}
	}
	next[s] = t
	p.templates.Store(&next)
	return t
}

// render renders an outcome with marks in place of what differs. A text that
// is encoded as a whole, or that topics are put before, is one gap.
func (p *prebuilt) render(o *authz.Outcome) *answer.Answer {
	a := answer.Render(marked(o), p.options)
	for i := range a.Headers {
		if a.Headers[i].Name == answer.DetailsHeader {
			a.Headers[i].Value = details.mark()
		}
	}
	if n := len(o.Warnings); n > 0 {
		each := len(a.ResponseHeaders) / n // as often as warnings are told
		for i := range a.ResponseHeaders {
			a.ResponseHeaders[i].Value = (warning + variable(i/each)).mark() //nolint:gosec // One of two.
		}
	}
	return a
}

func writingOf(f *answer.Form) writing {
	switch {
	case f.IsJSON():
		return jsonWriting
	case f.IsPage():
		return htmlWriting
	}
	return plainWriting
}

// mostWarnings has a gap for each.
const mostWarnings = 2

// look tells the shape of an outcome and gathers its values. Not ok: its
// answer is no matter of templates.
func (p *prebuilt) look(o *authz.Outcome, v *values) (s shape, ok bool) {
	if o.Reason == nil || o.Reason.Code != o.Decision.Reason || o.Reason.Allow != o.Decision.Allowed || o.Decision.Envoy != nil || o.Decision.Allowed && len(o.Warnings) > mostWarnings {
		return s, false
	}
	s.reason = o.Reason
	v[decisionID], v[revision], v[policy] = o.DecisionID, o.Revision, o.Policy
	s.set(hasPolicy, o.Policy != "")
	if o.Facts != nil && !s.facts(o.Facts, v) {
		return s, false
	}
	if o.Decision.Allowed {
		s.set(isAnonymous, o.Decision.Anonymous)
		v[shown] = strings.Join(o.Shown, ",")
		s.set(hasShown, v[shown] != "")
		s.warnings = int8(len(o.Warnings)) //nolint:gosec // At most two.
		for i, w := range o.Warnings {
			v[warning+variable(i)] = answer.Warned(w) //nolint:gosec // One of two.
		}
	} else if !p.refusal(o, &s, v) {
		return s, false
	}
	for _, i := range names {
		if !all(v[i], inName) {
			return s, false
		}
	}
	return s, all(v[revision], inList) && all(v[requestID], inID) && all(v[shown], inList)
}

// names may stand in a URL.
var names = [...]variable{decisionID, organization, token, owner, policy, permission, approvalID, approvalState}

func (s *shape) set(part parts, there bool) {
	if there {
		s.has |= part
	}
}

// facts adds what facts there are; not ok: one without a name.
func (s *shape) facts(f *authz.Facts, v *values) (ok bool) {
	ok = true
	s.has |= hasFacts
	s.set(hasCredential, f.Credential.State == authz.CredentialPresent)
	if f.Route != nil {
		s.has |= hasRoute
		v[permission] = f.Route.Permission
	}
	if f.Organization != nil {
		s.has |= hasOrganization
		v[organization] = f.Organization.Name
	}
	if f.Token != nil {
		s.has |= hasToken
		v[token] = f.Token.ID
		ok = ok && v[token] != ""
		if f.Token.Owner != nil {
			s.has |= hasOwner
			v[owner] = f.Token.Owner.Name
			ok = ok && v[owner] != ""
		}
	}
	return ok
}

// refusal adds what only refusals tell.
func (p *prebuilt) refusal(o *authz.Outcome, s *shape, v *values) bool {
	s.form = answer.FormOf(o.Request)
	s.set(isHead, o.Request != nil && o.Request.Method() == "HEAD")
	s.set(isInside, answer.Inside(o.Facts, o.Reason))
	v[requestID] = o.RequestID
	if a := o.Approval; a != nil {
		s.has |= hasApproval
		s.set(hasApprovalID, a.ID != "")
		v[approvalID], v[approvalState] = a.ID, a.State
	}
	v[sentence], v[link] = answer.Told(o, p.options)
	s.set(hasLink, v[link] != "")
	if v[requestID] == "" || v[sentence] == "" || len(v[sentence])+len(v[link]) > maxText {
		return false
	}
	if s.form.HasDetails() {
		v[details] = answer.Details(o, p.options)
	}
	if !all(v[sentence], isPrint) || !all(v[link], isPrint) {
		return false
	}
	switch writingOf(s.form) {
	case jsonWriting:
		v[sentenceJSON], v[linkJSON] = inJSON(v[sentence]), inJSON(v[link])
	case htmlWriting:
		v[sentenceHTML], v[linkHTML] = inHTML(v[sentence]), inHTML(v[link])
		return v[link] == "" || plainURL(v[link])
	}
	return true
}

// maxText keeps away from the length at which a header is cut.
const maxText = 900

// sign says where a byte may stand as it is.
type sign uint8

const (
	inName  sign = 1 << iota // everywhere, whatever a text is written in
	inList                   // also , + and :
	inID                     // also , and :
	inURL                    // also / : ? & = and +
	isPrint                  // printable ASCII
	asJSON                   // encoding/json writes it as it is
	asHTML                   // html/template writes it as it is
)

var signs = func() (t [256]sign) {
	for c := range t {
		switch c := byte(c); { //nolint:gosec // of 256
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c == '-', c == '.', c == '_', c == '~':
			t[c] = inName | inList | inID | inURL
		case strings.IndexByte(",:", c) >= 0:
			t[c] = inList | inID
		case c == '+':
			t[c] = inList
		}
		if strings.IndexByte("/:?&=+", byte(c)) >= 0 { //nolint:gosec // of 256
			t[c] |= inURL
		}
		if c >= 0x20 && c <= 0x7e {
			t[c] |= isPrint
		}
		if jsonEscapes[c] == "" {
			t[c] |= asJSON
		}
		if htmlEscapes[c] == "" {
			t[c] |= asHTML
		}
	}
	return t
}()

// all says whether all of a text are of a kind.
func all(s string, are sign) bool {
	for i := range len(s) {
		if signs[s[i]]&are == 0 {
			return false
		}
	}
	return true
}

// inJSON is a printable text as encoding/json writes it, without the quotes.
func inJSON(s string) string { return escaped(s, asJSON, &jsonEscapes) }

// inHTML is a printable text as html/template writes it between tags.
func inHTML(s string) string { return escaped(s, asHTML, &htmlEscapes) }

var (
	jsonEscapes = [256]string{'"': `\"`, '\\': `\\`, '<': `\u003c`, '>': `\u003e`, '&': `\u0026`}
	htmlEscapes = [256]string{'"': "&#34;", '\'': "&#39;", '<': "&lt;", '>': "&gt;", '&': "&amp;", '+': "&#43;"}
)

func escaped(s string, as sign, escapes *[256]string) string {
	if all(s, as) {
		return s
	}
	b := make([]byte, 0, len(s)+32)
	for i := range len(s) {
		if e := escapes[s[i]]; e != "" {
			b = append(b, e...)
		} else {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// plainURL says whether a link is one that html/template puts into an attribute
// as it puts it between tags.
func plainURL(s string) bool {
	return (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")) && all(s, inURL)
}

// marked is an outcome of the same shape with marks in place of values.
func marked(o *authz.Outcome) *authz.Outcome {
	m := *o
	m.DecisionID, m.RequestID, m.Revision = decisionID.mark(), requestID.mark(), revision.mark()
	if m.Policy != "" {
		m.Policy = policy.mark()
	}
	if strings.Join(m.Shown, ",") != "" {
		m.Shown = []string{shown.mark()}
	}
	reason := *o.Reason
	reason.Sentence = sentence.mark()
	if reason.Link != "" {
		reason.Link = link.mark()
	}
	m.Reason = &reason
	if a := o.Approval; a != nil {
		marks := authz.ApprovalRequest{State: approvalState.mark(), OpenedAt: a.OpenedAt}
		if a.ID != "" {
			marks.ID = approvalID.mark()
		}
		m.Approval = &marks
	}
	if o.Facts != nil {
		m.Facts = markedFacts(o.Facts)
	}
	return &m
}

func markedFacts(f *authz.Facts) *authz.Facts {
	m := *f
	if m.Route != nil {
		r := *m.Route
		r.Permission = permission.mark()
		m.Route = &r
	}
	if m.Organization != nil {
		o := *m.Organization
		o.Name = organization.mark()
		m.Organization = &o
	}
	if m.Token != nil {
		t := *m.Token
		t.ID = token.mark()
		if t.Owner != nil {
			t.Owner = &authz.Owner{ID: t.Owner.ID, Name: owner.mark(), Type: t.Owner.Type}
		}
		m.Token = &t
	}
	return &m
}
