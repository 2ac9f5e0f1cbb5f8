package routing

import (
	"net/url"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

const (
	allowEncodedSlash = "encoded_slash"
	allowMatrix       = "matrix"
)

// MaxPath is the most bytes that a request target may have.
const MaxPath = 16 << 10

// target is a request target taken apart.
type target struct {
	// parts are the segments, without a trailing empty one. They are decoded: a
	// literal of the table is the same one when a letter of it was escaped, as
	// it is to the upstream.
	parts []string
	// encodedSlash and matrix mark forms that only some routes admit.
	encodedSlash, matrix bool
	rawQuery             string
	room                 [16]string // of parts
}

func malformed(detail string) error {
	return &authz.Refusal{Reason: authz.ReasonRequestMalformed, Detail: detail}
}

// parse judges a path as sent. What could be read in two ways is refused; see
// the attacks named in docs.
func (t *target) parse(raw string) error {
	if raw == "" {
		return malformed("the path is missing")
	}
	if len(raw) > MaxPath {
		return malformed("the path is too long")
	}
	path, query, _ := strings.Cut(raw, "?")
	if path == "" || path[0] != '/' {
		return malformed("the path does not begin with a slash")
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f {
			return malformed("the path holds a space, a control or a non-ASCII character")
		}
	}
	t.rawQuery = query
	if strings.ContainsAny(path, "\\#") || strings.Contains(query, "#") {
		return malformed("the path holds a backslash or a fragment")
	}
	t.matrix = strings.Contains(path, ";")
	if path == "/" {
		return nil
	}
	t.parts = t.room[:0]
	for part := range strings.SplitSeq(strings.TrimSuffix(path[1:], "/"), "/") {
		if err := t.checkPart(part); err != nil {
			return err
		}
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return malformed("the path holds a bad escape")
		}
		t.parts = append(t.parts, decoded)
	}
	return nil
}

func (t *target) checkPart(part string) error {
	bare, _, _ := strings.Cut(part, ";")
	if part == "" {
		return malformed("the path holds an empty segment")
	}
	decoded, err := url.PathUnescape(bare)
	if err != nil {
		return malformed("the path holds a bad escape")
	}
	if decoded == "." || decoded == ".." || bare == "" {
		return malformed("the path holds a dot segment")
	}
	for i := 0; i+2 < len(part); i++ {
		if part[i] != '%' {
			continue
		}
		switch strings.ToLower(part[i+1 : i+3]) {
		case "2f":
			t.encodedSlash = true
		case "5c", "2e", "00", "25":
			return malformed("the path holds an encoded backslash, dot, percent sign or NUL")
		default:
			if c := unhex(part[i+1])<<4 | unhex(part[i+2]); c < 0x20 || c == 0x7f || c >= 0x80 && !validUTF8(bare) {
				return malformed("the path holds an encoded control character or a bad encoding")
			}
		}
	}
	if t.encodedSlash {
		for _, sub := range strings.Split(decoded, "/") {
			if sub == "" || sub == "." || sub == ".." {
				return malformed("the path holds an empty or dot segment behind an encoded slash")
			}
		}
	}
	return nil
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0
}

func validUTF8(escaped string) bool {
	s, err := url.PathUnescape(escaped)
	return err == nil && strings.ToValidUTF8(s, "") == s
}

// query parses the query on demand. A semicolon or a bad escape is refused:
// readers differ about them.
func (t *target) query() (url.Values, error) {
	q, err := url.ParseQuery(t.rawQuery)
	if err != nil {
		return nil, malformed("the query holds a semicolon or a bad escape")
	}
	return q, nil
}
