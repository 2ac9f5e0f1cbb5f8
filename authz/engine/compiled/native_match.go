package compiled

import (
	"regexp"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/gobwas/glob"
)

var _ = registerNatives(map[string]func() native{
	"regex.match": regexMatch,
	"glob.match":  globMatch,
})

// pattern is a compiled pattern and what it was compiled of. Each call in a
// program keeps the last one: patterns are constants nearly always.
type pattern[T any] struct {
	text       string
	delimiters Value
	compiled   T
}

func regexMatch() native {
	var last atomic.Pointer[pattern[*regexp.Regexp]]
	return func(_ *Machine, a []Value) (Value, bool) {
		if a[0].Kind() != Str || a[1].Kind() != Str {
			return notPlain()
		}
		p := last.Load()
		if p == nil || p.text != a[0].Str() {
			re, err := regexp.Compile(a[0].Str())
			if err != nil {
				return notPlain()
			}
			p = &pattern[*regexp.Regexp]{text: strings.Clone(a[0].Str()), compiled: re}
			last.Store(p)
		}
		return Boolean(p.compiled.MatchString(a[1].Str())), true
	}
}

func globMatch() native {
	var last atomic.Pointer[pattern[*glob.Pattern]]
	return func(_ *Machine, a []Value) (Value, bool) {
		if a[0].Kind() != Str || a[2].Kind() != Str {
			return notPlain()
		}
		p := last.Load()
		if p == nil || p.text != a[0].Str() || !Equal(p.delimiters, a[1]) {
			delimiters, ok := runes(a[1])
			if !ok {
				return notPlain()
			}
			g, err := glob.Compile(a[0].Str(), delimiters...)
			if err != nil {
				return notPlain()
			}
			p = &pattern[*glob.Pattern]{strings.Clone(a[0].Str()), NewInterner().freezeValue(a[1]), g}
			last.Store(p)
		}
		return Boolean(p.compiled.Match(a[2].Str())), true
	}
}

// runes reads a glob's delimiters: none for null, a dot for an empty list.
func runes(v Value) ([]rune, bool) {
	if v.Kind() == Null {
		return nil, true
	}
	if v.Kind() != Arr {
		return nil, false
	}
	if len(v.array().elems) == 0 {
		return []rune{'.'}, true
	}
	var out []rune
	for _, e := range v.array().elems {
		if e.Kind() != Str || utf8.RuneCountInString(e.Str()) != 1 {
			return nil, false
		}
		r, _ := utf8.DecodeRuneInString(e.Str())
		out = append(out, r)
	}
	return out, true
}
