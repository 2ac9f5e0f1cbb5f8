package telemetry

import (
	"encoding/base64"
	"strings"
)

// shortestBase64 is the length from which a run of base64 may hold a secret.
const shortestBase64 = 20

// mayHoldBase64 says whether a run of base64 is long enough. Slashes divide: most
// texts are paths.
func mayHoldBase64(text string) bool {
	run := 0
	for i := range len(text) {
		if !inAlphabet[text[i]] || text[i] == '/' {
			run = 0
		} else if run++; run >= shortestBase64 {
			return true
		}
	}
	return false
}

// inAlphabet are the characters of base64 in both alphabets (RFC 4648).
var inAlphabet = func() (is [256]bool) {
	for c := range is {
		is[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune("+/-_", rune(c))
	}
	return is
}()

// mark is what base64 makes of the beginning of a secret: those characters that
// depend on nothing before or after it.
type mark struct {
	text string
	from int // which character of its group of four it begins with
}

var marks = func() (all []mark) {
	for _, b := range []string{"ptl_", "hf_", "api_org_", "ghp_", "glpat-", "npm_"} {
		for before := range 3 {
			encoded := base64.StdEncoding.EncodeToString(append(make([]byte, before), b...))
			from := (before*8 + 5) / 6
			all = append(all, mark{encoded[from : (before+len(b))*8/6], from})
		}
	}
	return all
}()

// redactBase64 replaces runs of base64 in which a secret begins.
func redactBase64(text string) string {
	for _, m := range marks {
		for at := 0; ; {
			i := strings.Index(text[at:], m.text)
			if i < 0 {
				break
			}
			at += i
			if start, end, found := m.secretAt(text, at); found {
				text = text[:start] + redacted + text[end:]
				at = start
			}
			at += len(m.text)
			if at > len(text) {
				break
			}
		}
	}
	return text
}

// secretAt decodes what is around a mark, and says where the run of base64
// begins and ends if a secret is in it.
func (m mark) secretAt(text string, at int) (start, end int, found bool) {
	group := at - m.from
	if group < 0 {
		return 0, 0, false
	}
	for end = at; end < len(text) && inAlphabet[text[end]]; end++ {
	}
	run := []byte(strings.NewReplacer("-", "+", "_", "/").Replace(text[group:end]))
	decoded, _ := base64.RawStdEncoding.AppendDecode(nil, run) // as far as it is base64
	if !secrets.Match(decoded) {
		return 0, 0, false
	}
	for start = at; start > 0 && inAlphabet[text[start-1]] && text[start-1] != '/'; start-- {
	}
	for end < len(text) && text[end] == '=' {
		end++
	}
	return start, end, true
}
