package envoytest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/patrol-authz/patrol/deploy/envoy"
)

// stub is an ext_authz server that answers as it is told, and remembers what it
// was asked.
type stub struct {
	authv3.UnimplementedAuthorizationServer
	mu     sync.Mutex
	answer func() (*authv3.CheckResponse, error)
	asked  *authv3.CheckRequest
}

func (s *stub) Check(_ context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = r
	return s.answer()
}

func (s *stub) set(r *authv3.CheckResponse, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer, s.asked = func() (*authv3.CheckResponse, error) { return r, err }, nil
}

func (s *stub) request() *authv3.AttributeContext_HttpRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked.GetAttributes().GetRequest().GetHttp()
}

// behind starts a real Envoy with one of our configurations before the stub, or
// with some of its texts replaced.
func behind(t *testing.T, file string, replace ...string) (*stub, *envoy.Process) {
	t.Helper()
	s := &stub{}
	s.set(allow(nil), nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, s)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Method, r.Host, r.URL.Path)
	}))
	t.Cleanup(upstream.Close)
	return s, Start(t, envoy.Config{File: file, Patrol: l.Addr().String(), Upstream: upstream.Listener.Addr().String()}, replace...)
}

func header(key, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: key, Value: value}}
}

func allow(headers []*corev3.HeaderValueOption) *authv3.CheckResponse {
	return &authv3.CheckResponse{Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{Headers: headers}}}
}

func deny(code *status.Status, headers ...*corev3.HeaderValueOption) *authv3.CheckResponse {
	return &authv3.CheckResponse{Status: code, HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
		Status: &typev3.HttpStatus{Code: 403}, Headers: headers, Body: "no",
	}}}
}

// ask sends lines as they are.
func ask(t *testing.T, p *envoy.Process, lines ...string) (int, http.Header, string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.Address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\nhost: hub.example\r\nconnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(body)
}

// Only status.code decides, and an unset one is an allow: patrol always sets it.
func TestEnvoyAllowsWhateverHasNoStatusCode(t *testing.T) {
	s, p := behind(t, envoy.Strict)
	for name, r := range map[string]*authv3.CheckResponse{
		"an empty answer": {}, "a denied response without status": deny(nil), "a denied response with code 0": deny(&status.Status{}),
	} {
		s.set(r, nil)
		if code, _, _ := ask(t, p, "GET /x HTTP/1.1"); code != 200 {
			t.Errorf("%s: %d; Envoy changed its mind, and so may we", name, code)
		}
	}
	s.set(deny(&status.Status{Code: 7}), nil)
	if code, _, _ := ask(t, p, "GET /x HTTP/1.1"); code != 403 {
		t.Errorf("a denial: %d", code)
	}
}

// A gRPC error is an error to Envoy, never a denial: patrol denies in band.
func TestEnvoyTakesAGRPCErrorForAnError(t *testing.T) {
	s, p := behind(t, envoy.Strict)
	for _, c := range []codes.Code{codes.PermissionDenied, codes.Unauthenticated, codes.Internal} {
		s.set(nil, grpcstatus.Error(c, "no"))
		if code, _, body := ask(t, p, "GET /x HTTP/1.1"); code != 503 || body != "" {
			t.Errorf("%v: %d %q", c, code, body)
		}
	}
	for name, c := range map[string]struct {
		replace []string
		want    int
	}{
		"with failure_mode_allow": {[]string{"failure_mode_allow: false", "failure_mode_allow: true"}, 200},
		"without status_on_error": {[]string{StatusOnError, ""}, 403},
	} {
		s, p := behind(t, envoy.Strict, c.replace...)
		s.set(nil, grpcstatus.Error(codes.PermissionDenied, "no"))
		if code, _, _ := ask(t, p, "GET /x HTTP/1.1"); code != c.want {
			t.Errorf("%s: %d, want %d", name, code, c.want)
		}
	}
}

