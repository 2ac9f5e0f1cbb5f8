package credential

import (
	"net/url"
	"slices"
	"strings"
)

// CheckQuery refuses a token in a query string: it ends in logs and browser
// histories. rawQuery is the part behind the question mark. A token of a known
// format is found wherever it stands, in names and in values, also where it is
// escaped; one of another only as access_token (RFC 6750).
func CheckQuery(rawQuery string) error {
	for rest := rawQuery; rest != ""; {
		var pair string
		if pair, rest = cutPair(rest); namesToken(pair) {
			return malformed("the query holds access_token; send it in the header authorization")
		}
	}
	if holdsToken(rawQuery) {
		return malformed("the query holds a token; send it in the header authorization, and revoke it: it may be in logs")
	}
	return nil
}

// holdsToken says whether a token stands in a query, as it is or as its escapes
// are read, those within others too.
func holdsToken(query string) bool {
	if start, _ := FindToken(query, 0, true); start >= 0 {
		return true
	}
	return strings.IndexByte(query, '%') >= 0 && holdsEscapedToken(query)
}

func holdsEscapedToken(query string) bool {
	var room [512]byte // most queries fit, and take no other memory
	text := append(room[:0], query...)
	for range maxEscapes {
		n := unescape(text)
		if n == len(text) {
			return false
		}
		text = text[:n]
		if start, _ := FindToken(text, 0, true); start >= 0 {
			return true
		}
	}
	return false
}

// maxInQuery bounds the texts of one query string that are looked up.
const maxInQuery = 4

// InQuery returns what may be the secret for which [CheckQuery] refuses a query
// string, so that a token which leaked there can be found.
func InQuery(rawQuery string) []Secret {
	var found []string
	take := func(text string) {
		if text != "" && len(text) <= MaxLength && len(found) < maxInQuery && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	reading := []byte(rawQuery)
	for range maxEscapes + 1 {
		for start, end := FindToken(reading, 0, true); start >= 0; start, end = FindToken(reading, end, true) {
			token := string(reading[start:end])
			if len(token) > secretLength && Valid(token[:secretLength]) {
				token = token[:secretLength] // something else is written behind it
			}
			take(token)
		}
		reading = reading[:unescape(reading)]
	}
	for rest := rawQuery; rest != ""; {
		var pair string
		pair, rest = cutPair(rest)
		_, value, _ := strings.Cut(pair, "=")
		v, err := url.QueryUnescape(value)
		if err != nil {
			v = value
		}
		if start, _ := FindToken(v, 0, true); isToken68(v) && (start == 0 || namesToken(pair)) {
			take(v)
		}
	}
	secrets := make([]Secret, len(found))
	for i, text := range found {
		secrets[i] = Secret{text}
	}
	return secrets
}

// cutPair cuts at what divides pairs: "&", and ";" for those who read queries as
// HTML 4 has them.
func cutPair(query string) (pair, rest string) {
	for i := range len(query) {
		if query[i] == '&' || query[i] == ';' {
			return query[:i], query[i+1:]
		}
	}
	return query, ""
}

// namesToken says whether a pair's name is access_token.
func namesToken(pair string) bool {
	const accessToken = "access_token"
	name, _, _ := strings.Cut(pair, "=")
	if len(name) < len(accessToken) {
		return false
	}
	if strings.IndexByte(name, '%') >= 0 {
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
	}
	return strings.EqualFold(name, accessToken)
}

// maxEscapes is how many times escapes are read, one in the other: what is escaped
// more often is nobody's mistake. A plus sign stays: no token has a space.
const maxEscapes = 3

// unescape replaces each %XX in place, leaves what is none, and says how long the
// text is then.
func unescape(text []byte) int {
	n := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' && i+2 < len(text) && hexDigit(text[i+1]) >= 0 && hexDigit(text[i+2]) >= 0 {
			c = byte(hexDigit(text[i+1])<<4 | hexDigit(text[i+2]))
			i += 2
		}
		text[n] = c
		n++
	}
	return n
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
