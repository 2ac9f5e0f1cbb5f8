package answer

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// Options of the rendering.
type Options struct {
	// PublicURL is where owners find what happened to their token; links in
	// answers lead there. "" gives no links.
	PublicURL string
	// Realm of WWW-Authenticate; default "patrol".
	Realm string
	// CredentialHeaders carry credentials, beside authorization: an anonymous
	// request goes on without them.
	CredentialHeaders []string
	// HubWarnings adds X-HF-Warning, which huggingface_hub shows to its user.
	HubWarnings bool
}

// Answer is what the client, or the upstream, is to be sent.
type Answer struct {
	Allowed    bool
	HTTPStatus int
	GRPCStatus int
	// Headers and Body go to the client with a refusal.
	Headers []authz.HeaderValue
	Body    string
	// Upstream headers overwrite the client's on the way on; Remove are taken
	// out; ResponseHeaders go to the client with the upstream's answer.
	Upstream        []authz.HeaderValue
	Remove          []string
	ResponseHeaders []authz.HeaderValue
	QuerySet        []authz.HeaderValue
	QueryRemove     []string
	// Metadata is Envoy's dynamic metadata.
	Metadata map[string]any
}

// Headers that tell the upstream who asks; the client's own are overwritten or
// removed.
const (
	HeaderToken        = "x-patrol-token-id"
	HeaderOwner        = "x-patrol-owner"
	HeaderOrganization = "x-patrol-organization"
)

// Render makes the answer of an outcome.
func Render(o *authz.Outcome, opts Options) *Answer {
	if opts.Realm == "" {
		opts.Realm = "patrol"
	}
	a := &Answer{Allowed: o.Decision.Allowed && o.Reason != nil && o.Reason.Allow, Metadata: metadata(o)}
	if a.Allowed {
		a.allow(o, &opts)
	} else {
		a.deny(o, &opts)
	}
	if e := o.Decision.Envoy; e != nil && o.Conflict == "" {
		a.policysOwn(e)
	}
	a.clean()
	return a
}

func metadata(o *authz.Outcome) map[string]any {
	m := map[string]any{"decision_id": o.DecisionID, "reason": o.Decision.Reason, "revision": o.Revision}
	if o.Policy != "" {
		m["policy"] = o.Policy
	}
	if f := o.Facts; f != nil {
		if f.Organization != nil {
			m["organization"] = f.Organization.Name
		}
		if f.Token != nil {
			m["token_id"] = f.Token.ID
			if f.Token.Owner != nil {
				m["owner"] = f.Token.Owner.Name
			}
		}
	}
	return m
}

func (a *Answer) allow(o *authz.Outcome, opts *Options) {
	f := o.Facts
	anonymous := o.Decision.Anonymous
	set := func(name, value string) {
		if value == "" {
			a.Remove = append(a.Remove, name)
		} else {
			a.Upstream = append(a.Upstream, authz.HeaderValue{Name: name, Value: value})
		}
	}
	var token, owner string
	if f != nil && f.Token != nil && !anonymous {
		token = f.Token.ID
		if f.Token.Owner != nil {
			owner = f.Token.Owner.Name
		}
	}
	set(HeaderToken, token)
	set(HeaderOwner, owner)
	set(HeaderOrganization, strings.Join(o.Shown, ","))
	if anonymous {
		a.Remove = append(append(a.Remove, "authorization"), opts.CredentialHeaders...)
	}
	for _, w := range o.Warnings {
		text := Warned(w)
		a.ResponseHeaders = append(a.ResponseHeaders, authz.HeaderValue{Name: "x-patrol-warning", Value: text})
		if opts.HubWarnings {
			a.ResponseHeaders = append(a.ResponseHeaders, authz.HeaderValue{Name: "x-hf-warning", Value: text})
		}
	}
}

// Warned is the header's value that tells of a warning.
func Warned(w authz.Warning) string { return headerText(w.Topic + "; " + w.Text) }

func (a *Answer) deny(o *authz.Outcome, opts *Options) {
	r := o.Reason
	if r == nil || r.Allow {
		r = authz.BuiltinReasons[authz.ReasonPolicyError]
	}
	p := &problem{outcome: o, reason: r, opts: opts}
	p.message = p.sentence()
	form := FormOf(o.Request)
	a.HTTPStatus, a.GRPCStatus = r.HTTPStatus, r.GRPCStatus
	a.add("x-error-code", r.OutsideCode())
	a.add("x-error-message", headerText(p.message))
	a.add("x-request-id", o.RequestID)
	switch {
	case r.HTTPStatus == 401:
		a.challenge(o, opts, form)
	case r.Code == authz.ReasonInsufficientPermission && o.Facts != nil && o.Facts.Route != nil:
		a.add("www-authenticate", `Bearer realm="`+opts.Realm+`", error="insufficient_scope", scope="`+quotable(o.Facts.Route.Permission)+`"`)
	case r.RetryAfter > 0:
		a.add("retry-after", strconv.Itoa(r.RetryAfter))
	}
	form.render(a, p)
	if o.Request != nil && o.Request.Method() == "HEAD" {
		a.Body = ""
	}
}

