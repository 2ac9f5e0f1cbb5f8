package envoytest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/patrol-authz/patrol/deploy/envoy"
)

// counting is an ext_authz server that counts what it is asked. It takes its
// time, unless the caller goes away first.
type counting struct {
	authv3.UnimplementedAuthorizationServer
	checks atomic.Int64
	takes  time.Duration
	answer *authv3.CheckResponse
	err    error
}

func (c *counting) Check(ctx context.Context, _ *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	c.checks.Add(1)
	select {
	case <-time.After(c.takes):
	case <-ctx.Done():
	}
	return c.answer, c.err
}

const (
	ourBackOff = "retry_back_off: {base_interval: 0.005s, max_interval: 0.4s}"
	ourRetries = `retry_on: "connect-failure,refused-stream,reset"`
)

// retrying starts a real Envoy whose configuration has some texts replaced,
// each of which must be there.
func retrying(t *testing.T, c *counting, replace ...string) *envoy.Process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, c)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(upstream.Close)
	return Start(t, envoy.Config{File: envoy.Strict, Patrol: l.Addr().String(), Upstream: upstream.Listener.Addr().String()}, replace...)
}

// max_interval of retry_back_off is also the limit of one try: what takes
// longer fails although the timeout is far, and is asked again and again.
func TestEnvoyTakesTheGreatestBackOffForATrysLimit(t *testing.T) {
	slow := func() *counting { return &counting{takes: 150 * time.Millisecond, answer: allow(nil)} }
	c := slow()
	p := retrying(t, c, ourBackOff, "retry_back_off: {base_interval: 0.005s, max_interval: 0.02s}")
	if code, _, _ := ask(t, p, "GET /x HTTP/1.1"); code != 503 || c.checks.Load() != 3 {
		t.Errorf("with 20 ms: %d after %d checks; want 503 after 3", code, c.checks.Load())
	}
	c = slow()
	p = retrying(t, c)
	if code, _, _ := ask(t, p, "GET /x HTTP/1.1"); code != 200 || c.checks.Load() != 1 {
		t.Errorf("as we have it: %d after %d checks; want 200 after 1", code, c.checks.Load())
	}
}

// Retries on "unavailable" make a sick server's load threefold. Ours do not ask
// for them, and what is refused in band is asked once in any case: so patrol
// sheds.
func TestRetriesMultiplyChecksUnlessRefusedInBand(t *testing.T) {
	sick := grpcstatus.Error(codes.Unavailable, "overloaded")
	inBand := deny(&status.Status{Code: 14})
	eager := []string{ourRetries, `retry_on: "unavailable,connect-failure,refused-stream,reset"`}
	for name, c := range map[string]struct {
		server  *counting
		replace []string
		status  int
		checks  int64
	}{
		"a gRPC error, and retries on unavailable":   {&counting{err: sick}, eager, 503, 3},
		"a gRPC error, and our retries":              {&counting{err: sick}, nil, 503, 1},
		"a refusal in band, with either retry_on":    {&counting{answer: inBand}, eager, 403, 1},
		"a refusal in band, with our configuration ": {&counting{answer: inBand}, nil, 403, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := retrying(t, c.server, c.replace...)
			if code, _, _ := ask(t, p, "GET /x HTTP/1.1"); code != c.status || c.server.checks.Load() != c.checks {
				t.Errorf("%d after %d checks; want %d after %d", code, c.server.checks.Load(), c.status, c.checks)
			}
		})
	}
}
