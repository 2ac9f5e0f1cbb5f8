package input

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
)

// Redacted stands where a credential header's value was.
const Redacted = "[redacted]"

// direct is the part of attributes that is built from the request's view; a
// policy that reads beyond it makes the whole of attributes be built.
var direct = Paths(
	"request/http/method", "request/http/path", "request/http/host", "request/http/scheme",
	"request/http/protocol", "request/http/id", "request/http/headers", "contextExtensions",
	"source/principal", "source/address/socketAddress/address", "source/address/socketAddress/portValue",
	"destination/principal", "destination/address/socketAddress/address",
	"destination/address/socketAddress/portValue",
)

// readsDirectly says whether what is read of attributes can be had from the
// request's view, extensions by their names.
func readsDirectly(fields *Fields) bool {
	extensions := fields.At("contextExtensions")
	named := extensions == nil || len(extensions.Keys()) > 0
	return named && fields.within(direct)
}

// attributes builds input.attributes.
func (b *Builder) attributes(r authz.Request, fields *Fields) (ast.Value, error) {
	if readsDirectly(fields) {
		return b.directAttributes(r, fields), nil
	}
	doc, err := r.Attributes()
	if err != nil {
		return nil, fmt.Errorf("show the request's attributes: %w", err)
	}
	v, err := ast.InterfaceToValue(b.redact(r, doc))
	if err != nil {
		return nil, fmt.Errorf("show the request's attributes: %w", err)
	}
	return v, nil
}

func (b *Builder) directAttributes(r authz.Request, fields *Fields) ast.Value {
	o := newObject(fields, 4)
	if request := fields.At("request", "http"); request != nil {
		h := newObject(request, 7)
		h.text("method", r.Method())
		h.text("path", r.Path())
		h.text("host", r.Host())
		h.text("scheme", r.Scheme())
		h.text("protocol", r.Protocol())
		h.text("id", r.ID())
		if h.reads("headers") {
			h.add("headers", b.headers(r, request.At("headers")))
		}
		http := newObject(everything, 1)
		http.add("http", h.value())
		o.add("request", http.value())
	}
	if o.reads("contextExtensions") {
		x := newObject(everything, 2)
		for _, key := range fields.At("contextExtensions").Keys() {
			if v, ok := r.Extension(key); ok {
				x.add(key, ast.String(v))
			}
		}
		if len(x.items) > 0 {
			o.add("contextExtensions", x.value())
		}
	}
	if o.reads("source") {
		o.add("source", peer(r.Source(), fields.At("source")))
	}
	if o.reads("destination") {
		o.add("destination", peer(r.Destination(), fields.At("destination")))
	}
	return o.value()
}

func peer(p authz.Peer, fields *Fields) ast.Value {
	if p == (authz.Peer{}) {
		return nil
	}
	o := newObject(fields, 2)
	o.text("principal", p.Principal)
	if socket := fields.At("address", "socketAddress"); socket != nil && p.Address != "" {
		s := newObject(socket, 2)
		s.text("address", p.Address)
		if p.Port != 0 {
			s.number("portValue", int64(p.Port))
		}
		address := newObject(everything, 1)
		address.add("socketAddress", s.value())
		o.add("address", address.value())
	}
	return o.value()
}

// headers builds the headers that are read by name, or all. Envoy may send
// them as a map, where it has joined repeated ones by a comma, or one by one;
// policies see the former either way.
func (b *Builder) headers(r authz.Request, fields *Fields) ast.Value {
	if len(fields.Keys()) == 0 {
		all := joinHeaders(r)
		o := newObject(everything, len(all))
		for name, value := range all {
			o.add(name, b.headerValue(name, value).Value)
		}
		return emptyIsAbsent(&o)
	}
	o := newObject(fields, 4)
	for _, name := range fields.Keys() {
		value, entries := r.Header(name)
		if entries > 1 {
			value = joinHeaders(r)[name]
		}
		if entries > 0 {
			o.add(name, b.headerValue(name, value).Value)
		}
	}
	return emptyIsAbsent(&o)
}

func emptyIsAbsent(o *object) ast.Value {
	if len(o.items) == 0 {
		return nil
	}
	return o.value()
}

func (b *Builder) headerValue(name, value string) *ast.Term {
	if b.hides(name) {
		return ast.InternedTerm(Redacted)
	}
	return ast.StringTerm(value)
}

// hides says whether a header's value is a credential that is not shown.
func (b *Builder) hides(name string) bool {
	return slices.ContainsFunc(b.hidden, func(h string) bool { return strings.EqualFold(h, name) })
}

func joinHeaders(r authz.Request) map[string]string {
	all := map[string]string{}
	r.EachHeader(func(name, value string) bool {
		if before, ok := all[name]; ok {
			value = before + "," + value
		}
		all[name] = value
		return true
	})
	return all
}

// redact returns the attributes with credential headers hidden, and with
// headers as a map where Envoy sent them one by one. The document is a fresh
// one, made for this call.
func (b *Builder) redact(r authz.Request, doc map[string]any) map[string]any {
	request, _ := doc["request"].(map[string]any)
	http, _ := request["http"].(map[string]any)
	if http == nil {
		return doc
	}
	headers := map[string]any{}
	for name, value := range joinHeaders(r) {
		headers[name] = value
		if b.hides(name) {
			headers[name] = Redacted
		}
	}
	if len(headers) > 0 {
		http["headers"] = headers
	}
	if list, ok := http["headerMap"].(map[string]any); ok {
		b.redactList(list)
	}
	return doc
}

func (b *Builder) redactList(headerMap map[string]any) {
	entries, _ := headerMap["headers"].([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		name, _ := entry["key"].(string)
		if !b.hides(name) {
			continue
		}
		for _, key := range []string{"value", "rawValue"} {
			if _, ok := entry[key]; ok {
				entry[key] = Redacted
			}
		}
	}
}
