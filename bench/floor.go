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

// serveFloor serves the no-op on a socket and an address: as grpc-go is, or with
// the settings that patrol has (but for its codec, which is no setting).
func serveFloor(role string, addresses []string) {
	var o []grpc.ServerOption
	if role == "tuned" {
		debug.SetGCPercent(400)
		o = []grpc.ServerOption{
			grpc.NumStreamWorkers(256), grpc.StaticStreamWindowSize(1 << 20), grpc.StaticConnWindowSize(1 << 24),
			grpc.MaxConcurrentStreams(100_000),
		}
	}
	s := grpc.NewServer(o...)
	authv3.RegisterAuthorizationServer(s, noop{})
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
