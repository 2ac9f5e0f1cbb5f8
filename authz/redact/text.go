package redact

import (
	"strings"
	"unicode/utf8"

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
	words []string // that the request sent as a credential, each once
	// all: there were too many of them, and nothing is shown.
	all bool
}

// What is looked for and where is bounded: who asks chooses both.
const (
	// mostWords is how many words of a request's credential headers are looked for.
	mostWords = 256
	// longestKey is how much of a word has to be there for it to be found, in bytes.
	longestKey = 256
	// longest is how much of a text such words are looked for in, in bytes.
	longest = 4096
)

// Text replaces in a text what [Text] does, and each word that the request sent as
// a credential. It returns the text itself where there is nothing to replace. It is
// for paths, too, of which no part may be shown in escapes. Of a request with a
// credential a text of more than 4,096 bytes is replaced as a whole; see
// [Request.Beginning].
func (r Request) Text(text string) string {
	if r.all && len(text) >= shortest || len(r.words) > 0 && len(text) > longest {
		return Redacted
	}
	found := cover{size: len(text)}
	r.cover(&found, text)
	return found.out(text)
}

// Beginning is what [Request.Text] makes of a text's beginning, at most so many bytes
// and an ellipsis where there is more.
func (r Request) Beginning(text string, most int) string {
	end := min(len(text), longest)
	for end < len(text) && end > longest-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	window := text[:end]
	if r.all && len(text) >= shortest {
		return Redacted
	}
	found := cover{size: end}
	r.cover(&found, window)
	if end < len(text) {
		found.add(end-longestKey, end) // of a word that goes on no beginning is shown
	}
	out := found.out(window)
	if len(out) > most {
		return strings.ToValidUTF8(out[:most], "") + "…"
	}
	if end < len(text) {
		out += "…"
	}
	return out
}

// cover says of each byte of a text whether it is taken out; nil: of none.
type cover struct {
	bytes []bool
	size  int
}

func (c *cover) add(start, end int) {
	if c.bytes == nil {
		c.bytes = make([]bool, c.size)
	}
	for i := start; i < end; i++ {
		c.bytes[i] = true
	}
}

// out is the text without what is covered.
func (c *cover) out(text string) string {
	if c.bytes == nil {
		return text
	}
	var out strings.Builder
	for i := range len(text) {
		if !c.bytes[i] {
			out.WriteByte(text[i])
		} else if i == 0 || !c.bytes[i-1] {
			out.WriteString(Redacted)
		}
	}
	return out.String()
}

// cover covers where secrets are in a text, in its escapes too.
func (r Request) cover(found *cover, text string) {
	r.find(text, func(start, end int) { found.add(start, end) })
	for reading := (reading{text: text}); reading.next(); {
		r.find(reading.text, func(start, end int) { found.add(reading.from[start], reading.from[end]) })
	}
}

// find tells where secrets are in a text.
func (r Request) find(text string, tell func(start, end int)) {
	for _, word := range r.words {
		key := word[:min(len(word), longestKey)]
		for at := strings.Index(text, key); at >= 0; {
			end := at + len(key)
			for end < len(text) && end-at < len(word) && text[end] == word[end-at] {
				end++
			}
			tell(at, end)
			next := strings.Index(text[end:], key)
			if next < 0 {
				break
			}
			at = end + next
		}
	}
	for start, end := credential.FindToken(text, 0, false); start >= 0; start, end = credential.FindToken(text, end, false) {
		for end < len(text) && inToken[text[end]] { // nobody knows where it ends
			end++
		}
		tell(start, end)
	}
	for start, end := scheme(text, 0); start >= 0; start, end = scheme(text, end) {
		tell(start, end)
	}
	if mayHoldBase64(text) {
		eachInBase64(text, tell)
	}
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
