package extauthz

import (
	"strings"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the stock codec, for every other message
	"google.golang.org/grpc/mem"
)

// call is one CheckRequest's bytes as they came, and its answer's. The message
// is a string, copied once out of gRPC's buffer, which is used again: whatever
// keeps a part of a request (a cache of a built-in function, a record) keeps its
// own.
type call struct {
	message string
	answer  []byte
}

// codec hands the bytes of a CheckRequest over undecoded, so that the handler
// meets even those that cannot be decoded, and sends an answer's bytes as they
// are. Every other message goes its usual way.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Name is that of the stock codec, whose content-type clients send.
func (codec) Name() string { return "proto" }

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	q, ok := v.(*call)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if len(data) == 1 {
		q.message = string(data[0].ReadOnlyData())
		return nil
	}
	var b strings.Builder
	b.Grow(data.Len())
	for _, part := range data {
		b.Write(part.ReadOnlyData())
	}
	q.message = b.String()
	return nil
}

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if c, ok := v.(*call); ok {
		return mem.BufferSlice{mem.SliceBuffer(c.answer)}, nil
	}
	return c.CodecV2.Marshal(v)
}
