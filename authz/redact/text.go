package redact

import (
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz/credential"
)

// Redacted stands in the place of what was taken out.
const Redacted = "[redacted]"

// Text replaces what looks like a credential in a text: a token of a known format
// (credential.Formats) wherever it stands, what follows Bearer or Basic, both also
// in the escapes of URLs, and tokens in base64, as Basic has them.
func Text(text string) string { return Request{}.Text(text) }

// Request takes the secrets of one request out of texts.
type Request struct {
	words []string // that the request sent as a credential
}

// Text replaces in a text what [Text] does, and each word that the request sent as
// a credential. It returns the text itself where there is nothing to replace. It is
// for paths, too, of which no part may be shown in escapes.
func (r Request) Text(text string) string {
	found := r.find(nil, text, nil)
	for reading := (&reading{text: text}); reading.next(); {
		found = r.find(found, reading.text, reading.from)
	}
	if len(found) == 0 {
		return text
	}
	return without(text, found)
}

// span is a part of a text.
type span struct{ start, end int }

// find adds where secrets are in a text. from says where its bytes were read from;
// nil: it is the text itself.
func (r Request) find(found []span, text string, from []int) []span {
	add := func(start, end int) {
		if from != nil {
			start, end = from[start], from[end]
		}
		found = append(found, span{start, end})
	}
	for _, word := range r.words {
		for at := strings.Index(text, word); at >= 0; {
			add(at, at+len(word))
			next := strings.Index(text[at+len(word):], word)
			if next < 0 {
				break
			}
			at += len(word) + next
		}
	}
	for start, end := credential.FindToken(text, 0, false); start >= 0; start, end = credential.FindToken(text, end, false) {
		for end < len(text) && inToken[text[end]] { // nobody knows where it ends
			end++
		}
		add(start, end)
	}
	for start, end := scheme(text, 0); start >= 0; start, end = scheme(text, end) {
		add(start, end)
	}
	if mayHoldBase64(text) {
		eachInBase64(text, add)
	}
	return found
}

// leastBehindScheme is how many characters a credential has at least that a scheme
// goes before.
const leastBehindScheme = 8

// scheme finds the first "Bearer" or "Basic", in any case, that a credential
// follows, from an offset on.
func scheme(text string, from int) (start, end int) {
	for start = from; start+len("basic ")+leastBehindScheme <= len(text); start++ {
		if text[start]|0x20 != 'b' || start > 0 && isWord[text[start-1]] {
			continue
		}
		for _, name := range [...]string{"bearer ", "basic "} {
			end = start + len(name)
			if end > len(text) || !strings.EqualFold(text[start:end], name) {
				continue
			}
			for end < len(text) && text[end] == ' ' {
				end++
			}
			begin := end
			for end < len(text) && inToken68[text[end]] {
				end++
			}
			if end-begin >= leastBehindScheme {
				return start, end
			}
		}
	}
	return -1, -1
}

var (
	isWord    = characters("")
	inToken   = characters("-_")
	inToken68 = characters("-._~+/=") // RFC 6750
)

// characters are letters, digits and further ones.
func characters(further string) (in [256]bool) {
	for c := range in {
		in[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(further, byte(c)) >= 0
	}
	return in
}

// without replaces spans of a text, those that overlap together.
func without(text string, found []span) string {
	slices.SortFunc(found, func(a, b span) int { return a.start - b.start })
	var out strings.Builder
	done := 0
	for i := 0; i < len(found); {
		start, end := found[i].start, found[i].end
		for i++; i < len(found) && found[i].start < end; i++ {
			end = max(end, found[i].end)
		}
		out.WriteString(text[done:start])
		out.WriteString(Redacted)
		done = end
	}
	out.WriteString(text[done:])
	return out.String()
}
