package main

import (
	"context"
	"net"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz/dropin"
	"github.com/patrol-authz/patrol/authz/dropin/dropintest"
	"github.com/patrol-authz/patrol/authz/extauthz"
)

// fixed answers by one policy.
type fixed struct{ policy *dropin.Policy }

func (f fixed) Respond(ctx context.Context, wire []byte) *authv3.CheckResponse {
	response, _ := f.policy.CheckBytes(ctx, wire)
	return response
}

// TestDropInModeAnswersAsRecorded sends the recorded messages of
// opa-envoy-plugin to the real gRPC server. Deviations are listed, and a listed
// one that no longer deviates fails.
func TestDropInModeAnswersAsRecorded(t *testing.T) {
	const dir = "../../testdata/dropin"
	cases, err := dropintest.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	deviations, err := dropintest.LoadDeviations(dir)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for _, c := range cases {
		policy, err := c.Prepare(context.Background())
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		code, response := overGRPC(t, extauthz.New(extauthz.Options{Responder: fixed{policy}}), c)
		differs := c.Differs(code, response)
		switch {
		case differs == "" && deviations[c.ID] != "":
			t.Errorf("%s is listed as a deviation, and answers as recorded", c.ID)
		case differs != "" && deviations[c.ID] == "":
			t.Errorf("%s: %s", c.ID, differs)
		case differs == "":
			same++
		}
	}
	count(t, "%d cases, %d as recorded, %d listed deviations", len(cases), same, len(deviations))
	if len(cases) < 126 {
		t.Errorf("only %d cases", len(cases))
	}
}

func overGRPC(t *testing.T, s *extauthz.Server, c *dropintest.Case) (string, *authv3.CheckResponse) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	defer s.Stop(0)
	wire, err := c.Message()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var raw []byte
	err = conn.Invoke(context.Background(), "/"+extauthz.Service+"/Check", wire, &raw, grpc.ForceCodec(bytesCodec{}))
	if err != nil {
		return status.Code(err).String(), nil
	}
	response := &authv3.CheckResponse{}
	if err := proto.Unmarshal(raw, response); err != nil {
		t.Fatal(err)
	}
	return "OK", response
}

// bytesCodec sends bytes as they are, valid or not.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (bytesCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), b...)
	return nil
}
func (bytesCodec) Name() string { return "proto" }
