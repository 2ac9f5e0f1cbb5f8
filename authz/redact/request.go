package redact

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// Headers are the names of those that may hold a credential, beside authorization,
// proxy-authorization and cookie, which always may.
type Headers []string

// Of returns what takes the secrets of a request out of texts. It holds copies.
func (h Headers) Of(r authz.Request) Request {
	var out Request
	r.EachHeader(func(name, value string) bool {
		if h.has(name) {
			out.take(value)
		}
		return !out.all
	})
	return out
}

func (h Headers) has(name string) bool {
	switch name {
	case "authorization", "proxy-authorization", "cookie":
		return true
	}
	return slices.ContainsFunc(h, func(further string) bool { return strings.EqualFold(further, name) })
}

// shortest is the length from which a word of a credential header is taken out of
// texts: shorter ones are in any text by chance.
const shortest = 8

// take adds the parts of a credential header that may be a secret, whatever is wrong
// with it; of a cookie or a parameter its value too, and of Basic what it decodes to.
func (r *Request) take(value string) {
	for w := range strings.FieldsFuncSeq(value, func(c rune) bool { return c <= ' ' || c == ',' || c == ';' || c == '"' }) {
		if r.add(w); r.all {
			return
		}
		if _, behind, ok := strings.Cut(w, "="); ok {
			r.add(behind)
		}
		raw, err := base64.StdEncoding.DecodeString(w)
		if err != nil {
			raw, err = base64.RawStdEncoding.DecodeString(w)
		}
		if user, password, ok := strings.Cut(string(raw), ":"); err == nil && ok {
			r.add(user)
			r.add(password)
		}
	}
}

// add adds a word, once.
func (r *Request) add(w string) {
	w = strings.TrimRight(w, "=") // the rest is found with and without its padding
	if len(w) < shortest || slices.Contains(r.words, w) {
		return
	}
	if len(r.words) == mostWords {
		r.words, r.all = nil, true
	}
	if !r.all {
		r.words = append(r.words, strings.Clone(w))
	}
}