// A line break in a header splits the response, in a refusal and in what an
// allow adds to the response; our configurations validate, and patrol never sends
// one.
func TestEnvoyRefusesHeadersThatWouldSplitTheResponse(t *testing.T) {
	split := header("x-a", "a\r\nx-inj: 1")
	added := allow(nil)
	added.GetOkResponse().ResponseHeadersToAdd = []*corev3.HeaderValueOption{split}
	answers := map[string]*authv3.CheckResponse{"a refusal": deny(&status.Status{Code: 7}, split), "an allow's response_headers_to_add": added}
	for _, file := range []string{envoy.Strict, envoy.Raw} {
		s, p := behind(t, file)
		for name, r := range answers {
			s.set(r, nil)
			if code, h, body := ask(t, p, "GET /x HTTP/1.1"); code != 500 || h.Get("x-inj") != "" || h.Get("x-a") != "" {
				t.Errorf("%s, %s: %d %v %q", file, name, code, h, body)
			}
		}
	}
	s, p := behind(t, envoy.Strict, Validation, "")
	for name, r := range answers {
		s.set(r, nil)
		if _, h, _ := ask(t, p, "GET /x HTTP/1.1"); h.Get("x-inj") != "1" {
			t.Errorf("%s, without validate_mutations: %v; Envoy changed its mind, and so may we", name, h)
		}
	}
}

// The authorization server may not rewrite the request to the upstream, which it
// could where the rules of mutation are missing.
func TestEnvoyDropsHeadersThatWouldRewriteTheRequest(t *testing.T) {
	rewrites := map[[2]string]string{
		{":path", "/other"}: "GET hub.example /other", {":method", "DELETE"}: "DELETE hub.example /x",
		{":authority", "evil"}: "GET evil /x", {"host", "evil"}: "GET evil /x",
	}
	asked := func(s *stub, p *envoy.Process, h [2]string) (int, string) {
		s.set(allow([]*corev3.HeaderValueOption{header(h[0], h[1]), header("x-patrol-owner", "bob")}), nil)
		code, _, body := ask(t, p, "GET /x HTTP/1.1")
		return code, body
	}
	for _, file := range []string{envoy.Strict, envoy.Raw} {
		s, p := behind(t, file)
		for h := range rewrites {
			if code, body := asked(s, p, h); code != 200 || body != "GET hub.example /x" {
				t.Errorf("%s, %v: %d %q", file, h, code, body)
			}
		}
	}
	s, p := behind(t, envoy.Strict, Mutations, "")
	for h, want := range rewrites {
		if code, body := asked(s, p, h); code != 200 || body != want {
			t.Errorf("without the rules, %v: %d %q; Envoy changed its mind, and so may we", h, code, body)
		}
	}
}

// Bytes that are no UTF-8 arrive as exclamation marks: two secrets can look
// equal. Both are refused by the characters of a token.
func TestEnvoyReplacesBadBytes(t *testing.T) {
	s, p := behind(t, envoy.Strict)
	for _, sent := range []string{"\xff\xfea", "\xfd\xfca", "!!a"} {
		s.set(allow(nil), nil)
		ask(t, p, "GET /x HTTP/1.1", "authorization: Bearer "+sent)
		if got := s.request().GetHeaders()["authorization"]; got != "Bearer !!a" {
			t.Errorf("%q: %q", sent, got)
		}
	}
}

// Repeated headers arrive as one value with a comma, in raw mode too: nobody can
// tell two of them from one.
func TestEnvoyJoinsRepeatedHeaders(t *testing.T) {
	values := func(r *authv3.AttributeContext_HttpRequest, name string) (all []string) {
		for _, h := range r.GetHeaderMap().GetHeaders() {
			if h.GetKey() == name {
				all = append(all, string(h.GetRawValue()))
			}
		}
		if v, ok := r.GetHeaders()[name]; ok {
			all = append(all, v)
		}
		return all
	}
	for _, file := range []string{envoy.Strict, envoy.Raw} {
		s, p := behind(t, file)
		ask(t, p, "GET /x HTTP/1.1", "authorization: Bearer a", "authorization: Bearer b")
		if got := values(s.request(), "authorization"); !slices.Equal(got, []string{"Bearer a,Bearer b"}) {
			t.Errorf("%s: %q", file, got)
		}
		s.set(allow(nil), nil)
		code, _, _ := ask(t, p, "GET /x HTTP/1.1", "host: other.example") // ask sends one more
		if got := s.request().GetHost(); code != 200 || got != "other.example,hub.example" {
			t.Errorf("%s: %d, host %q", file, code, got)
		}
	}
}

