package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz/unary"
)

// noop allows everything, at once.
type noop struct {
	authv3.UnimplementedAuthorizationServer
}

func (noop) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return &authv3.CheckResponse{
		Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}},
	}, nil
}

// allow answers as noop does, to messages that nobody decodes and through the
// interface of streams: what is left is gRPC's and HTTP/2's own, the bound of
// what any server on grpc-go can reach.
func allow(_ any, stream grpc.ServerStream) error {
	var asked []byte
	if err := stream.RecvMsg(&asked); err != nil {
		return err
	}
	return stream.SendMsg(&allowed)
}

// allowed is an answer of noop, encoded.
var allowed = func() []byte {
	r, _ := noop{}.Check(context.Background(), nil)
	encoded, err := proto.Marshal(r)
	if err != nil {
		panic(err)
	}
	return encoded
}()

// floors are the servers that decide nothing, by what they are called.
var floors = []struct{ role, name string }{
	{"default", "floor"}, {"tuned", "floor, tuned"}, {"bytes", "floor, bytes only"}, {"unary", "floor, authz/unary"},
}

// served is what both kinds of server have.
type served interface{ Serve(net.Listener) error }

// newFloor makes the no-op: on grpc-go as it is; with stream workers, windows of a
// fixed size and GOGC=400; that and without a look at the message; or so on patrol's
// own server.
func newFloor(role string) served {
	if role != "default" {
		debug.SetGCPercent(400)
	}
	if role == "unary" {
		check := "/" + authv3.Authorization_ServiceDesc.ServiceName + "/Check"
		return unary.New(unary.Options{Unary: map[string]unary.Method{
			check: unary.At(func(q *unary.Question) ([]byte, error) { return allowed, q.Problem }),
		}})
	}
	var o []grpc.ServerOption
	if role != "default" {
		o = []grpc.ServerOption{
			grpc.NumStreamWorkers(256), grpc.StaticStreamWindowSize(1 << 20), grpc.StaticConnWindowSize(1 << 24),
			grpc.MaxConcurrentStreams(100_000),
		}
	}
	if role != "bytes" {
		s := grpc.NewServer(o...)
		authv3.RegisterAuthorizationServer(s, noop{})
		return s
	}
	s := grpc.NewServer(append(o, grpc.ForceServerCodecV2(bytesCodec{}))...)
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: authv3.Authorization_ServiceDesc.ServiceName, HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "Check", Handler: allow}},
	}, nil)
	return s
}

// serveFloor serves the no-op on a socket and an address.
func serveFloor(role string, addresses []string) {
	s := newFloor(role)
	failed := make(chan error)
	for i, address := range addresses[:2] {
		l, err := net.Listen([]string{"unix", "tcp"}[i], address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() { failed <- s.Serve(l) }()
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.Handler())
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	go func() { failed <- http.ListenAndServe(addresses[2], mux) }()
	fmt.Fprintln(os.Stderr, <-failed)
	os.Exit(1)
}
