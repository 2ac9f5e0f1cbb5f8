package routing

import (
	"fmt"
	"strings"
)

// pattern is a parsed path pattern.
type pattern struct {
	segments []segment
	rest     string // name of a final {rest...}, "" if none
}

// segment is a literal, or a variable with literal affixes.
type segment struct {
	literal        string
	prefix, suffix string
	variable       string // "" for a literal
}

func (p *pattern) has(name string) bool {
	for _, s := range p.segments {
		if s.variable == name && name != "" {
			return true
		}
	}
	return p.rest != "" && p.rest == name
}

func parsePattern(text string) (*pattern, error) {
	if !strings.HasPrefix(text, "/") {
		return nil, fmt.Errorf("pattern %q must begin with a slash", text)
	}
	p := &pattern{}
	if text == "/" {
		return p, nil
	}
	parts := strings.Split(text[1:], "/")
	for i, part := range parts {
		open := strings.IndexByte(part, '{')
		if open < 0 {
			if part == "" || strings.Contains(part, "}") {
				return nil, fmt.Errorf("pattern %q: segment %d is empty or has a stray brace", text, i+1)
			}
			p.segments = append(p.segments, segment{literal: part})
			continue
		}
		length := strings.IndexByte(part[open:], '}')
		if length < 0 {
			return nil, fmt.Errorf("pattern %q: a brace is not closed", text)
		}
		name, suffix := part[open+1:open+length], part[open+length+1:]
		if rest, ok := strings.CutSuffix(name, "..."); ok {
			if i != len(parts)-1 || open != 0 || suffix != "" {
				return nil, fmt.Errorf("pattern %q: {%s} must be the whole last segment", text, name)
			}
			name, p.rest = rest, rest
		} else {
			p.segments = append(p.segments, segment{prefix: part[:open], suffix: suffix, variable: name})
		}
		if name == "" || strings.ContainsAny(name+suffix, "{}") {
			return nil, fmt.Errorf("pattern %q: a segment has one {name}", text)
		}
	}
	return p, nil
}

// match compares a segment with a part of the path and gives the variable's
// value. A variable is never empty.
func (s *segment) match(part string) (string, bool) {
	if s.variable == "" {
		return "", part == s.literal
	}
	if len(part) <= len(s.prefix)+len(s.suffix) || !strings.HasPrefix(part, s.prefix) || !strings.HasSuffix(part, s.suffix) {
		return "", false
	}
	return part[len(s.prefix) : len(part)-len(s.suffix)], true
}

// weight orders segments: a literal beats an affixed variable, which beats a
// bare one; {rest...} comes last.
func (s *segment) weight() int {
	switch {
	case s.variable == "":
		return 3
	case s.prefix != "" || s.suffix != "":
		return 2
	default:
		return 1
	}
}

// before says whether p is more specific than q, segment by segment.
func (p *pattern) before(q *pattern) bool {
	for i := range max(len(p.segments), len(q.segments)) {
		a, b := p.weightAt(i), q.weightAt(i)
		if a != b {
			return a > b
		}
	}
	return p.rest == "" && q.rest != ""
}

func (p *pattern) weightAt(i int) int {
	if i < len(p.segments) {
		return p.segments[i].weight()
	}
	return 0
}

func (p *pattern) matchParts(parts []string, vars variables) (variables, bool) {
	if len(parts) < len(p.segments) || p.rest == "" && len(parts) != len(p.segments) || p.rest != "" && len(parts) == len(p.segments) {
		return vars, false
	}
	for i := range p.segments {
		s := &p.segments[i]
		value, ok := s.match(parts[i])
		if !ok {
			return vars, false
		}
		if s.variable != "" {
			vars = append(vars, variable{s.variable, value})
		}
	}
	if p.rest != "" {
		vars = append(vars, variable{p.rest, strings.Join(parts[len(p.segments):], "/")})
	}
	return vars, true
}
