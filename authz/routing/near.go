package routing

import (
	"errors"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// Near are the entries that may serve a request by its method, path and host,
// whatever its query is, in the order in which they are tried. Errors are those of
// Route.
func (r *Router) Near(req authz.Request) ([]*Entry, error) {
	m := matchings.Get().(*matching)
	defer m.release()
	m.req, m.method = req, req.Method()
	path, _, _ := strings.Cut(req.Path(), "?")
	if err := m.target.parse(path); err != nil {
		return nil, err
	}
	if err := checkHost(req.Host()); err != nil {
		return nil, err
	}
	var out []*Entry
	for i := range r.tables {
		for c := range r.tables[i].candidates(m.target.parts) {
			_, ok := c.pattern.matchParts(m.target.parts, m.room[:0])
			odd := m.target.encodedSlash && !c.allows(allowEncodedSlash) || m.target.matrix && !c.allows(allowMatrix)
			if ok && !odd && matchMethod(c.Methods, m.method) && matchHost(c.Hosts, req.Host()) {
				out = append(out, &c.Entry)
			}
		}
	}
	if len(out) == 0 && (m.target.encodedSlash || m.target.matrix) {
		return nil, malformed("the path holds an encoded slash or a semicolon")
	}
	return out, nil
}

// Near is refused where a rule says first what a request is about.
func (s *Sources) Near(req authz.Request) ([]*Entry, error) {
	if s.Rule != nil {
		return nil, errors.New("data.local.routing.route may read what is not known of the request")
	}
	return s.Router.Near(req)
}

// Gave says whether a route is one that the entry may have given: with its
// pattern, access, permission and kind of resource.
func (e *Entry) Gave(r *authz.Route) bool {
	if e.Pattern != r.Pattern || e.Access != r.Access || !e.Permission.gave(r.Permission) || (e.Resource == nil) != (r.Resource == nil) {
		return false
	}
	return e.Resource == nil || e.Resource.Type == r.Resource.Type && e.Resource.Visibility == r.Resource.Visibility
}

// gave says whether a source may come to a value.
func (s *Source) gave(value string) bool {
	switch {
	case s == nil:
		return value == ""
	case s.From == "":
		return s.Value == value
	case s.Map == nil || s.Default == value:
		return true
	}
	for _, v := range s.Map {
		if v == value {
			return true
		}
	}
	return false
}

// candidates yields the entries of which one may serve a path, in the order in
// which they are tried.
func (t *table) candidates(parts []string) func(yield func(*compiled) bool) {
	first := ""
	if len(parts) > 0 {
		first = parts[0]
	}
	all := t.byFirst[first]
	if first != "" {
		all = slices.Concat(all, t.byFirst[""])
	}
	return func(yield func(*compiled) bool) {
		for _, i := range all {
			if !yield(&t.routes[i]) {
				return
			}
		}
	}
}
