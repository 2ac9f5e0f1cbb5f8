package routing

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// routed is a route with the memory of its parts.
type routed struct {
	route         authz.Route
	resource      authz.Resource
	organizations [1]string
}

// build makes the route of a request that matched an entry. It returns nil,
// which is route_unknown, where a value that the entry needs is not there.
func (m *matching) build(c *compiled) (*authz.Route, error) {
	made := &routed{route: authz.Route{Pattern: c.Pattern, Access: c.Access}}
	route := &made.route
	if c.Access == authz.AccessUnmanaged {
		return route, nil
	}
	if c.Permission != nil {
		permission, err := m.value(c.Permission, m.permission[:0])
		if err != nil {
			return nil, err
		}
		if len(permission) != 1 {
			return nil, nil
		}
		route.Permission = permission[0]
	}
	if c.organizations != nil {
		names, err := m.value(c.organizations, made.organizations[:0])
		if err != nil {
			return nil, err
		}
		if len(names) == 0 && c.Access == authz.AccessOrganization {
			return nil, nil
		}
		if len(names) > 0 {
			route.Organizations = names
		}
	}
	if r := c.Resource; r != nil {
		made.resource = authz.Resource{Type: r.Type, Name: c.name.fill(m.vars), Visibility: r.Visibility}
		route.Resource = &made.resource
	}
	return route, nil
}

// maxOrganizations bounds how many organizations one request may name.
const maxOrganizations = 16

// value finds the values of a source, each once, in order, and adds them to a
// list that is empty.
func (m *matching) value(s *Source, out []string) ([]string, error) {
	found := m.found[:0]
	switch s.From {
	case "":
		found = append(found, s.Value)
	case "path":
		found = append(found, m.vars.get(s.Name))
	case "query":
		q, err := m.query()
		if err != nil {
			return nil, err
		}
		found = q[s.Name]
	case "host":
		found = append(found, hostLabel(m.req.Host(), s.Name))
	case "header":
		value, entries := m.req.Header(strings.ToLower(s.Name))
		if entries > 1 {
			return nil, malformed("the header " + s.Name + " is there more than once")
		}
		for v := range strings.SplitSeq(value, ",") {
			found = append(found, strings.TrimSpace(v))
		}
	case "body":
		var err error
		if found, err = bodyValue(m.req.Body(), s.Name); err != nil {
			return nil, err
		}
	}
	return s.translate(found, out)
}

func (s *Source) translate(found, out []string) ([]string, error) {
	for _, v := range found {
		if v == "" {
			continue
		}
		if s.Map != nil {
			mapped, ok := s.Map[v]
			if !ok {
				return nil, nil
			}
			v = mapped
		} else if s.From != "" && strings.EqualFold(v, CallerNamespace) {
			return nil, malformed("the name caller is reserved")
		}
		if !contains(out, v) {
			out = append(out, v)
		}
	}
	if len(out) > maxOrganizations {
		return nil, malformed("the request names too many organizations")
	}
	if len(out) == 0 && s.Default != "" {
		out = append(out, s.Default)
	}
	return out, nil
}

func contains(list []string, v string) bool {
	for _, have := range list {
		if have == v {
			return true
		}
	}
	return false
}

// bodyValue reads a member of a JSON body. A body that was cut, is not JSON,
// or names a member twice is refused: the upstream could read it differently.
func bodyValue(b authz.Body, name string) ([]string, error) {
	if b.Truncated {
		return nil, malformed("the body is too long to be read")
	}
	if !b.Present || len(b.Bytes) == 0 {
		return nil, malformed("the body is missing")
	}
	dec := json.NewDecoder(bytes.NewReader(b.Bytes))
	value, err := decodeUnique(dec, 0)
	if err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, malformed("the body holds more than one JSON value")
	}
	for _, member := range strings.Split(name, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, malformed("the body is no JSON object")
		}
		if value = object[member]; value == nil {
			return nil, nil
		}
	}
	switch v := value.(type) {
	case string:
		return []string{v}, nil
	case []any:
		var out []string
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, malformed("the body's " + name + " is no text")
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, malformed("the body's " + name + " is no text")
}

const maxDepth = 64

// decodeUnique decodes one JSON value and refuses repeated keys: readers
// differ about which one counts. Keys are compared without case, as Go's and
// other readers match them so.
func decodeUnique(dec *json.Decoder, depth int) (any, error) {
	bad := malformed("the body is no valid JSON")
	if depth > maxDepth {
		return nil, malformed("the body is nested too deeply")
	}
	token, err := dec.Token()
	if err != nil {
		return nil, bad
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if delim == '[' {
		var list []any
		for dec.More() {
			v, err := decodeUnique(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		if _, err := dec.Token(); err != nil {
			return nil, bad
		}
		return list, nil
	}
	object, folded := map[string]any{}, map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, bad
		}
		k, _ := key.(string)
		if lower := strings.ToLower(k); folded[lower] {
			return nil, malformed("the body names a member twice")
		} else {
			folded[lower] = true
		}
		v, err := decodeUnique(dec, depth+1)
		if err != nil {
			return nil, err
		}
		object[k] = v
	}
	if _, err := dec.Token(); err != nil {
		return nil, bad
	}
	return object, nil
}
