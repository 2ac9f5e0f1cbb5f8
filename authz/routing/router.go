package routing

import (
	"fmt"
	"net/url"
	"sort"
	"sync"

	"github.com/patrol-authz/patrol/authz"
)

// Router is a compiled route table. It is immutable.
type Router struct {
	// tables are looked through in order: the operator's before the base's.
	tables []table
}

type table struct {
	routes []compiled // most specific first
	// byFirst indexes routes by a literal first segment; "" holds the rest.
	byFirst map[string][]int
}

type compiled struct {
	Entry
	pattern *pattern
	// organizations is where the organizations are; nil: nowhere.
	organizations *Source
	name          text // of the resource
}

func compile(e Entry, p *pattern) compiled {
	c := compiled{Entry: e, pattern: p, organizations: e.Organizations}
	if c.organizations == nil && p.has("organization") {
		c.organizations = &Source{From: "path", Name: "organization"}
	}
	if e.Resource != nil {
		c.name = parseText(e.Resource.Name, p)
	}
	return c
}

// New compiles route tables; the entries of an earlier one are tried first.
// Two entries with the same hosts, methods, pattern and query are refused.
func New(tables ...[]Entry) (*Router, error) {
	r := &Router{}
	for _, entries := range tables {
		t := table{byFirst: map[string][]int{}}
		seen := map[string]string{}
		for _, e := range entries {
			p, err := parsePattern(e.Pattern)
			if err != nil {
				return nil, err
			}
			key := fmt.Sprint(e.Hosts, e.Methods, e.Pattern, e.Query)
			if other, ok := seen[key]; ok {
				return nil, fmt.Errorf("routes %s and %s match the same requests", other, e.Name())
			}
			seen[key] = e.Name()
			if e.Access == "" {
				e.Access = authz.AccessOrganization
			}
			t.routes = append(t.routes, compile(e, p))
		}
		sort.SliceStable(t.routes, func(i, j int) bool { return t.routes[i].pattern.before(t.routes[j].pattern) })
		for i, c := range t.routes {
			first := ""
			if len(c.pattern.segments) > 0 && c.pattern.segments[0].variable == "" {
				first = c.pattern.segments[0].literal
			}
			t.byFirst[first] = append(t.byFirst[first], i)
		}
		r.tables = append(r.tables, t)
	}
	return r, nil
}

// FromData compiles the tables of a bundle's data: local.routes, then
// patrol.routes.
func FromData(data map[string]any) (*Router, error) {
	var tables [][]Entry
	for _, root := range []string{"local", "patrol"} {
		sub, _ := data[root].(map[string]any)
		entries, err := Parse(sub["routes"], root+".routes")
		if err != nil {
			return nil, err
		}
		tables = append(tables, entries)
	}
	return New(tables...)
}

// Entries returns the table in the order in which it is tried.
func (r *Router) Entries() []Entry {
	var all []Entry
	for e := range r.Each {
		all = append(all, *e)
	}
	return all
}

// Each yields the entries of the table, those that Entry returns, in the order in
// which they are tried.
func (r *Router) Each(yield func(*Entry) bool) {
	for _, t := range r.tables {
		for i := range t.routes {
			if !yield(&t.routes[i].Entry) {
				return
			}
		}
	}
}

// Route implements [authz.Router].
func (r *Router) Route(req authz.Request) (*authz.Route, error) {
	m := matchings.Get().(*matching)
	defer m.release()
	c, err := r.serving(m, req)
	if c == nil || err != nil {
		return nil, err
	}
	return m.build(c)
}

// Entry is the entry that serves a request, whatever it then says of it; nil where
// none does. Errors are those of Route.
func (r *Router) Entry(req authz.Request) (*Entry, error) {
	m := matchings.Get().(*matching)
	defer m.release()
	c, err := r.serving(m, req)
	if c == nil || err != nil {
		return nil, err
	}
	return &c.Entry, nil
}

func (r *Router) serving(m *matching, req authz.Request) (*compiled, error) {
	m.req, m.method = req, req.Method()
	if m.method == "" {
		return nil, malformed("the method is missing")
	}
	t := &m.target
	if err := t.parse(req.Path()); err != nil {
		return nil, err
	}
	if err := checkHost(req.Host()); err != nil {
		return nil, err
	}
	for i := range r.tables {
		c, err := r.tables[i].find(m)
		if err != nil {
			return nil, err
		}
		if c == nil {
			continue
		}
		// Only the route that serves a request may admit its odd form.
		if t.encodedSlash && !c.allows(allowEncodedSlash) {
			return nil, malformed("the path holds an encoded slash")
		}
		if t.matrix && !c.allows(allowMatrix) {
			return nil, malformed("the path holds a semicolon")
		}
		return c, nil
	}
	if t.encodedSlash || t.matrix {
		return nil, malformed("the path holds an encoded slash or a semicolon")
	}
	return nil, nil
}

// find gives the most specific route of a table: the better of the first that
// begins with the path's own first segment and of the first that does not.
func (t *table) find(m *matching) (*compiled, error) {
	first := ""
	if len(m.target.parts) > 0 {
		first = m.target.parts[0]
	}
	for _, key := range [...]string{first, ""} {
		for _, i := range t.byFirst[key] {
			c := &t.routes[i]
			ok, err := m.match(c)
			if err != nil {
				return nil, err
			}
			if ok {
				return c, nil
			}
		}
		if first == "" {
			break
		}
	}
	return nil, nil
}

// matching is one request while it is routed, with the memory of what most
// requests need.
type matching struct {
	req    authz.Request
	method string
	target target
	values url.Values // of the query, once it was asked for
	vars   variables  // of the entry that was tried last

	room              [8]variable
	found, permission [2]string
}

// matchings are used again: nothing of one is kept in the route that it finds.
var matchings = sync.Pool{New: func() any { return new(matching) }}

func (m *matching) release() {
	*m = matching{}
	matchings.Put(m)
}

func (m *matching) match(c *compiled) (bool, error) {
	if !matchMethod(c.Methods, m.method) {
		return false, nil
	}
	vars, ok := c.pattern.matchParts(m.target.parts, m.room[:0])
	m.vars = vars
	if !ok || !matchHost(c.Hosts, m.req.Host()) {
		return false, nil
	}
	if len(c.Query) == 0 {
		return true, nil
	}
	q, err := m.query()
	if err != nil {
		return false, err
	}
	for name, want := range c.Query {
		if err := onlyName(q, name); err != nil {
			return false, err
		}
		got, there := q[name]
		if !there {
			return false, nil
		}
		if want != "*" && len(got) > 1 {
			return false, malformed("the query holds " + name + " more than once")
		}
		if want != "*" && got[0] != want {
			return false, nil
		}
	}
	return true, nil
}

func (m *matching) query() (url.Values, error) {
	if m.values == nil {
		q, err := m.target.query()
		if err != nil {
			return nil, err
		}
		m.values = q
	}
	return m.values, nil
}

func matchMethod(methods []string, method string) bool {
	if len(methods) == 0 {
		return true
	}
	for _, m := range methods {
		if m == method {
			return true
		}
	}
	return false
}
