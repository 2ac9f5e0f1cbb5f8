package wire

// kind is how a field is encoded, and what is checked of it.
type kind uint8

const (
	unknown kind = iota
	varint       // int32, int64, uint32, bool, enum
	fixed64      // double
	text         // string: has to be UTF-8
	octets       // bytes
	submessage
	mapEntry // of a map: a submessage with a key and a value
)

// message describes a message: its fields by number. What is not described is
// unknown, and only has to be well-formed.
type message struct {
	name   string
	fields []field
	role   role
}

type field struct {
	kind    kind
	message *message // of a submessage and a map's entry
}

// role says what is noted of a message, see notes.go.
type role uint8

const (
	noRole role = iota
	attributesRole
	requestRole
	httpRole
	headerMapRole
	entryRole
	sourceRole // and the two after it for its address and socket
	_
	_
	destinationRole
	_
	_
)

var checkRequest = &message{name: "envoy.service.auth.v3.CheckRequest", fields: []field{1: {submessage, attributeContext}}}

var attributeContext = &message{name: "envoy.service.auth.v3.AttributeContext", role: attributesRole, fields: []field{
	1: {submessage, peerOf(sourceRole)}, 2: {submessage, peerOf(destinationRole)}, 4: {submessage, request},
	10: {mapEntry, entry}, 11: {submessage, metadata}, 12: {submessage, tlsSession}, 13: {submessage, metadata},
}}

var request = &message{name: "envoy.service.auth.v3.AttributeContext.Request", role: requestRole, fields: []field{
	1: {submessage, timestamp}, 2: {submessage, httpRequest},
}}

var httpRequest = &message{name: "envoy.service.auth.v3.AttributeContext.HttpRequest", role: httpRole, fields: []field{
	1: {kind: text}, 2: {kind: text}, 3: {mapEntry, entry}, 4: {kind: text}, 5: {kind: text}, 6: {kind: text}, 7: {kind: text},
	8: {kind: text}, 9: {kind: varint}, 10: {kind: text}, 11: {kind: text}, 12: {kind: octets}, 13: {submessage, headerMap},
}}

var headerMap = &message{name: "envoy.config.core.v3.HeaderMap", role: headerMapRole, fields: []field{1: {submessage, headerValue}}}

var headerValue = &message{name: "envoy.config.core.v3.HeaderValue", role: entryRole, fields: []field{
	1: {kind: text}, 2: {kind: text}, 3: {kind: octets},
}}

// entry is one of a map<string, string> that is read; label of one that is not.
var (
	entry = &message{role: entryRole, fields: []field{1: {kind: text}, 2: {kind: text}}}
	label = &message{fields: []field{1: {kind: text}, 2: {kind: text}}}
)

var (
	timestamp  = &message{name: "google.protobuf.Timestamp", fields: []field{1: {kind: varint}, 2: {kind: varint}}}
	tlsSession = &message{name: "envoy.service.auth.v3.AttributeContext.TLSSession", fields: []field{1: {kind: text}}}
)

func peerOf(r role) *message {
	socket := &message{name: "envoy.config.core.v3.SocketAddress", role: r + 2, fields: []field{
		1: {kind: varint}, 2: {kind: text}, 3: {kind: varint}, 4: {kind: text}, 5: {kind: text}, 6: {kind: varint}, 7: {kind: text},
	}}
	pipe := &message{name: "envoy.config.core.v3.Pipe", fields: []field{1: {kind: text}, 2: {kind: varint}}}
	internal := &message{name: "envoy.config.core.v3.EnvoyInternalAddress", fields: []field{1: {kind: text}, 2: {kind: text}}}
	address := &message{name: "envoy.config.core.v3.Address", role: r + 1, fields: []field{
		1: {submessage, socket}, 2: {submessage, pipe}, 3: {submessage, internal},
	}}
	return &message{name: "envoy.service.auth.v3.AttributeContext.Peer", role: r, fields: []field{
		1: {submessage, address}, 2: {kind: text}, 3: {mapEntry, label}, 4: {kind: text}, 5: {kind: text},
	}}
}

// fieldMetadata is the number of metadata_context in AttributeContext; 13 is the
// route's, which is configuration and vouches for nothing.
const fieldMetadata = 11

// metadata is gone over for its form; where metadata_context is, is noted.
var metadata = &message{name: "envoy.config.core.v3.Metadata", fields: []field{
	1: {mapEntry, entryOf(structure)},
	2: {mapEntry, entryOf(&message{name: "google.protobuf.Any", fields: []field{1: {kind: text}, 2: {kind: octets}}})},
}}

// structure is google.protobuf.Struct, whose values may hold it again.
var structure = func() *message {
	structure := &message{name: "google.protobuf.Struct"}
	value := &message{name: "google.protobuf.Value"}
	list := &message{name: "google.protobuf.ListValue", fields: []field{1: {submessage, value}}}
	structure.fields = []field{1: {mapEntry, entryOf(value)}}
	value.fields = []field{
		1: {kind: varint}, 2: {kind: fixed64}, 3: {kind: text}, 4: {kind: varint}, 5: {submessage, structure}, 6: {submessage, list},
	}
	return structure
}()

func entryOf(value *message) *message {
	return &message{fields: []field{1: {kind: text}, 2: {submessage, value}}}
}
