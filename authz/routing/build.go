package routing

import (
	"net/url"
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

var errTooMany = malformed("the request names too many organizations")

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
		if err := onlyName(q, s.Name); err != nil {
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
		if found, err = bodyValue(m.req, s.Name); err != nil {
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
		return nil, errTooMany
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

// onlyName refuses a query with a name that some readers take for the one that is
// looked for: in another case, or with brackets, in which lists are written.
func onlyName(q url.Values, name string) error {
	for other := range q {
		if plain, _, _ := strings.Cut(other, "["); other != name && strings.EqualFold(plain, name) {
			return malformed("the query holds a name that may be read as " + name + ": write it so")
		}
	}
	return nil
}
