package authz

// Request is a view of one request that Envoy asks about. The pipeline reads
// attributes on demand, so that an implementation may decode no more of the
// CheckRequest than the policy asks for. A Request is valid until the answer
// has been made, and is used by one goroutine at a time.
//
// See envoy/service/auth/v3/attribute_context.proto for what each field holds.
type Request interface {
	// Method is the HTTP method as sent, for example "GET".
	Method() string
	// Path is the request target as sent, with its query.
	Path() string
	// Host is the authority as sent, port and case included.
	Host() string
	// Scheme is "http" or "https", or empty.
	Scheme() string
	// Protocol is for example "HTTP/1.1".
	Protocol() string
	// ID is the identifier that Envoy gave the HTTP request.
	ID() string
	// Header returns the value of a header and how many entries carry it.
	// The name is given in lower case. Envoy joins repeated headers with a
	// comma in its string mode and keeps them apart in raw mode: a reader that
	// must not be deceived checks for both.
	Header(name string) (value string, entries int)
	// EachHeader calls yield for every header entry, names in lower case,
	// until yield returns false.
	EachHeader(yield func(name, value string) bool)
	// Body returns what Envoy sent of the request's body.
	Body() Body
	// Extension returns a value of Envoy's per-route context_extensions.
	Extension(key string) (string, bool)
	// Source and Destination are the two ends of the connection.
	Source() Peer
	Destination() Peer
	// Attributes returns the whole AttributeContext as plain JSON values
	// (map[string]any, []any, string, json.Number, bool, nil) in protojson's
	// shape, as opa-envoy-plugin shows it under input.attributes. It is
	// costly; credentials are not redacted.
	Attributes() (map[string]any, error)
}

// Body is what Envoy sent of a request's body.
type Body struct {
	// Bytes is the body, or its beginning.
	Bytes []byte
	// Present tells an empty body from one that Envoy was not asked to send.
	Present bool
	// Truncated says that the body went on beyond Bytes
	// (x-envoy-auth-partial-body).
	Truncated bool
}

// Peer is one end of the client's connection.
type Peer struct {
	// Address is an IP address, or empty for a pipe.
	Address string
	Port    uint32
	// Principal is the authenticated identity, such as a SPIFFE id.
	Principal string
}
