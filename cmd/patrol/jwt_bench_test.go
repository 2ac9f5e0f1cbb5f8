package main

import (
	"context"
	"net"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// BenchmarkVerifiedClaims answers a request whose JWT Envoy verified, as
// BenchmarkCheck does: the mapping of claims is most of it.
func BenchmarkVerifiedClaims(b *testing.B) {
	w := startApp(b, func(c *Config) {
		c.Sources.JWT = JWTConfig{Peers: []string{"unix"}, Issuers: []IssuerConfig{{Issuer: issuer, Payload: "corp"}}}
	})
	w.do(b, inventory.CreateOrganization{Name: "acme", TokenPolicy: "only_fine_grained_tokens"})
	w.do(b, inventory.AddMember{Organization: "acme", User: "bob", Role: "write"})
	noted, err := structpb.NewStruct(map[string]any{"corp": map[string]any{
		"iss": issuer, "sub": "bob", "azp": "builder", "aud": "patrol", "exp": float64(time.Now().Add(time.Hour).Unix()), "scope": "openid organization:acme=repo.content.read",
	}})
	if err != nil {
		b.Fatal(err)
	}
	message, err := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request:         &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{Method: "GET", Path: "/api/models/acme/model", Host: "hub.example"}},
		MetadataContext: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.filters.http.jwt_authn": noted}},
	}})
	if err != nil {
		b.Fatal(err)
	}
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: &net.UnixAddr{Name: "@", Net: "unix"}})
	b.ReportAllocs()
	for b.Loop() {
		var r authv3.CheckResponse
		if err := proto.Unmarshal(w.Server.Check(ctx, string(message), nil), &r); err != nil || r.GetOkResponse() == nil {
			b.Fatalf("%v %v", &r, err)
		}
	}
}
