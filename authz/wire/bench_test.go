package wire_test

import (
	"strconv"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz/wire"
)

// usual is a message as Envoy sends it: 1.4 KB, 22 headers.
func usual() []byte {
	h := map[string]string{
		":authority": "hub.example", ":method": "GET", ":scheme": "https", ":path": "/api/models/acme/model", "authorization": "Bearer ptl_0123456789",
		"user-agent": "huggingface_hub/2.4.0; python/3.12.3; torch/2.5.1", "accept": "*/*", "x-request-id": "8c2a7c1e-0000-4000-8000-000000000001",
	}
	for k := len(h); k < 22; k++ {
		h["x-header-"+strconv.Itoa(k)] = "a value of some length that a header may well have " + strconv.Itoa(k)
	}
	b, _ := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{Id: "1", Method: "GET", Path: "/api/models/acme/model", Host: "hub.example", Scheme: "https", Protocol: "HTTP/1.1", Headers: h},
	}}})
	return b
}

func BenchmarkParse(b *testing.B) {
	message := string(usual())
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := wire.Parse(message, nil)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = r.Header("x-request-id")
		_, _ = r.Header("authorization")
	}
}

func BenchmarkGeneratedCode(b *testing.B) {
	message := usual()
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if err := proto.Unmarshal(message, &authv3.CheckRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}
