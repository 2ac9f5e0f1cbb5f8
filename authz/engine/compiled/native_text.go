package compiled

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

var _ = registerNatives(map[string]func() native{
	"trim_prefix": onTexts(func(x, y string) Value { return Text(strings.TrimPrefix(x, y)) }),
	"trim_suffix": onTexts(func(x, y string) Value { return Text(strings.TrimSuffix(x, y)) }),
	"trim":        onTexts(func(x, y string) Value { return Text(strings.Trim(x, y)) }),
	"trim_left":   onTexts(func(x, y string) Value { return Text(strings.TrimLeft(x, y)) }),
	"trim_right":  onTexts(func(x, y string) Value { return Text(strings.TrimRight(x, y)) }),
	"startswith":  onTexts(func(x, y string) Value { return Boolean(strings.HasPrefix(x, y)) }),
	"endswith":    onTexts(func(x, y string) Value { return Boolean(strings.HasSuffix(x, y)) }),
	"contains":    onTexts(func(x, y string) Value { return Boolean(strings.Contains(x, y)) }),
	"trim_space":  onText(func(s string) Value { return Text(strings.TrimSpace(s)) }),
	"lower":       onText(func(s string) Value { return Text(strings.ToLower(s)) }),
	"upper":       onText(func(s string) Value { return Text(strings.ToUpper(s)) }),
	"split":       stateless(split),
	"concat":      stateless(concat),
	"sprintf":     stateless(sprintf),
	"substring":   stateless(substring),
})

func split(m *Machine, a []Value) (Value, bool) {
	if a[0].Kind() != Str || a[1].Kind() != Str || a[1].Str() == "" {
		return notPlain()
	}
	s, by := a[0].Str(), a[1].Str()
	parts := m.newArray(strings.Count(s, by) + 1)
	for {
		part, rest, more := strings.Cut(s, by)
		parts.elems = append(parts.elems, Text(part))
		if !more {
			return arrayValue(parts), true
		}
		s = rest
	}
}

func concat(_ *Machine, a []Value) (Value, bool) {
	parts, ok := elements(a[1])
	if a[0].Kind() != Str || !ok {
		return notPlain()
	}
	between := a[0].Str()
	size := 0
	for _, p := range parts {
		if p.Kind() != Str {
			return notPlain()
		}
		size += len(p.Str()) + len(between)
	}
	const large = 1 << 16 // OPA's own looks whether it was cancelled
	switch {
	case size > large:
		return notPlain()
	case len(parts) == 0:
		return EmptyText, true
	case len(parts) == 1:
		return parts[0], true
	}
	var b strings.Builder
	b.Grow(size)
	for i, p := range parts {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(p.Str())
	}
	return Text(b.String()), true
}

// sprintf knows %s and %v of strings, %d and %v of integers.
func sprintf(_ *Machine, a []Value) (Value, bool) {
	if a[0].Kind() != Str || a[1].Kind() != Arr {
		return notPlain()
	}
	format, args := a[0].Str(), a[1].array().elems
	const room = 32
	out := make([]byte, 0, len(format)+room)
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out = append(out, format[i])
			continue
		}
		i++
		if i < len(format) && format[i] == '%' {
			out = append(out, '%')
			continue
		}
		if i == len(format) || len(args) == 0 {
			return notPlain()
		}
		var ok bool
		if out, ok = appendArgument(out, format[i], args[0]); !ok {
			return notPlain()
		}
		args = args[1:]
	}
	return Text(string(out)), len(args) == 0
}

func appendArgument(out []byte, verb byte, v Value) ([]byte, bool) {
	switch {
	case v.Kind() == Str && (verb == 's' || verb == 'v'):
		return append(out, v.Str()...), true
	case v.Kind() == Int && (verb == 'd' || verb == 'v'):
		return strconv.AppendInt(out, v.Int(), 10), true
	}
	return out, false
}

// substring knows ASCII text, where bytes are characters.
func substring(_ *Machine, a []Value) (Value, bool) {
	if a[0].Kind() != Str || a[1].Kind() != Int || a[2].Kind() != Int || a[1].Int() < 0 {
		return notPlain()
	}
	s, from, n := a[0].Str(), a[1].Int(), a[2].Int()
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return notPlain()
		}
	}
	if from >= int64(len(s)) {
		return EmptyText, true
	}
	s = s[from:]
	if n >= 0 && n < int64(len(s)) {
		s = s[:n]
	}
	return Text(s), true
}
