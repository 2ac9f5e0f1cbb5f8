package routing

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// Asked is what was asked for: a method and a path, so many times.
type Asked struct {
	Method string
	// Path without its query.
	Path     string
	Requests int
}

// Suggestion is an entry that would serve what no entry of a table does.
type Suggestion struct {
	Entry
	Requests int
	// Examples are paths that it would serve.
	Examples []string
}

// The permissions of the base bundle that are suggested.
const (
	suggestedRead  = "repo.content.read"
	suggestedWrite = "repo.write"
)

// Limits of a suggestion.
const (
	// mostSiblings are the literals of one place, below a first segment, beyond which
	// they are a variable.
	mostSiblings = 4
	// mostBelow are the patterns below an organization beyond which they are a rest.
	mostBelow = 8
	// mostShown are the examples of a suggestion.
	mostShown = 2
)

// Suggest proposes entries for what was asked for and has no route, by what its
// paths have in common. Each is about an organization: one of the names that stands
// in the path, else what varies first, which is refused where it is none. What
// names none is left: nobody can say from its path whose it is, and whom it would be
// opened to. Nothing is suggested that would take what the table serves.
func (r *Router) Suggest(all []Asked, organizations map[string]bool) (out []Suggestion, left []Asked) {
	root := newNode()
	for i := range all {
		if _, err := r.Near(&line{all[i]}); err == nil && !strings.ContainsAny(all[i].Path, "{}") {
			root.add(segmentsOf(all[i].Path), &all[i])
		}
	}
	root.generalize(organizations, 0, false)
	var found []Suggestion
	root.collect(nil, func(path []string, asked []*Asked) {
		pattern, owned := patternOf(path)
		if !owned {
			return
		}
		for _, reads := range []bool{true, false} {
			if s := suggestion(pattern, asked, reads); s != nil {
				found = append(found, *s)
			}
		}
	})
	for i := range found {
		if !r.shadows(&found[i].Entry) {
			out = append(out, found[i])
		}
	}
	slices.SortFunc(out, func(a, b Suggestion) int {
		return cmp.Or(strings.Compare(a.Pattern, b.Pattern), strings.Compare(strings.Join(a.Methods, " "), strings.Join(b.Methods, " ")))
	})
	entries := make([]Entry, len(out))
	for i := range out {
		entries[i] = out[i].Entry
	}
	serves, err := New(entries)
	for i := range all {
		if err != nil || !takes(serves, all[i:i+1]) {
			left = append(left, all[i])
		}
	}
	return out, left
}

