// Package inputtest has a request view and sample facts for tests of whatever
// evaluates facts.
package inputtest

import (
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/input/protodoc"
)

// Request shows a CheckRequest as the pipeline sees it.
type Request struct{ *authv3.CheckRequest }

var _ authz.Request = Request{}

func (r Request) http() *authv3.AttributeContext_HttpRequest {
	return r.GetAttributes().GetRequest().GetHttp()
}

// Method implements [authz.Request].
func (r Request) Method() string { return r.http().GetMethod() }

// Path implements [authz.Request].
func (r Request) Path() string { return r.http().GetPath() }

// Host implements [authz.Request].
func (r Request) Host() string { return r.http().GetHost() }

// Scheme implements [authz.Request].
func (r Request) Scheme() string { return r.http().GetScheme() }

// Protocol implements [authz.Request].
func (r Request) Protocol() string { return r.http().GetProtocol() }

// ID implements [authz.Request].
func (r Request) ID() string { return r.http().GetId() }

// Header implements [authz.Request].
func (r Request) Header(name string) (value string, entries int) {
	r.EachHeader(func(n, v string) bool {
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

// EachHeader implements [authz.Request].
func (r Request) EachHeader(yield func(name, value string) bool) {
	for name, value := range r.http().GetHeaders() {
		if !yield(strings.ToLower(name), value) {
			return
		}
	}
	for _, h := range r.http().GetHeaderMap().GetHeaders() {
		value := h.GetValue()
		if value == "" {
			value = strings.ToValidUTF8(string(h.GetRawValue()), "\uFFFD")
		}
		if !yield(strings.ToLower(h.GetKey()), value) {
			return
		}
	}
}

// Body implements [authz.Request].
func (r Request) Body() authz.Body {
	body := []byte(r.http().GetBody())
	if len(body) == 0 {
		body = r.http().GetRawBody()
	}
	partial, _ := r.Header("x-envoy-auth-partial-body")
	return authz.Body{Bytes: body, Present: len(body) > 0, Truncated: partial == "true"}
}

// Extension implements [authz.Request].
func (r Request) Extension(key string) (string, bool) {
	v, ok := r.GetAttributes().GetContextExtensions()[key]
	return v, ok
}

// Source implements [authz.Request].
func (r Request) Source() authz.Peer { return peer(r.GetAttributes().GetSource()) }

// Destination implements [authz.Request].
func (r Request) Destination() authz.Peer { return peer(r.GetAttributes().GetDestination()) }

func peer(p *authv3.AttributeContext_Peer) authz.Peer {
	socket := p.GetAddress().GetSocketAddress()
	return authz.Peer{Address: socket.GetAddress(), Port: socket.GetPortValue(), Principal: p.GetPrincipal()}
}

// Attributes implements [authz.Request].
func (r Request) Attributes() (map[string]any, error) {
	if r.GetAttributes() == nil {
		return map[string]any{}, nil
	}
	return protodoc.Of(r.GetAttributes())
}
