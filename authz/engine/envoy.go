package engine

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// DecodeEnvoy reads the members of a decision that opa-envoy-plugin defines;
// nil if there are none. Members that only matter to the other outcome are not
// looked at, as the plugin doesn't, unless strict.
//
// See https://www.openpolicyagent.org/docs/envoy/primer#output-document.
func DecodeEnvoy(o ast.Object, allowed, strict bool) (*authz.EnvoyDecision, error) {
	m := membersOf(compiled.FromTerm(o))
	return m.envoy.decode(allowed, strict)
}

// envoyMembers are the plugin's members of a decision.
type envoyMembers struct {
	headers, removed, responseHeaders, querySet, queryRemoved, body, status, metadata compiled.Value
	any                                                                               bool
}

// take keeps a member, if it is one of the plugin's.
func (m *envoyMembers) take(name string, v compiled.Value) {
	switch name {
	case "headers":
		m.headers = v
	case "request_headers_to_remove":
		m.removed = v
	case "response_headers_to_add":
		m.responseHeaders = v
	case "query_parameters_to_set":
		m.querySet = v
	case "query_parameters_to_remove":
		m.queryRemoved = v
	case "body":
		m.body = v
	case "http_status":
		m.status = v
	case "dynamic_metadata":
		m.metadata = v
	default:
		return
	}
	m.any = true
}

// decode reads the members that there are; nil if there are none that matter.
func (m *envoyMembers) decode(allowed, strict bool) (*authz.EnvoyDecision, error) {
	if !m.any {
		return nil, nil
	}
	var r envoyReader
	d := &authz.EnvoyDecision{}
	d.Headers = r.headers("headers", m.headers)
	d.Metadata = r.document("dynamic_metadata", m.metadata)
	looked := m.headers.Defined() || m.metadata.Defined()
	if allowed || strict {
		d.RequestHeadersRemove = r.texts("request_headers_to_remove", m.removed)
		d.ResponseHeaders = r.headers("response_headers_to_add", m.responseHeaders)
		d.QueryRemove = r.texts("query_parameters_to_remove", m.queryRemoved)
		d.QuerySet = r.query("query_parameters_to_set", m.querySet)
		looked = looked || m.removed.Defined() || m.responseHeaders.Defined() || m.queryRemoved.Defined() || m.querySet.Defined()
	}
	if !allowed || strict {
		d.HasBody = m.body.Defined()
		d.Body = r.text("body", m.body)
		d.HTTPStatus = r.status("http_status", m.status)
		looked = looked || m.body.Defined() || m.status.Defined()
	}
	if r.err != nil {
		return nil, r.err
	}
	if !looked {
		return nil, nil
	}
	return d, nil
}

// envoyReader reads the plugin's types.
type envoyReader struct{ reader }

// headers reads an object of names and values, or an array of such objects; a
// value is a string or an array of strings.
func (r *envoyReader) headers(key string, v compiled.Value) []authz.HeaderValue {
	var list []authz.HeaderValue
	switch v.Kind() {
	case compiled.Undefined:
	case compiled.Obj:
		list = r.pairs(key, v, nil)
	case compiled.Arr, compiled.Set:
		for _, o := range v.Elems() {
			if o.Kind() != compiled.Obj {
				r.fail(key, "a list of objects", v)
				return nil
			}
			list = r.pairs(key, o, list)
		}
	default:
		r.fail(key, "an object or a list of objects", v)
	}
	return list
}

func (r *envoyReader) query(key string, v compiled.Value) []authz.HeaderValue {
	if !v.Defined() {
		return nil
	}
	if v.Kind() != compiled.Obj {
		r.fail(key, "an object", v)
		return nil
	}
	return r.pairs(key, v, nil)
}

func (r *envoyReader) pairs(key string, o compiled.Value, list []authz.HeaderValue) []authz.HeaderValue {
	for k, v := range o.Members {
		name := ""
		if k.Kind() == compiled.Str {
			name = kept.text(k.Str())
		} else {
			name = k.String() // as it would be in JSON
		}
		if v.Kind() == compiled.Str {
			list = append(list, authz.HeaderValue{Name: name, Value: kept.text(v.Str())})
			continue
		}
		if v.Kind() != compiled.Arr && v.Kind() != compiled.Set {
			r.fail(key+" "+name, "a string or an array of strings", v)
			continue
		}
		for _, e := range v.Elems() {
			if e.Kind() != compiled.Str {
				r.fail(key+" "+name, "a string or an array of strings", e)
				break
			}
			list = append(list, authz.HeaderValue{Name: name, Value: kept.text(e.Str())})
		}
	}
	return list
}

// status reads an HTTP status that Envoy has a name for: it refuses others.
func (r *envoyReader) status(key string, v compiled.Value) int {
	switch v.Kind() {
	case compiled.Undefined:
		return 0
	case compiled.Int, compiled.Num:
	default:
		r.fail(key, "a number", v)
		return 0
	}
	code, err := strconv.ParseInt(v.NumberText(), 10, 64)
	if err != nil || code != int64(int(code)) || http.StatusText(int(code)) == "" || unknownToEnvoy(int(code)) {
		if r.err == nil {
			r.err = fmt.Errorf("the decision's %s is %s, which is no status that Envoy can answer with", key, v.NumberText())
		}
		return 0
	}
	return int(code)
}

// unknownToEnvoy says whether Envoy's enumeration of statuses lacks one that
// net/http has. See envoy/type/v3/http_status.proto.
func unknownToEnvoy(code int) bool {
	switch code {
	case http.StatusSwitchingProtocols, http.StatusProcessing, http.StatusEarlyHints, http.StatusTeapot,
		http.StatusTooEarly, http.StatusUnavailableForLegalReasons:
		return true
	}
	return false
}
