// Package wire reads Envoy's CheckRequest from its protobuf bytes, without the
// generated structs. [Parse] goes over the message once: it accepts exactly
// the messages that proto.Unmarshal accepts, and notes where the fields are
// that patrol asks for. A field becomes a value when it is asked for, and a
// part of the message itself: nothing is copied.
//
// Protobuf lets a sender repeat what is not a list. As in the generated code a
// repeated message is merged into the first, of a repeated scalar or map key
// the last one counts, and a field of another wire type than declared is an
// unknown one. Fuzzing holds this reader to the generated one.
//
// See https://protobuf.dev/programming-guides/encoding and
// envoy/service/auth/v3/attribute_context.proto.
package wire
