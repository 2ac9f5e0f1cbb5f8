package redact

import "strings"

// mostReadings is how many times escapes are read, one in the other.
const mostReadings = 3

// reading is a text with the escapes of URLs (RFC 3986) read, and where each of its
// bytes came from.
type reading struct {
	text  string
	from  []int // of each byte, and of the end
	times int
}

// next reads the escapes once more, and says whether there were any.
func (r *reading) next() bool {
	if r.times == mostReadings || strings.IndexByte(r.text, '%') < 0 {
		return false
	}
	r.times++
	text, from := make([]byte, 0, len(r.text)), make([]int, 0, len(r.text)+1)
	for i := 0; i < len(r.text); i++ {
		at, c := i, r.text[i]
		if high, low := digitAt(r.text, i+1), digitAt(r.text, i+2); c == '%' && high >= 0 && low >= 0 {
			c = byte(high<<4 | low)
			i += 2
		}
		text, from = append(text, c), append(from, r.origin(at))
	}
	if len(text) == len(r.text) {
		return false
	}
	r.from = append(from, r.origin(len(r.text)))
	r.text = string(text)
	return true
}

// origin says where a byte was in the text as it was given.
func (r *reading) origin(at int) int {
	if r.from == nil {
		return at
	}
	return r.from[at]
}

// digitAt is the value of a hexadecimal digit, or -1.
func digitAt(text string, at int) int {
	if at >= len(text) {
		return -1
	}
	switch c := text[at]; {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
