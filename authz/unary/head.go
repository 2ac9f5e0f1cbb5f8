package unary

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
)

const (
	// maxHead bounds a header block as it comes, and the list that it makes.
	maxHead = 64 << 10
	// tableSize is that of the header compression's table, HTTP/2's default.
	tableSize = 4096
)

// head is what is read of a request's header block.
type head struct {
	method, path, scheme string
	contentType, timeout string
	length               int64 // by content-length; -1: not told
	seen                 pseudo
	regular              bool // fields have begun that are no pseudo-header
	malformed            bool // RFC 9113, 8.1.1
	size                 int  // of the block, as it came
	list                 int  // of the list, by RFC 9113, 6.5.2
}

// pseudo are the pseudo-header fields that were seen.
type pseudo uint8

const (
	seenMethod pseudo = 1 << iota
	seenPath
	seenScheme
	seenAuthority
)

// field takes one field of the list.
func (h *head) field(f hpack.HeaderField) {
	if h.list += len(f.Name) + len(f.Value) + 32; h.list > maxHead {
		return // it ends the connection
	}
	if strings.HasPrefix(f.Name, ":") {
		h.pseudo(f.Name, f.Value)
		return
	}
	h.regular = true
	switch f.Name {
	case "content-type":
		h.contentType = f.Value
	case "grpc-timeout":
		h.timeout = f.Value
	case "content-length":
		n, err := strconv.ParseInt(f.Value, 10, 64)
		h.malformed = h.malformed || err != nil || n < 0 || h.length >= 0 && n != h.length
		h.length = n
	case "te":
		h.malformed = h.malformed || f.Value != "trailers"
	case "", "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		h.malformed = true
	default:
		for i := range len(f.Name) {
			if c := f.Name[i]; c >= 'A' && c <= 'Z' || c <= ' ' || c >= 0x7f {
				h.malformed = true
			}
		}
	}
	h.malformed = h.malformed || strings.ContainsAny(f.Value, "\x00\r\n")
}

func (h *head) pseudo(name, value string) {
	var which pseudo
	switch name {
	case ":method":
		which, h.method = seenMethod, value
	case ":path":
		which, h.path = seenPath, value
	case ":scheme":
		which, h.scheme = seenScheme, value
	case ":authority":
		which = seenAuthority
	default:
		h.malformed = true
	}
	h.malformed = h.malformed || h.regular || h.seen&which != 0
	h.seen |= which
}

// whole says whether the list is that of a request.
func (h *head) whole() bool {
	const all = seenMethod | seenPath | seenScheme
	return !h.malformed && h.seen&all == all && h.method != "" && h.path != "" && h.scheme != ""
}

// units are those of grpc-timeout.
var units = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// maxTimeout is taken for what is longer: nobody waits so long.
const maxTimeout = 24 * time.Hour

// timeoutOf reads a grpc-timeout: at most eight digits and a unit.
func timeoutOf(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	unit, ok := units[s[len(s)-1]]
	n := time.Duration(0)
	for i := range len(s) - 1 {
		c := s[i]
		ok = ok && c >= '0' && c <= '9'
		n = n*10 + time.Duration(c-'0')
	}
	if !ok {
		return 0, false
	}
	if n > maxTimeout/unit {
		return maxTimeout, true
	}
	return n * unit, true
}
