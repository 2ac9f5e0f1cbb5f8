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
			out.words = append(out.words, words(value)...)
		}
		return true
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

// words are the parts of a credential header that may be a secret, whatever is
// wrong with it; of Basic also what it decodes to.
func words(value string) []string {
	var found []string
	add := func(w string) {
		w = strings.TrimRight(w, "=") // the rest is found with and without its padding
		if len(w) >= shortest {
			found = append(found, strings.Clone(w))
		}
	}
	for _, w := range strings.FieldsFunc(value, func(c rune) bool { return c <= ' ' || c == ',' || c == ';' || c == '"' }) {
		add(w)
		raw, err := base64.StdEncoding.DecodeString(w)
		if err != nil {
			raw, err = base64.RawStdEncoding.DecodeString(w)
		}
		if user, password, ok := strings.Cut(string(raw), ":"); err == nil && ok {
			add(user)
			add(password)
		}
	}
	return found
}
