package routing

import "strings"

// variables are what a pattern's variables stand for in a path. There are few:
// a list is sooner searched than a map is made.
type variables []variable

type variable struct{ name, value string }

func (v variables) get(name string) string {
	for i := len(v) - 1; i >= 0; i-- { // of two of one name the later counts
		if v[i].name == name {
			return v[i].value
		}
	}
	return ""
}

// text is a template taken apart: literals, and {variables} between them.
type text []textPart

type textPart struct{ literal, variable string }

// parseText takes a template apart. What is no variable of the pattern stays
// as it is, braces included.
func parseText(template string, p *pattern) (t text) {
	literal := 0
	for at := 0; at < len(template); at++ {
		if template[at] != '{' {
			continue
		}
		end := strings.IndexByte(template[at:], '}')
		if end < 0 {
			break
		}
		name := template[at+1 : at+end]
		if !p.has(name) {
			continue
		}
		t = append(t, textPart{literal: template[literal:at], variable: name})
		at += end
		literal = at + 1
	}
	return append(t, textPart{literal: template[literal:]})
}

// fill puts the variables in, in one pass: a value that looks like a variable
// stays as it is.
func (t text) fill(v variables) string {
	length := 0
	for _, p := range t {
		length += len(p.literal) + len(v.get(p.variable))
	}
	var b strings.Builder
	b.Grow(length)
	for _, p := range t {
		b.WriteString(p.literal)
		if p.variable != "" {
			b.WriteString(v.get(p.variable))
		}
	}
	return b.String()
}
