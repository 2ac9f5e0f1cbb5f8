package admin

import (
	"context"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// CheckRequest is a request to decide on, as if it had come through Envoy.
type CheckRequest struct {
	Method  string            `json:"method" minLength:"1" maxLength:"32"`
	Path    string            `json:"path" minLength:"1" maxLength:"16384"`
	Host    string            `json:"host,omitempty" maxLength:"255"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Token   string            `json:"token,omitempty" maxLength:"8192" doc:"The secret to send as Authorization: Bearer; never kept"`
	Address string            `json:"address,omitempty" maxLength:"64" doc:"The client's address"`
}

// Checked says how a request would be decided, and on what.
type Checked struct {
	Allowed    bool           `json:"allowed"`
	Reason     string         `json:"reason"`
	Reasons    []string       `json:"reasons,omitempty"`
	Next       []string       `json:"next,omitempty"`
	HTTPStatus int            `json:"http_status,omitempty"`
	Message    string         `json:"message,omitempty"`
	Warnings   []CheckWarning `json:"warnings,omitempty"`
	Policy     string         `json:"policy,omitempty"`
	Revision   string         `json:"revision"`
	Evaluator  string         `json:"evaluator,omitempty"`
	Error      string         `json:"policy_error,omitempty"`
	Input      map[string]any `json:"input,omitempty"`
}

// CheckWarning is what a client would be told with an answer that allows.
type CheckWarning struct {
	Topic string `json:"topic"`
	Text  string `json:"text"`
}

func (s *service) check() {
	register(s, "check", "POST", "/api/check", "Decide a request without opening, counting or mailing anything", func(ctx context.Context, in *struct{ Body CheckRequest }) (*body[Checked], error) {
		in.Body.SayJSON()
		o := s.Explainer.Explain(ctx, &asked{&in.Body})
		if err := s.mayCheck(ctx, o); err != nil {
			return nil, err
		}
		out := Checked{
			Allowed: o.Decision.Allowed, Reason: o.Decision.Reason, Reasons: o.Decision.Reasons, Next: o.Decision.Next,
			Policy: o.Policy, Revision: o.Revision, Evaluator: o.Evaluator,
		}
		for _, w := range o.Warnings {
			out.Warnings = append(out.Warnings, CheckWarning(w))
		}
		if o.Err != nil {
			out.Error = o.Err.Error()
		}
		if !out.Allowed && o.Reason != nil {
			out.HTTPStatus, out.Message = o.Reason.HTTPStatus, s.Explainer.Sentence(o)
		}
		// The facts name what the token may do elsewhere.
		if o.Facts != nil && trusted(ctx) {
			if doc, err := s.Explainer.Input(o.Facts); err == nil {
				out.Input = doc
			}
		}
		return &body[Checked]{out}, nil
	})
}

// SayJSON has a body sent as JSON, where no header says what it is.
func (r *CheckRequest) SayJSON() {
	for name := range r.Headers {
		if strings.EqualFold(name, "content-type") {
			return
		}
	}
	if r.Body != "" {
		if r.Headers == nil {
			r.Headers = map[string]string{}
		}
		r.Headers["content-type"] = "application/json"
	}
}

// asked is a CheckRequest as the pipeline reads it.
type asked struct{ r *CheckRequest }

func (a *asked) Method() string { return a.r.Method }
func (a *asked) Path() string   { return a.r.Path }
func (a *asked) Host() string   { return a.r.Host }
func (*asked) Scheme() string   { return "http" }
func (*asked) Protocol() string { return "HTTP/1.1" }
func (*asked) ID() string       { return "check" }

func (a *asked) Header(name string) (value string, entries int) {
	a.EachHeader(func(n, v string) bool {
		if n == name {
			if entries == 0 {
				value = v
			}
			entries++
		}
		return true
	})
	return value, entries
}

func (a *asked) EachHeader(yield func(name, value string) bool) {
	if a.r.Token != "" && !yield("authorization", "Bearer "+a.r.Token) {
		return
	}
	for n, v := range a.r.Headers {
		if !yield(strings.ToLower(n), v) {
			return
		}
	}
}

func (a *asked) Body() authz.Body {
	return authz.Body{Bytes: []byte(a.r.Body), Present: a.r.Body != ""}
}
func (*asked) Extension(string) (string, bool) { return "", false }
func (a *asked) Source() authz.Peer            { return authz.Peer{Address: a.r.Address} }
func (*asked) Destination() authz.Peer         { return authz.Peer{} }

func (a *asked) Attributes() (map[string]any, error) {
	headers := map[string]any{}
	a.EachHeader(func(n, v string) bool { headers[n] = v; return true })
	return map[string]any{"request": map[string]any{"http": map[string]any{
		"method": a.r.Method, "path": a.r.Path, "host": a.r.Host, "headers": headers, "body": a.r.Body,
	}}}, nil
}
