package extauthz

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/patrol-authz/patrol/authz"
)

// view is an [authz.Request] over a decoded CheckRequest.
type view struct {
	attributes *authv3.AttributeContext
	http       *authv3.AttributeContext_HttpRequest
	show       func(*authv3.AttributeContext) (map[string]any, error)
}

// NewView returns a view of a message. show gives its attributes as
// opa-envoy-plugin would; nil: by protojson.
func NewView(r *authv3.CheckRequest, show func(*authv3.AttributeContext) (map[string]any, error)) authz.Request {
	if show == nil {
		show = byProtojson
	}
	return &view{attributes: r.GetAttributes(), http: r.GetAttributes().GetRequest().GetHttp(), show: show}
}

func (v *view) Method() string   { return v.http.GetMethod() }
func (v *view) Path() string     { return v.http.GetPath() }
func (v *view) Host() string     { return v.http.GetHost() }
func (v *view) Scheme() string   { return v.http.GetScheme() }
func (v *view) Protocol() string { return v.http.GetProtocol() }
func (v *view) ID() string       { return v.http.GetId() }

// Header looks in both forms: Envoy fills headers, or header_map where it is
// told to send them raw.
func (v *view) Header(name string) (value string, entries int) {
	v.EachHeader(func(n, val string) bool {
		if n == name {
			if entries == 0 {
				value = val
			}
			entries++
		}
		return true
	})
	return value, entries
}

func (v *view) EachHeader(yield func(name, value string) bool) {
	for name, value := range v.http.GetHeaders() {
		if !yield(strings.ToLower(name), value) {
			return
		}
	}
	for _, h := range v.http.GetHeaderMap().GetHeaders() {
		value := h.GetValue()
		if len(h.GetRawValue()) > 0 {
			value = string(h.GetRawValue())
		}
		if !yield(strings.ToLower(h.GetKey()), value) {
			return
		}
	}
}

// Body is raw_body where Envoy packs it so, else body.
func (v *view) Body() authz.Body {
	b := authz.Body{Bytes: v.http.GetRawBody()}
	if len(b.Bytes) == 0 {
		b.Bytes = []byte(v.http.GetBody())
	}
	partial, entries := v.Header("x-envoy-auth-partial-body")
	b.Present = entries > 0 || len(b.Bytes) > 0
	b.Truncated = entries > 0 && !strings.EqualFold(partial, "false") || v.http.GetSize() > int64(len(b.Bytes))
	return b
}

func (v *view) Extension(key string) (string, bool) {
	value, ok := v.attributes.GetContextExtensions()[key]
	return value, ok
}

func (v *view) Source() authz.Peer      { return peer(v.attributes.GetSource()) }
func (v *view) Destination() authz.Peer { return peer(v.attributes.GetDestination()) }

func peer(p *authv3.AttributeContext_Peer) authz.Peer {
	socket := p.GetAddress().GetSocketAddress()
	out := authz.Peer{Address: socket.GetAddress(), Principal: p.GetPrincipal()}
	if port, ok := socket.GetPortSpecifier().(*corev3.SocketAddress_PortValue); ok {
		out.Port = port.PortValue
	}
	return out
}

func (v *view) Attributes() (map[string]any, error) { return v.show(v.attributes) }

func byProtojson(a *authv3.AttributeContext) (map[string]any, error) {
	if a == nil {
		return map[string]any{}, nil
	}
	b, err := protojson.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("show the attributes: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var out map[string]any
	return out, dec.Decode(&out)
}
