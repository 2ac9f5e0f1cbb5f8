package canary

import (
	"bytes"
	"encoding/base64"
)

const (
	prefix = "ptl_"
	length = 42 // characters after it
)

// Holds says whether a text holds an issued secret: as it is, in the escapes of
// URLs or mails, or in base64, alone or within something longer, as Basic has
// "user:secret".
func Holds(text []byte) bool {
	return plain(text) || plain(unescaped(text)) || inBase64(joined(text))
}

func plain(text []byte) bool {
	for {
		i := bytes.Index(text, []byte(prefix))
		if i < 0 {
			return false
		}
		text = text[i+len(prefix):]
		n := 0
		for n < len(text) && alphanumeric(text[n]) {
			n++
		}
		if n >= length {
			return true
		}
	}
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// unescaped replaces %XX (RFC 3986) and =XX (quoted-printable, RFC 2045) by what
// they stand for, and takes out the latter's soft line breaks.
func unescaped(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '%' && c != '=' {
			out = append(out, c)
			continue
		}
		rest := text[i+1:]
		if c == '=' && bytes.HasPrefix(rest, []byte("\r\n")) {
			i += 2
			continue
		}
		if c == '=' && bytes.HasPrefix(rest, []byte("\n")) {
			i++
			continue
		}
		if len(rest) >= 2 && digit(rest[0]) >= 0 && digit(rest[1]) >= 0 {
			c = byte(digit(rest[0])<<4 | digit(rest[1]))
			i += 2
		}
		out = append(out, c)
	}
	return out
}

// digit is the value of a hexadecimal digit, or -1.
func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// joined is a text without its line breaks: mails wrap base64.
func joined(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, c := range text {
		if c != '\r' && c != '\n' {
			out = append(out, c)
		}
	}
	return out
}

// marks are what base64 makes of the prefix, one for each number of bytes (modulo
// 3) before it: those characters that depend on nothing else.
var marks = func() (all [3]struct {
	text []byte
	from int // which character of its group of four the mark begins with
},
) {
	for before := range all {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, before), prefix...))
		from := (before*8 + 5) / 6
		all[before].text, all[before].from = []byte(encoded[from:(before+len(prefix))*8/6]), from
	}
	return all
}()

// inBase64 looks for the prefix in base64, of either alphabet, and decodes what
// follows.
func inBase64(text []byte) bool {
	for _, m := range marks {
		for at := 0; ; at += len(m.text) {
			i := bytes.Index(text[at:], m.text)
			if i < 0 {
				break
			}
			at += i
			if at < m.from {
				continue
			}
			group := alphabet(text[at-m.from : min(len(text), at+80)])
			decoded := make([]byte, base64.RawStdEncoding.DecodedLen(len(group)))
			n, _ := base64.RawStdEncoding.Decode(decoded, group) // what could be decoded is what counts
			if plain(decoded[:n]) {
				return true
			}
		}
	}
	return false
}

// alphabet is the beginning of a text that base64 could be, in the standard
// alphabet.
func alphabet(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, c := range text {
		switch {
		case alphanumeric(c) || c == '+' || c == '/':
		case c == '-':
			c = '+'
		case c == '_':
			c = '/'
		default:
			return out
		}
		out = append(out, c)
	}
	return out
}
