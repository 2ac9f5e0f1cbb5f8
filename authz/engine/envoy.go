package engine

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
)

// DecodeEnvoy reads the members of a decision that opa-envoy-plugin defines;
// nil if there are none. Members that only matter to the other outcome are not
// looked at, as the plugin doesn't, unless strict.
//
// See https://www.openpolicyagent.org/docs/envoy/primer#output-document.
func DecodeEnvoy(o ast.Object, allowed, strict bool) (*authz.EnvoyDecision, error) {
	r := &envoyReader{reader: reader{object: o}}
	r.out.Headers = r.headers("headers")
	r.out.Metadata = r.metadata("dynamic_metadata")
	if allowed || strict {
		r.out.RequestHeadersRemove = r.list("request_headers_to_remove")
		r.out.ResponseHeaders = r.headers("response_headers_to_add")
		r.out.QueryRemove = r.list("query_parameters_to_remove")
		r.out.QuerySet = r.query("query_parameters_to_set")
	}
	if !allowed || strict {
		r.body("body")
		r.status("http_status")
	}
	if r.err != nil {
		return nil, r.err
	}
	if !r.any {
		return nil, nil
	}
	return &r.out, nil
}

// envoyReader reads the plugin's members and notes whether any was there.
type envoyReader struct {
	reader
	any bool
	out authz.EnvoyDecision
}

func (r *envoyReader) member(key string) ast.Value {
	v := member(r.object, key)
	r.any = r.any || v != nil
	return v
}

// headers reads an object of names and values, or an array of such objects; a
// value is a string or an array of strings.
func (r *envoyReader) headers(key string) []authz.HeaderValue {
	v := r.member(key)
	if v == nil {
		return nil
	}
	var list []authz.HeaderValue
	switch v := v.(type) {
	case ast.Object:
		list = r.pairs(key, v, nil)
	case *ast.Array, ast.Set:
		terms, _ := elements(v)
		for _, t := range terms {
			o, ok := t.Value.(ast.Object)
			if !ok {
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

func (r *envoyReader) query(key string) []authz.HeaderValue {
	v := r.member(key)
	if v == nil {
		return nil
	}
	o, ok := v.(ast.Object)
	if !ok {
		r.fail(key, "an object", v)
		return nil
	}
	return r.pairs(key, o, nil)
}

func (r *envoyReader) pairs(key string, o ast.Object, list []authz.HeaderValue) []authz.HeaderValue {
	o.Foreach(func(k, v *ast.Term) {
		name, ok := k.Value.(ast.String)
		if !ok {
			name = ast.String(k.String()) // as it would be in JSON
		}
		if s, ok := v.Value.(ast.String); ok {
			list = append(list, authz.HeaderValue{Name: string(name), Value: string(s)})
			return
		}
		terms, ok := elements(v.Value)
		if !ok {
			r.fail(key+" "+string(name), "a string or an array of strings", v.Value)
			return
		}
		for _, t := range terms {
			s, ok := t.Value.(ast.String)
			if !ok {
				r.fail(key+" "+string(name), "a string or an array of strings", t.Value)
				return
			}
			list = append(list, authz.HeaderValue{Name: string(name), Value: string(s)})
		}
	})
	return list
}

func (r *envoyReader) list(key string) []string {
	r.member(key)
	return r.texts(key)
}

func (r *envoyReader) body(key string) {
	r.out.HasBody = r.member(key) != nil
	r.out.Body = r.text(key)
}

func (r *envoyReader) metadata(key string) map[string]any {
	r.member(key)
	return r.document(key)
}

// status reads an HTTP status that Envoy has a name for: it refuses others.
func (r *envoyReader) status(key string) {
	v := r.member(key)
	if v == nil {
		return
	}
	n, ok := v.(ast.Number)
	if !ok {
		r.fail(key, "a number", v)
		return
	}
	code, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil || code != int64(int(code)) || http.StatusText(int(code)) == "" || unknownToEnvoy(int(code)) {
		if r.err == nil {
			r.err = fmt.Errorf("the decision's %s is %s, which is no status that Envoy can answer with", key, n)
		}
		return
	}
	r.out.HTTPStatus = int(code)
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
