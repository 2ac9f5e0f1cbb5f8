package record

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// kept are the headers that a record shows: those that say what kind of client
// asked. All others may hold what is nobody's business.
var kept = []string{"user-agent", "accept", "content-type", "content-length", "git-protocol", "x-forwarded-proto"}

// shortest is the length from which a word of a credential header is taken out
// of texts: shorter ones are in any text by chance.
const shortest = 8

// redactor takes the secrets of one request out of texts.
type redactor struct {
	pairs []string // what is replaced, and by what
	known func(string) string
}

func newRedactor(r authz.Request, headers []string, known func(string) string) redactor {
	var pairs []string
	for _, name := range headers {
		r.EachHeader(func(n, value string) bool {
			if n == name {
				for _, word := range words(value) {
					pairs = append(pairs, word, redacted)
					for _, escaped := range []string{url.QueryEscape(word), url.PathEscape(word)} {
						if escaped != word {
							pairs = append(pairs, escaped, redacted)
						}
					}
				}
			}
			return true
		})
	}
	return redactor{pairs, known}
}

const redacted = "[redacted]"

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

// text returns a copy of a text without what looks like a secret.
func (r redactor) text(s string) string { return strings.Clone(r.same(s)) }

// same returns a text without what looks like a secret, the text itself where
// there is none.
func (r redactor) same(s string) string {
	for i := 0; i < len(r.pairs); i += 2 {
		if strings.Contains(s, r.pairs[i]) { // in hardly any text, and a Replacer is not cheap to make
			s = strings.NewReplacer(r.pairs...).Replace(s)
			break
		}
	}
	if r.known != nil {
		s = r.known(s)
	}
	return s
}

// path returns a path without what looks like a secret, also where it is
// written in escapes.
func (r redactor) path(p string) string {
	plain := r.text(p)
	if decoded, err := url.PathUnescape(p); err == nil && plain == p && r.text(decoded) != decoded {
		return redacted
	}
	return plain
}

// plainName is a query parameter's name that is shown: no secret looks like it.
var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,31}$`)

// most cuts a text that is too long for a record.
func most(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// request shows what is kept of a request.
func (r redactor) request(q authz.Request, c authz.Client) Refused {
	path, query, _ := strings.Cut(q.Path(), "?")
	out := Refused{
		Method: most(r.text(q.Method()), 32), Path: most(r.path(path), 1024), Host: most(r.text(q.Host()), 255), Protocol: most(r.text(q.Protocol()), 16),
		Address: strings.Clone(c.Address), Network: strings.Clone(c.Network),
	}
	for pair := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(pair, "="); plainName.MatchString(name) && len(out.Query) < 20 {
			out.Query = append(out.Query, r.text(name))
		} else if pair != "" {
			out.MoreQuery = true
		}
	}
	for _, name := range kept {
		if value, n := q.Header(name); n > 0 {
			if out.Headers == nil {
				out.Headers = map[string]string{}
			}
			if out.Headers[name] = most(r.text(value), 200); n > 1 {
				out.Headers[name] += "…" // the first of them alone
			}
		}
	}
	return out
}
