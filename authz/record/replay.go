package record

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/redact"
)

// Replay is a recorded request, to be decided on again. A record holds a part of
// a request; what somebody asks for beyond that part is answered as if it were not
// there, and noted: see [Replay.Missing]. It is used by one goroutine at a time.
type Replay struct {
	r       *Refusal
	missing []string
	// query says whether the path is shown with its query; it was not kept.
	query bool
}

var _ authz.Request = (*Replay)(nil)

// Replay is the request of a record. Of a query its names are kept alone: with
// query, who asks for the path is taken to look at its query, too.
func (r *Refusal) Replay(query bool) *Replay { return &Replay{r: r, query: query} }

// Missing is what was asked for and is not in the record; nil: nothing.
func (p *Replay) Missing() []string { return p.missing }

// Forget begins to note anew.
func (p *Replay) Forget() { p.missing = nil }

// HasQuery says whether there was a query, whose values are not kept.
func (p *Replay) HasQuery() bool { return len(p.r.Request.Query) > 0 || p.r.Request.MoreQuery }

// Whole says whether method, path (but for its query) and host are as they were
// sent: of those that were too long the beginning was kept, and what looked like a
// secret was erased.
func (p *Replay) Whole() bool {
	q := &p.r.Request
	return whole(q.Method) && whole(q.Path) && whole(q.Host)
}

// whole says whether a kept text is as it was.
func whole(s string) bool {
	return !strings.HasSuffix(s, "…") && !strings.Contains(s, redact.Redacted)
}

func (p *Replay) miss(what string) {
	if !slices.Contains(p.missing, what) {
		p.missing = append(p.missing, what)
	}
}

// text is what was kept of a text.
func (p *Replay) text(what, s string) string {
	if !whole(s) {
		p.miss("the whole " + what)
	}
	return s
}

// Method implements [authz.Request].
func (p *Replay) Method() string { return p.text("method", p.r.Request.Method) }

// Path implements [authz.Request]: the path without its query.
func (p *Replay) Path() string {
	if p.query && p.HasQuery() {
		p.miss("the query")
	}
	return p.text("path", p.r.Request.Path)
}

// Host implements [authz.Request].
func (p *Replay) Host() string { return p.text("host", p.r.Request.Host) }

// Scheme implements [authz.Request].
func (p *Replay) Scheme() string {
	p.miss("the scheme")
	return ""
}

// Protocol implements [authz.Request].
func (p *Replay) Protocol() string { return p.text("protocol", p.r.Request.Protocol) }

// ID implements [authz.Request].
func (p *Replay) ID() string {
	p.miss("Envoy's id of the request")
	return ""
}

// Header implements [authz.Request].
func (p *Replay) Header(name string) (value string, entries int) {
	if !slices.Contains(kept, name) {
		p.miss("the header " + name)
		return "", 0
	}
	value, there := p.r.Request.Headers[name]
	if !there {
		return "", 0
	}
	return p.text("header "+name, value), 1
}

// EachHeader implements [authz.Request].
func (p *Replay) EachHeader(yield func(name, value string) bool) {
	p.miss("all headers")
	for name, value := range p.r.Request.Headers {
		if !yield(name, value) {
			return
		}
	}
}

// Body implements [authz.Request].
func (p *Replay) Body() authz.Body {
	p.miss("the body")
	return authz.Body{}
}

// Extension implements [authz.Request].
func (p *Replay) Extension(string) (string, bool) {
	p.miss("context_extensions")
	return "", false
}

// Source implements [authz.Request].
func (p *Replay) Source() authz.Peer {
	p.miss("the connection's end")
	return authz.Peer{}
}

// Destination implements [authz.Request].
func (p *Replay) Destination() authz.Peer {
	p.miss("the connection's end")
	return authz.Peer{}
}

// Attributes implements [authz.Request].
func (p *Replay) Attributes() (map[string]any, error) {
	p.miss("all attributes")
	return nil, errors.New("a record does not hold them")
}

// Erased says whether a part of the facts looked like a secret, and was erased.
func (r *Refusal) Erased() bool { return bytes.Contains(r.Facts, []byte(redact.Redacted)) }
