package wire

import (
	"math"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// Show gives a message's attributes whole, as plain JSON values; see
// [authz.Request].
type Show func(message string) (map[string]any, error)

// ShowMetadata gives what a filter noted in a message envoy.config.core.v3.Metadata,
// as plain JSON values; nil where it noted nothing.
type ShowMetadata func(metadata, filter string) (map[string]any, error)

// Request is an [authz.Request] over the bytes of a CheckRequest. What it
// returns are parts of the message, which stays in memory as long as one of
// them is kept.
type Request struct {
	bytes string
	show  Show
	// fields are those of HttpRequest by their number.
	fields              [13]span
	size                int64
	source, destination peer
	http                bool
	metadata            []span // metadata_context, as often as it is there
	vouch               ShowMetadata
	body                []byte
	headers             []header
	first               [24]header // where headers begins, to make no other room for most requests
}

var (
	_ authz.Request = (*Request)(nil)
	_ authz.Vouched = (*Request)(nil)
)

// Size is the message's, in bytes. All that is read of a request is a part of
// the message, which never changes.
func (r *Request) Size() int { return len(r.bytes) }

// Again is the request read anew from its message, for another goroutine.
func (r *Request) Again() (authz.Request, error) {
	again, err := Parse(r.bytes, r.show)
	if err != nil {
		return nil, err
	}
	again.vouch = r.vouch
	return again, nil
}

// Numbers of HttpRequest's fields.
const (
	fieldID       = 1
	fieldMethod   = 2
	fieldPath     = 4
	fieldHost     = 5
	fieldScheme   = 6
	fieldProtocol = 10
	fieldBody     = 11
	fieldRawBody  = 12
)

// Parse reads a message. It fails where proto.Unmarshal would: malformed,
// truncated, a text that is not UTF-8, nested too deeply; and with [ErrTooMany]. show may
// be nil where nobody asks for [Request.Attributes].
func Parse(message string, show Show) (*Request, error) {
	r := &Request{bytes: message, show: show}
	r.headers = r.first[:0]
	if uint64(len(message)) > math.MaxUint32 {
		return nil, errMalformed // no frame of gRPC is longer
	}
	d := decoder{r}
	if err := d.message(checkRequest, 0, len(message), maxDepth); err != nil {
		return nil, err
	}
	return r, nil
}

// Describes says whether the message describes an HTTP request at all.
func (r *Request) Describes() bool { return r.http }

func (r *Request) text(at span) string { return r.bytes[at.from:at.to] }

// Method implements [authz.Request].
func (r *Request) Method() string { return r.text(r.fields[fieldMethod]) }

// Path implements [authz.Request].
func (r *Request) Path() string { return r.text(r.fields[fieldPath]) }

// Host implements [authz.Request].
func (r *Request) Host() string { return r.text(r.fields[fieldHost]) }

// Scheme implements [authz.Request].
func (r *Request) Scheme() string { return r.text(r.fields[fieldScheme]) }

// Protocol implements [authz.Request].
func (r *Request) Protocol() string { return r.text(r.fields[fieldProtocol]) }

// ID implements [authz.Request].
func (r *Request) ID() string { return r.text(r.fields[fieldID]) }

// Body is raw_body where Envoy packs it so, else body.
func (r *Request) Body() authz.Body {
	if r.body == nil {
		at := r.fields[fieldRawBody]
		if at.from == at.to {
			at = r.fields[fieldBody]
		}
		r.body = []byte(r.text(at))
	}
	b := authz.Body{Bytes: r.body}
	partial, entries := r.Header("x-envoy-auth-partial-body")
	b.Present = entries > 0 || len(b.Bytes) > 0
	b.Truncated = entries > 0 && !strings.EqualFold(partial, "false") || r.size > int64(len(b.Bytes))
	return b
}

// Source implements [authz.Request].
func (r *Request) Source() authz.Peer { return r.peer(&r.source) }

// Destination implements [authz.Request].
func (r *Request) Destination() authz.Peer { return r.peer(&r.destination) }

func (r *Request) peer(p *peer) authz.Peer {
	return authz.Peer{Address: r.text(p.address), Port: p.port, Principal: r.text(p.principal)}
}

// Attributes implements [authz.Request]: it decodes the whole message.
func (r *Request) Attributes() (map[string]any, error) { return r.show(r.bytes) }

// Vouch says that the connection's other end is one whose word on metadata
// counts, and how to read it.
func (r *Request) Vouch(show ShowMetadata) { r.vouch = show }

// Metadata implements [authz.Vouched].
func (r *Request) Metadata(filter string) (map[string]any, error) {
	if r.vouch == nil || len(r.metadata) == 0 {
		return nil, nil
	}
	if len(r.metadata) == 1 {
		return r.vouch(r.text(r.metadata[0]), filter)
	}
	var all strings.Builder
	for _, part := range r.metadata { // of a message that is there again, the parts are merged
		all.WriteString(r.text(part))
	}
	return r.vouch(all.String(), filter)
}