// challenge is WWW-Authenticate: Basic for git, which knows no other; Bearer
// (RFC 6750) for the rest, with an error only where a credential was sent.
func (a *Answer) challenge(o *authz.Outcome, opts *Options, form *Form) {
	if form.basic {
		a.add("www-authenticate", `Basic realm="`+opts.Realm+`"`)
		return
	}
	value := `Bearer realm="` + opts.Realm + `"`
	if f := o.Facts; f != nil && f.Credential.State == authz.CredentialPresent {
		value += `, error="invalid_token"`
	}
	a.add("www-authenticate", value)
}

func (a *Answer) add(name, value string) {
	if value != "" {
		a.Headers = append(a.Headers, authz.HeaderValue{Name: name, Value: value})
	}
}

// policysOwn lets opa-envoy-plugin's keys win.
func (a *Answer) policysOwn(e *authz.EnvoyDecision) {
	if a.Allowed {
		a.Upstream = append(a.Upstream, e.Headers...)
		a.ResponseHeaders = append(a.ResponseHeaders, e.ResponseHeaders...)
		a.Remove = append(a.Remove, e.RequestHeadersRemove...)
		a.QuerySet, a.QueryRemove = slices.Clone(e.QuerySet), e.QueryRemove
	} else {
		if e.HTTPStatus >= 400 && e.HTTPStatus <= 599 {
			a.HTTPStatus = e.HTTPStatus
		}
		own := e.Headers[:0:0]
		for _, h := range e.Headers {
			if strings.EqualFold(h.Name, "grpc-status") && !refusing(h.Value) {
				continue // a gRPC client would take the refusal for a success
			}
			a.Headers = withoutHeader(a.Headers, h.Name)
			own = append(own, h)
		}
		a.Headers = append(a.Headers, own...)
		if e.HasBody {
			a.Body = e.Body
		}
	}
	for k, v := range e.Metadata {
		if k != "decision_id" {
			a.Metadata[k] = v
		}
	}
}

// refusing says whether a text is a gRPC status other than OK: 1 to 16.
func refusing(status string) bool {
	n, err := strconv.Atoi(status)
	return err == nil && n >= 1 && n <= 16
}

func withoutHeader(headers []authz.HeaderValue, name string) []authz.HeaderValue {
	out := headers[:0:0]
	for _, h := range headers {
		if !strings.EqualFold(h.Name, name) {
			out = append(out, h)
		}
	}
	return out
}

// clean drops what must never be sent: a value with CR, LF or NUL splits the
// response, and a name that is no token is sent raw by Envoy.
func (a *Answer) clean() {
	a.Headers = sendable(a.Headers)
	a.Upstream = sendable(a.Upstream)
	a.ResponseHeaders = sendable(a.ResponseHeaders)
	for i, q := range a.QuerySet {
		a.QuerySet[i].Value = url.QueryEscape(q.Value) // Envoy does not encode it
	}
}

func sendable(headers []authz.HeaderValue) []authz.HeaderValue {
	out := headers[:0]
	for _, h := range headers {
		name := strings.ToLower(h.Name)
		if !validName(name) || strings.ContainsAny(h.Value, "\r\n\x00") || routing[name] {
			continue
		}
		out = append(out, authz.HeaderValue{Name: name, Value: h.Value})
	}
	return out
}

// routing headers would rewrite the request to the upstream.
var routing = map[string]bool{":path": true, ":method": true, ":authority": true, ":scheme": true, "host": true, "content-length": true, "transfer-encoding": true}

func validName(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return true
}

// maxHeaderText keeps a header below what proxies accept.
const maxHeaderText = 1024

// headerText makes a text fit for a header: characters outside printable ASCII
// are percent-encoded, as in grpc-message.
func headerText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c > 0x7e {
			b.WriteByte('%')
			b.WriteString(strings.ToUpper(strconv.FormatUint(uint64(c)|0x100, 16)[1:]))
		} else {
			b.WriteByte(c)
		}
		if b.Len() > maxHeaderText {
			break
		}
	}
	return b.String()
}

// quotable keeps what may stand in a quoted string of a header.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x21 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}
