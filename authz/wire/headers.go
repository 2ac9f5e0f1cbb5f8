package wire

import (
	"strings"
	"unicode/utf8"
)

// Header looks in both forms: Envoy fills headers, or header_map where it is
// told to send them raw. The value is the first in headers, or in header_map
// where headers have none.
func (r *Request) Header(name string) (value string, entries int) {
	inMap := false
	for i := range r.headers {
		h := &r.headers[i]
		if h.list == extensionsList || !r.beginsLike(h.name, name) || !foldsTo(r.text(h.name), name) || r.replaced(i) {
			continue
		}
		if entries == 0 || !inMap && h.list == headersList {
			value, inMap = r.value(h), h.list == headersList
		}
		entries++
	}
	return value, entries
}

// beginsLike rules out at once most headers that have another name.
func (r *Request) beginsLike(at span, name string) bool {
	if at.from == at.to || name == "" {
		return true
	}
	c := r.bytes[at.from]
	return c >= utf8.RuneSelf || (c^name[0])&^0x20 == 0
}

// EachHeader implements [authz.Request].
func (r *Request) EachHeader(yield func(name, value string) bool) {
	var seen map[string]int
	if len(r.headers) > manyHeaders {
		seen = r.last()
	}
	for _, l := range [...]list{headersList, headerMapList} {
		for i := range r.headers {
			h := &r.headers[i]
			if h.list != l {
				continue
			}
			if l == headersList && (seen != nil && seen[r.text(h.name)] != i || seen == nil && r.replaced(i)) {
				continue
			}
			if !yield(strings.ToLower(r.text(h.name)), r.value(h)) {
				return
			}
		}
	}
}

// manyHeaders are so many that a map finds repeated ones sooner than a search.
const manyHeaders = 64

// last is where the last entry of each key of the map is.
func (r *Request) last() map[string]int {
	at := make(map[string]int, len(r.headers))
	for i := range r.headers {
		if r.headers[i].list == headersList {
			at[r.text(r.headers[i].name)] = i
		}
	}
	return at
}

// Extension implements [authz.Request].
func (r *Request) Extension(key string) (value string, ok bool) {
	for i := range r.headers {
		if h := &r.headers[i]; h.list == extensionsList && r.text(h.name) == key {
			value, ok = r.text(h.value), true // the last one counts
		}
	}
	return value, ok
}

// replaced says whether a later entry of a map has the same key, and counts in
// place of this one.
func (r *Request) replaced(i int) bool {
	h := &r.headers[i]
	if h.list == headerMapList {
		return false
	}
	for j := i + 1; j < len(r.headers); j++ {
		if o := &r.headers[j]; o.list == h.list && o.name.to-o.name.from == h.name.to-h.name.from && r.text(o.name) == r.text(h.name) {
			return true
		}
	}
	return false
}

func (r *Request) value(h *header) string {
	if h.raw.from < h.raw.to {
		return r.text(h.raw)
	}
	return r.text(h.value)
}

// foldsTo says whether strings.ToLower makes name of key.
func foldsTo(key, name string) bool {
	for i := range len(key) {
		c := key[i]
		if c >= utf8.RuneSelf {
			return strings.ToLower(key) == name
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if i >= len(name) || c != name[i] {
			return false
		}
	}
	return len(key) == len(name)
}
