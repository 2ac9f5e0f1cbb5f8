package input

import (
	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// The part of the document that opa-envoy-plugin has too. What can't fail and
// needs no more than the request's own view is read from it directly.

// needsAhead says whether a policy reads of the request what has to be built
// before it is evaluated: what may be malformed, and the whole of attributes.
func needsAhead(f *Fields) bool {
	for _, key := range []string{"parsed_path", "parsed_query", "parsed_body", "truncated_body"} {
		if f.At(key) != nil {
			return true
		}
	}
	return f.At("attributes") != nil && !readsDirectly(f.At("attributes"))
}

// requestMember is a member of the document's first part.
func (v *View) requestMember(key string) compiled.Value {
	if v.b.ahead {
		return v.request.Get(key)
	}
	switch key {
	case "attributes":
		return v.object(viewAttributes, v.b.fields.At(key) != nil, (*attributesView)(v))
	case "version":
		return versionValue
	case "source_principal":
		return text(v.f.Request.Source().Principal)
	case "destination_principal":
		return text(v.f.Request.Destination().Principal)
	}
	return compiled.Value{}
}

type attributesView View

// Get implements [compiled.Lazy].
func (v *attributesView) Get(key string) compiled.Value {
	w := (*View)(v)
	switch key {
	case "request":
		return w.object(viewHTTPRequest, v.read("request", "http") != nil, (*httpRequestView)(v))
	case "contextExtensions":
		return w.object(viewExtensions, w.anyExtension(), (*extensionsView)(v))
	case "source":
		return w.object(viewSource, v.f.Request.Source() != authz.Peer{}, &peerView{m: v.m, peer: v.f.Request.Source()})
	case "destination":
		return w.object(viewDestination, v.f.Request.Destination() != authz.Peer{}, &peerView{m: v.m, peer: v.f.Request.Destination()})
	}
	return compiled.Value{}
}

// read returns what the policy reads of the attributes at a path.
func (v *attributesView) read(keys ...string) *Fields {
	return v.b.fields.At("attributes").At(keys...)
}

// Fill implements [compiled.Lazy].
func (v *attributesView) Fill(put func(string, compiled.Value)) {
	fill(v, put, "request", "contextExtensions", "source", "destination")
}

type httpRequestView View

// Get implements [compiled.Lazy].
func (v *httpRequestView) Get(key string) compiled.Value {
	return (*View)(v).object(viewHTTP, key == "http", (*httpView)(v))
}

// Fill implements [compiled.Lazy].
func (v *httpRequestView) Fill(put func(string, compiled.Value)) { fill(v, put, "http") }

type httpView View

// Get implements [compiled.Lazy].
func (v *httpView) Get(key string) compiled.Value {
	r := v.f.Request
	switch key {
	case "method":
		return text(r.Method())
	case "path":
		return text(r.Path())
	case "host":
		return text(r.Host())
	case "scheme":
		return text(r.Scheme())
	case "protocol":
		return text(r.Protocol())
	case "id":
		return text(r.ID())
	case "headers":
		return (*View)(v).object(viewHeaders, (*View)(v).anyHeader(), (*headersView)(v))
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *httpView) Fill(put func(string, compiled.Value)) {
	fill(v, put, "method", "path", "host", "scheme", "protocol", "id", "headers")
}

// headersRead are the headers that the policy reads by name; none: it may read
// all.
func (v *View) headersRead() []string { return v.b.headersRead }

// anyHeader says whether there is one of the headers that the policy reads.
func (v *View) anyHeader() bool {
	for _, name := range v.headersRead() {
		if _, n := v.f.Request.Header(name); n > 0 {
			return true
		}
	}
	there := false
	if len(v.headersRead()) == 0 {
		v.f.Request.EachHeader(func(string, string) bool { there = true; return false })
	}
	return there
}

type headersView View

// Get implements [compiled.Lazy].
func (v *headersView) Get(name string) compiled.Value {
	if !lower(name) {
		return compiled.Value{}
	}
	value, n := v.f.Request.Header(name)
	if n == 0 {
		return compiled.Value{}
	}
	if v.b.hides(name) {
		return redactedValue
	}
	if n > 1 {
		value = (*View)(v).joined()[name]
	}
	return compiled.Text(value)
}

var redactedValue = compiled.Text(Redacted)

// Fill implements [compiled.Lazy].
func (v *headersView) Fill(put func(string, compiled.Value)) {
	for name := range (*View)(v).joined() {
		put(name, v.Get(name))
	}
}

// joined are all headers, repeated ones joined.
func (v *View) joined() map[string]string {
	if v.headers == nil {
		v.headers = joinHeaders(v.f.Request)
	}
	return v.headers
}

// anyExtension says whether there is one of the extensions that the policy
// reads, which it does by name.
func (v *View) anyExtension() bool {
	for _, key := range v.b.extensionsRead {
		if _, ok := v.f.Request.Extension(key); ok {
			return true
		}
	}
	return false
}

type extensionsView View

// Get implements [compiled.Lazy].
func (v *extensionsView) Get(key string) compiled.Value {
	if s, ok := v.f.Request.Extension(key); ok {
		return compiled.Text(s)
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *extensionsView) Fill(put func(string, compiled.Value)) {
	fill(v, put, v.b.extensionsRead...)
}

// peerView is one end of the connection.
type peerView struct {
	m    *compiled.Machine
	peer authz.Peer
}

// Get implements [compiled.Lazy].
func (v *peerView) Get(key string) compiled.Value {
	switch {
	case key == "principal":
		return text(v.peer.Principal)
	case key == "address" && v.peer.Address != "":
		return names.FreezeObject(compiled.Member{Name: "socketAddress", Value: names.FreezeObject(
			compiled.Member{Name: "address", Value: compiled.Text(v.peer.Address)},
			compiled.Member{Name: "portValue", Value: port(v.peer.Port)},
		)})
	}
	return compiled.Value{}
}

// Fill implements [compiled.Lazy].
func (v *peerView) Fill(put func(string, compiled.Value)) { fill(v, put, "principal", "address") }

func port(n uint32) compiled.Value {
	if n == 0 {
		return compiled.Value{}
	}
	return compiled.Integer(int64(n))
}
