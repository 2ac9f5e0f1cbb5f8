package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// tell answers with an error of RFC 7644, section 3.12.
func tell(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client is gone: nobody to tell
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:Error"}, "status": strconv.Itoa(status), "detail": detail,
	})
}

// normalize puts right what directories send otherwise than the RFC has it: Entra
// ID writes booleans as texts ("False"), and paths as keys of a value without a
// path. It answers by itself, and says false, where a body can't be read.
func normalize(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
		return true
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		tell(w, http.StatusRequestEntityTooLarge, "The request is longer than 1 MiB.")
		return false
	}
	var body map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err != nil || dec.Decode(&body) != nil || body == nil || dec.More() {
		tell(w, http.StatusBadRequest, "The request is no JSON object.")
		return false
	}
	if r.Method != http.MethodPatch {
		if !hoist(body) {
			tell(w, http.StatusBadRequest, "The request tells an attribute twice.")
			return false
		}
		normalizeValues(body)
	} else if problem := normalizeOperations(body); problem != "" {
		tell(w, http.StatusBadRequest, problem)
		return false
	}
	text, err = json.Marshal(body)
	if err != nil {
		tell(w, http.StatusBadRequest, "The request can't be read.")
		return false
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return true
}

// key finds a member by its name in any case, as RFC 7643 compares them.
func key(of map[string]any, name string) string {
	for k := range of {
		if strings.EqualFold(k, name) {
			return k
		}
	}
	return name
}

// maxOperations bounds the operations of one PATCH.
const maxOperations = 1000

// hoist makes attributes that stand under the name of the core schema what they
// are, the resource's own (RFC 7643, section 3.3: a name may be written with its
// schema's). It says false where one of them is told twice.
func hoist(of map[string]any) bool {
	for _, k := range slices.Sorted(maps.Keys(of)) {
		if !strings.EqualFold(k, coreUser) && !strings.EqualFold(k, coreGroup) {
			continue
		}
		own, ok := of[k].(map[string]any)
		if !ok {
			continue // the schema's check refuses it
		}
		delete(of, k)
		for name, v := range own {
			if _, twice := of[key(of, name)]; twice || strings.EqualFold(name, coreUser) || strings.EqualFold(name, coreGroup) {
				return false
			}
			of[name] = v
		}
	}
	return true
}

// The names of the core schemas (RFC 7643, section 8.7).
const (
	coreUser  = "urn:ietf:params:scim:schemas:core:2.0:User"
	coreGroup = "urn:ietf:params:scim:schemas:core:2.0:Group"
)

// normalizeOperations puts the operations of a PATCH right, or says what is
// wrong with them.
func normalizeOperations(body map[string]any) (problem string) {
	operations, ok := body[key(body, "Operations")].([]any)
	if !ok {
		return ""
	}
	if len(operations) > maxOperations {
		return "The request has more than " + strconv.Itoa(maxOperations) + " operations."
	}
	var out []any
	for _, one := range operations {
		op, ok := one.(map[string]any)
		if !ok {
			out = append(out, one)
			continue
		}
		path, _ := op[key(op, "path")].(string)
		value := op[key(op, "value")]
		if path != "" {
			if strings.EqualFold(lastPart(path), "active") || strings.EqualFold(lastPart(path), "primary") {
				op[key(op, "value")] = boolean(value)
			}
			normalizeValues(value)
			out = append(out, op)
			continue
		}
		if given, ok := value.(map[string]any); ok && !hoist(given) {
			return "An operation tells an attribute twice."
		}
		normalizeValues(value)
		out = append(out, parts(op, value)...)
	}
	if len(out) > maxOperations { // a value has many paths
		return "The request has more than " + strconv.Itoa(maxOperations) + " operations."
	}
	body[key(body, "Operations")] = out
	return ""
}

// parts makes an operation for each key of a value that is a path, in order.
func parts(op map[string]any, value any) (out []any) {
	given, ok := value.(map[string]any)
	if !ok {
		return []any{op}
	}
	plain := map[string]any{}
	var paths []string
	for k, v := range given {
		if isPath(k) {
			paths = append(paths, k)
		} else {
			plain[k] = v
		}
	}
	if len(paths) == 0 {
		return []any{op}
	}
	slices.Sort(paths)
	what := op[key(op, "op")]
	if len(plain) > 0 {
		out = append(out, map[string]any{"op": what, "value": plain})
	}
	for _, p := range paths {
		v := given[p]
		if strings.EqualFold(lastPart(p), "active") || strings.EqualFold(lastPart(p), "primary") {
			v = boolean(v)
		}
		out = append(out, map[string]any{"op": what, "path": p, "value": v})
	}
	return out
}

// isPath tells "name.givenName" and "emails[…].value" from a plain name and from
// the name of an extension, which has dots too.
func isPath(k string) bool {
	if strings.HasPrefix(strings.ToLower(k), "urn:") {
		i := strings.LastIndex(k, ":")
		return !strings.EqualFold(k[i+1:], "User") && !strings.EqualFold(k[i+1:], "Group")
	}
	return strings.ContainsAny(k, ".[")
}

func lastPart(path string) string { return path[strings.LastIndexAny(path, ".:")+1:] }

// normalizeValues makes booleans of the texts that stand for them.
func normalizeValues(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			if strings.EqualFold(k, "active") || strings.EqualFold(k, "primary") {
				v[k] = boolean(member)
			} else {
				normalizeValues(member)
			}
		}
	case []any:
		for _, member := range v {
			normalizeValues(member)
		}
	}
}

func boolean(v any) any {
	if list, ok := v.([]any); ok && len(list) == 1 { // Entra ID: [{"value": "False"}]
		v = list[0]
	}
	if object, ok := v.(map[string]any); ok && len(object) == 1 {
		v = object[key(object, "value")]
	}
	if text, ok := v.(string); ok {
		switch strings.ToLower(text) {
		case "true":
			return true
		case "false":
			return false
		}
	}
	return v
}