// In raw mode headers are empty and header_map is full.
func TestEnvoySendsRawHeadersInTheMap(t *testing.T) {
	s, p := behind(t, envoy.Raw)
	ask(t, p, "GET /x HTTP/1.1", "authorization: Bearer \xffa")
	found := ""
	for _, h := range s.request().GetHeaderMap().GetHeaders() {
		if h.GetKey() == "authorization" {
			found = string(h.GetRawValue())
		}
	}
	if found != "Bearer \xffa" || len(s.request().GetHeaders()) != 0 {
		t.Errorf("%q, %d headers", found, len(s.request().GetHeaders()))
	}
}

// The path holds the query, undecodable escapes arrive, and normalization
// understands "..;" as "..".
func TestEnvoysPaths(t *testing.T) {
	s, p := behind(t, envoy.Strict)
	for sent, want := range map[string]string{"/x?a=1": "/x?a=1", "/x%zz": "/x%zz", "/a/..;/x": "/x", "/a/../x": "/x", "//x": "/x", "/x%252Fy": "/x%252Fy"} {
		s.set(allow(nil), nil)
		ask(t, p, "GET "+sent+" HTTP/1.1")
		if r := s.request(); r.GetPath() != want || r.GetQuery() != "" || r.GetFragment() != "" {
			t.Errorf("%s: path %q query %q", sent, r.GetPath(), r.GetQuery())
		}
	}
	if code, _, _ := ask(t, p, "GET /a%2Fb HTTP/1.1"); code != 400 {
		t.Errorf("an encoded slash: %d", code)
	}
	raw, q := behind(t, envoy.Raw)
	for _, sent := range []string{"//x", "/a/../x", "/a%2Fb", "/a/..;/x", "/a;b"} {
		raw.set(allow(nil), nil)
		ask(t, q, "GET "+sent+" HTTP/1.1")
		if got := raw.request().GetPath(); got != sent {
			t.Errorf("raw, %s: %q", sent, got)
		}
	}
}

// The body of a denial becomes a gRPC client's message, and its HTTP status the
// gRPC one: 429 becomes UNAVAILABLE, which makes clients try again. A grpc-status
// among the headers decides in its place.
func TestEnvoyMakesTheBodyAGRPCMessage(t *testing.T) {
	s, p := behind(t, envoy.Strict)
	for _, c := range []struct {
		http   typev3.StatusCode
		header string
		want   string
	}{{403, "", "7"}, {401, "", "16"}, {429, "", "14"}, {503, "", "14"}, {429, "8", "8"}} {
		r := deny(&status.Status{Code: 7})
		r.GetDeniedResponse().Status.Code = c.http
		if c.header != "" {
			r.GetDeniedResponse().Headers = []*corev3.HeaderValueOption{header("grpc-status", c.header)}
		}
		s.set(r, nil)
		code, h, _ := ask(t, p, "POST /a.B/C HTTP/1.1", "content-type: application/grpc", "content-length: 0")
		if code != 200 || h.Get("grpc-status") != c.want || h.Get("grpc-message") != "no" {
			t.Errorf("%d with grpc-status %q: %d %v", c.http, c.header, code, h)
		}
	}
}

func TestTheConfigurationsAreValid(t *testing.T) {
	for _, file := range []string{envoy.Strict, envoy.Raw} {
		yaml, err := envoy.Config{File: file}.Render()
		if err != nil {
			t.Fatal(err)
		}
		if err := envoy.Validate(t.Context(), yaml); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
