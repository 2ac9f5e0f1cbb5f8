package redact

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz/credential"
)

// shortestBase64 is the length from which a run of base64 may hold a secret.
const shortestBase64 = 20

// mayHoldBase64 says whether a run of base64 is long enough and has an upper-case
// letter, as nearly each mark has: ids and hexadecimal digests have none. Slashes
// divide: most texts are paths, and base64 makes none of a token's characters.
func mayHoldBase64(text string) bool {
	run, upper, long := 0, false, false
	for i := range len(text) {
		c := text[i]
		if !inAlphabet[c] || c == '/' {
			run, upper = 0, false
			continue
		}
		run++
		upper = upper || c >= 'A' && c <= 'Z'
		if run >= shortestBase64 {
			if long = true; upper {
				return true
			}
		}
	}
	return long && slices.ContainsFunc(lowerMarks, func(m string) bool { return strings.Contains(text, m) })
}

// inAlphabet are the characters of base64 in both alphabets (RFC 4648).
var inAlphabet = characters("+/-_")

// mark is what base64 makes of the beginning of a secret: those characters that
// depend on nothing before or after it.
type mark struct {
	text string
	from int // which character of its group of four it begins with
}

// marks are those of all formats, one for each number of bytes (modulo 3) before
// it. The shorter a prefix, the more often its marks are there by chance; what is
// around is decoded then, and no token found.
var marks = func() (all []mark) {
	for _, f := range credential.Formats() {
		for before := range 3 {
			encoded := base64.StdEncoding.EncodeToString(append(make([]byte, before), f.Prefix...))
			from := (before*8 + 5) / 6
			all = append(all, mark{encoded[from : (before+len(f.Prefix))*8/6], from})
		}
	}
	return all
}()

// lowerMarks are those without an upper-case letter.
var lowerMarks = func() (all []string) {
	for _, m := range marks {
		if strings.ToLower(m.text) == m.text {
			all = append(all, m.text)
		}
	}
	return all
}()

// eachInBase64 tells of the runs of base64 in which a secret begins.
func eachInBase64(text string, tell func(start, end int)) {
	for _, m := range marks {
		for at := 0; ; {
			i := strings.Index(text[at:], m.text)
			if i < 0 {
				break
			}
			at += i
			if start, end, found := m.secretAt(text, at); found {
				tell(start, end)
				at = end
			} else {
				at += len(m.text)
			}
		}
	}
}

// longestGlance is how much of base64 is decoded to see whether a token begins there.
const longestGlance = 64

// secretAt decodes what is around a mark, and says where the run of base64
// begins and ends if a secret begins there.
func (m mark) secretAt(text string, at int) (start, end int, found bool) {
	group := at - m.from
	if group < 0 {
		return 0, 0, false
	}
	var run, decoded [longestGlance]byte
	n := copy(run[:], text[group:])
	for i, c := range run[:n] {
		switch c {
		case '-':
			run[i] = '+'
		case '_':
			run[i] = '/'
		}
	}
	n, _ = base64.RawStdEncoding.Decode(decoded[:], run[:n]) // as far as it is base64
	if token, _ := credential.FindToken(decoded[:n], 0, false); token < 0 {
		return 0, 0, false
	}
	end = at
	for end < len(text) && inAlphabet[text[end]] {
		end++
	}
	for start = at; start > 0 && inAlphabet[text[start-1]] && text[start-1] != '/'; start-- {
	}
	for end < len(text) && text[end] == '=' {
		end++
	}
	return start, end, true
}