func segmentsOf(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// node is a segment of paths, with those that follow.
type node struct {
	literal  bool
	children map[string]*node
	asked    []*Asked // that end here
	rest     bool     // and whatever follows
}

func newNode() *node { return &node{literal: true, children: map[string]*node{}} }

func (n *node) add(segments []string, a *Asked) {
	if len(segments) == 0 {
		n.asked = append(n.asked, a)
		return
	}
	child := n.children[segments[0]]
	if child == nil {
		child = newNode()
		n.children[segments[0]] = child
	}
	child.add(segments[1:], a)
}

// Variables of the tree; no segment of a path looks like them.
const (
	anOrganization = "{organization}"
	aVariable      = "{}"
)

// generalize makes variables of segments that vary: of organizations, of what looks
// like an id, and of many siblings below a first segment.
func (n *node) generalize(organizations map[string]bool, depth int, owned bool) {
	names := slices.Sorted(maps.Keys(n.children))
	varies := depth > 0 && len(names) > mostSiblings || slices.ContainsFunc(names, looksLikeID)
	organized := !owned && slices.ContainsFunc(names, func(s string) bool { return organizations[strings.ToLower(s)] })
	switch {
	case organized && depth == 0:
		// What begins otherwise is something else.
		n.merge(anOrganization, slices.DeleteFunc(names, func(s string) bool { return !organizations[strings.ToLower(s)] }))
	case organized, varies && !owned && depth > 0 && !n.names(organizations):
		n.merge(anOrganization, names)
	case varies && depth > 0:
		n.merge(aVariable, names)
	}
	for name, child := range n.children {
		child.generalize(organizations, depth+1, owned || name == anOrganization)
		if name == anOrganization && child.patterns() > mostBelow {
			child.gatherRest()
		}
	}
}

// names says whether an organization is named below.
func (n *node) names(organizations map[string]bool) bool {
	for name, child := range n.children {
		if organizations[strings.ToLower(name)] || child.names(organizations) {
			return true
		}
	}
	return false
}

// merge puts children into one.
func (n *node) merge(name string, children []string) {
	into := newNode()
	into.literal = false
	for _, key := range children {
		into.absorb(n.children[key])
		delete(n.children, key)
	}
	n.children[name] = into
}

func (n *node) absorb(other *node) {
	n.asked = append(n.asked, other.asked...)
	for name, child := range other.children {
		if mine := n.children[name]; mine != nil {
			mine.absorb(child)
		} else {
			n.children[name] = child
		}
	}
}

// patterns counts what would be suggested below.
func (n *node) patterns() int {
	count := 0
	n.collect(nil, func([]string, []*Asked) { count++ })
	return count
}

// gatherRest makes one pattern of all that follows.
func (n *node) gatherRest() {
	rest := newNode()
	rest.rest = true
	for _, child := range n.children {
		child.collect(nil, func(_ []string, asked []*Asked) { rest.asked = append(rest.asked, asked...) })
	}
	n.children = map[string]*node{"": rest}
}

// collect yields the paths at which something ends.
func (n *node) collect(path []string, yield func(path []string, asked []*Asked)) {
	if len(n.asked) > 0 {
		yield(path, n.asked)
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child, segment := n.children[name], name
		if child.rest {
			segment = "{rest...}"
		}
		child.collect(append(path[:len(path):len(path)], segment), yield)
	}
}

// patternOf names the variables of a path, and says whether one is an organization.
func patternOf(path []string) (pattern string, owned bool) {
	n := 0
	for _, segment := range path {
		switch segment {
		case anOrganization:
			owned = true
		case aVariable:
			if n++; n == 1 {
				segment = "{name}"
			} else {
				segment = "{part" + strconv.Itoa(n) + "}"
			}
		}
		pattern += "/" + segment
	}
	return pattern, owned
}

// ids are segments that are not the same for long: numbers, UUIDs, digests, addresses.
var ids = regexp.MustCompile(`^[0-9]+$|^[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}$|^[0-9a-fA-F]*[0-9][0-9a-fA-F]*$|[0-9]{4}|[@%\[]|^.{33,}$`)

// shortID is the least length of what is an id by its hexadecimal digits alone.
const shortID = 8

func looksLikeID(segment string) bool {
	found := ids.FindString(segment)
	return found != "" && (len(segment) >= shortID || strings.Trim(segment, "0123456789") == "" || strings.ContainsAny(found, "@%["))
}

// suggestion is the entry of what was read, or written, of a pattern; nil where
// nothing was.
func suggestion(pattern string, asked []*Asked, reads bool) *Suggestion {
	out := &Suggestion{Entry: Entry{Pattern: pattern, Access: authz.AccessOrganization, Permission: &Source{Value: suggestedWrite}}}
	if reads {
		out.Permission = &Source{Value: suggestedRead}
	}
	methods := map[string]bool{}
	for _, a := range asked {
		if readMethod(a.Method) != reads {
			continue
		}
		methods[a.Method] = true
		out.Requests += a.Requests
		if len(out.Examples) < mostShown && !slices.Contains(out.Examples, a.Path) {
			out.Examples = append(out.Examples, a.Path)
		}
	}
	if len(methods) == 0 {
		return nil
	}
	if methods["GET"] {
		methods["HEAD"] = true
	}
	out.Methods = slices.Sorted(maps.Keys(methods))
	return out
}

func readMethod(method string) bool { return method == "GET" || method == "HEAD" }

// shadows says whether an entry, tried before the table, would take requests from one
// of the table's that is more specific, or as specific.
func (r *Router) shadows(e *Entry) bool {
	p, err := parsePattern(e.Pattern)
	if err != nil {
		return true
	}
	for other := range r.Each {
		q, err := parsePattern(other.Pattern)
		if err == nil && shareMethod(e.Methods, other.Methods) && p.overlaps(q) && !p.before(q) {
			return true
		}
	}
	return false
}

func shareMethod(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}

// overlaps says whether a path may be of both patterns.
func (p *pattern) overlaps(q *pattern) bool {
	for i := range max(len(p.segments), len(q.segments)) {
		switch {
		case i >= len(p.segments):
			return p.rest != ""
		case i >= len(q.segments):
			return q.rest != ""
		case !p.segments[i].overlaps(&q.segments[i]):
			return false
		}
	}
	return (p.rest == "") == (q.rest == "") // a rest is never empty
}

func (s *segment) overlaps(other *segment) bool {
	if s.variable == "" {
		_, ok := other.match(s.literal)
		return ok
	}
	if other.variable == "" {
		return other.overlaps(s)
	}
	return true
}

// takes says whether a table serves one of some requests.
func takes(r *Router, all []Asked) bool {
	for i := range all {
		if e, err := r.Near(&line{all[i]}); err == nil && len(e) > 0 {
			return true
		}
	}
	return false
}

// line is a request of which the method and path matter alone.
type line struct{ Asked }

func (l *line) Method() string                    { return l.Asked.Method }
func (l *line) Path() string                      { return l.Asked.Path }
func (*line) Host() string                        { return "" }
func (*line) Scheme() string                      { return "" }
func (*line) Protocol() string                    { return "" }
func (*line) ID() string                          { return "" }
func (*line) Header(string) (string, int)         { return "", 0 }
func (*line) EachHeader(func(_, _ string) bool)   {}
func (*line) Body() authz.Body                    { return authz.Body{} }
func (*line) Extension(string) (string, bool)     { return "", false }
func (*line) Source() authz.Peer                  { return authz.Peer{} }
func (*line) Destination() authz.Peer             { return authz.Peer{} }
func (*line) Attributes() (map[string]any, error) { return nil, nil }
