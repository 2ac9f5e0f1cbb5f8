package extauthz

import (
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the stock codec, for every other message
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// wireRequest receives a CheckRequest's bytes as they came.
type wireRequest struct{ bytes []byte }

// codec hands the bytes of a CheckRequest over undecoded, so that the handler
// meets even those that cannot be. Every other message goes its usual way.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Name is that of the stock codec, whose content-type clients send.
func (codec) Name() string { return "proto" }

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if w, ok := v.(*wireRequest); ok {
		w.bytes = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(*authv3.CheckResponse); ok {
		b, err := proto.Marshal(r)
		if err != nil {
			return nil, err
		}
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return c.CodecV2.Marshal(v)
}
