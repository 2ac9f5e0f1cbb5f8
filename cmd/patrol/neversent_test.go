package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

// What breaks a naive server is listed in test/envoy, as tests of Envoy itself.
// Here is the other half: patrol never sends it, also where a rule asks for it.

// hostile is an overlay whose answers hold all that must not be sent.
const hostile = `package local

bad := {
	"x-split": "a\r\nx-inj: 1", "x-nul": "a\u0000b", "x bad": "name", ":path": "/other", ":method": "DELETE",
	":authority": "evil", ":status": "200", "host": "evil", "content-length": "0", "transfer-encoding": "chunked", "grpc-status": "0", "x-fine": "1",
}

answer := {"headers": bad, "response_headers_to_add": bad, "http_status": 200, "body": "a body of the rule's own"}

deny if input.attributes.request.http.headers["x-refuse"]
`

func overlay(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// client is a gRPC client of the running server.
func (w *world) client(t testing.TB, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(w.listeners[0].Addr().String(), append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func get(path string, headers ...[2]string) *testCase {
	c := &testCase{id: "get"}
	c.Request.Method, c.Request.Path, c.Request.Headers = "GET", path, headers
	return c
}

// sound checks what must hold of every answer: a status that fits, no status
// of an allow with a refusal, and no header that splits, rewrites or vanishes.
func sound(t *testing.T, r *authv3.CheckResponse) {
	t.Helper()
	denied := r.GetDeniedResponse()
	if r.GetStatus() == nil || (r.GetStatus().GetCode() == 0) != (r.GetOkResponse() != nil) || (denied == nil) == (r.GetOkResponse() == nil) {
		t.Errorf("the status %v does not fit the answer %T", r.GetStatus(), r.GetHttpResponse())
	}
	if code := denied.GetStatus().GetCode(); denied != nil && (code < 400 || code > 599) {
		t.Errorf("refused with the status %d", code)
	}
	headers := append(append(append([]*corev3.HeaderValueOption{}, denied.GetHeaders()...), r.GetOkResponse().GetHeaders()...), r.GetOkResponse().GetResponseHeadersToAdd()...)
	for _, h := range headers {
		name, value := h.GetHeader().GetKey(), h.GetHeader().GetValue()
		if strings.ContainsAny(value, "\r\n\x00") || strings.ContainsAny(name, ": \r\n\x00") || name == "" || name != strings.ToLower(name) {
			t.Errorf("the header %q: %q", name, value)
		}
		switch name {
		case "host", "content-length", "transfer-encoding":
			t.Errorf("the header %q rewrites the message", name)
		case "grpc-status":
			if denied != nil && value == "0" {
				t.Error("a refusal told gRPC clients that all went well")
			}
		}
		if h.GetAppend() != nil { //nolint:staticcheck // deprecated, and Envoy drops the header
			t.Errorf("the header %q has append set", name)
		}
		if len(h.GetHeader().GetRawValue()) > 0 {
			t.Errorf("the header %q has a raw value, which Envoy ignores", name)
		}
	}
}

// Points 1, 3 and 4: no answer without a fitting status, none that splits a
// response or rewrites a request.
func TestARuleCannotMakePatrolSendWhatBreaksEnvoy(t *testing.T) {
	dir := overlay(t, map[string]string{"local/hostile.rego": hostile})
	w := startApp(t, func(c *Config) { c.Policy.Bundles = []string{dir} })
	if w.Bundles.Ruleset() == nil {
		t.Fatalf("%+v", w.Bundles.Status())
	}
	w.populate(t, filepath.Join(casesDir, "world.json"))
	bearer := [2]string{"authorization", "Bearer {bob_approved}"}
	client := authv3.NewAuthorizationClient(w.client(t))
	for name, headers := range map[string][][2]string{
		"an allow": {bearer}, "a refusal": {bearer, {"x-refuse", "1"}}, "a refusal of a gRPC client": {bearer, {"x-refuse", "1"}, {"content-type", "application/grpc"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := client.Check(context.Background(), get("/api/models/acme/model", headers...).checkRequest(w))
			if err != nil {
				t.Fatal(err)
			}
			sound(t, r)
			if refused := len(headers) > 1; refused != (r.GetDeniedResponse() != nil) || !strings.Contains(r.String(), "x-fine") {
				t.Errorf("the rule was not asked: %v", r)
			}
		})
	}
	var seen http.Header
	var line string
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen, line = r.Header, r.Method+" "+r.Host+" "+r.URL.Path
	}))
	t.Cleanup(upstream.Close)
	// An Envoy that neither validates nor bounds what an answer changes: patrol alone holds.
	p := envoytest.Start(t, envoy.Config{File: envoy.Strict, Patrol: w.listeners[0].Addr().String(), Upstream: upstream.Listener.Addr().String()},
		envoytest.Mutations, "", envoytest.Validation, "")
	status, header, _ := send(t, p.Address, get("/api/models/acme/model", bearer), w, "allow")
	if status != 200 || line != "GET hub.example /api/models/acme/model" || seen.Get("x-inj") != "" || header.Get("x-inj") != "" || header.Get("x-fine") != "1" {
		t.Errorf("an allow behind Envoy: %d %q %v", status, line, header)
	}
	status, header, _ = send(t, p.Address, get("/api/models/acme/model", bearer, [2]string{"x-refuse", "1"}), w, "refuse")
	if status != 403 || header.Get("x-inj") != "" || header.Get("x-error-code") != "policy_denied" {
		t.Errorf("a refusal behind Envoy: %d %v", status, header)
	}
}

// raw sends bytes as they are, and keeps those of the answer.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

var _ encoding.CodecV2 = raw{}

// Points 2 and 9: what cannot be read, and what comes above the bound, is
// refused in band: Envoy would take a gRPC error for an error, and ask again.
func TestPatrolRefusesInBandWhateverHappens(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	conn := w.client(t)
	for name, message := range map[string][]byte{"nothing": {}, "no message": {0xff, 0xff, 0xff}, "a message cut off": {0x0a, 0x7f, 0x01}, "a string that is not UTF-8": {0x0a, 0x06, 0x22, 0x04, 0x12, 0x02, 0x0a, 0xff}} {
		var out []byte
		err := conn.Invoke(context.Background(), authv3.Authorization_Check_FullMethodName, &message, &out, grpc.ForceCodecV2(raw{}))
		if err != nil || !strings.Contains(string(out), "request_malformed") {
			t.Errorf("%s: %v %q", name, err, out)
		}
	}
	w.Server.MaxInFlight = -1
	r, err := authv3.NewAuthorizationClient(conn).Check(context.Background(), get("/api/models/acme/model").checkRequest(w))
	if err != nil || r.GetDynamicMetadata().GetFields()["reason"].GetStringValue() != "overloaded" || r.GetDeniedResponse().GetStatus().GetCode() != 503 {
		t.Errorf("above the bound: %v %v", r, err)
	}
	sound(t, r)
}

// Points 5, 6 and 7: what Envoy makes of bad bytes, of repeated headers and of
// paths is refused, never guessed at.
func TestPatrolRefusesWhatEnvoyMadeOfAmbiguousRequests(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	client := authv3.NewAuthorizationClient(w.client(t))
	secret := w.secrets["bob_approved"].Reveal()
	ask := func(path string, change func(*authv3.AttributeContext_HttpRequest)) string {
		r := get(path, [2]string{"authorization", "Bearer " + secret}).checkRequest(w)
		if change != nil {
			change(r.GetAttributes().GetRequest().GetHttp())
		}
		answer, err := client.Check(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		sound(t, answer)
		return answer.GetDynamicMetadata().GetFields()["reason"].GetStringValue()
	}
	authorization := func(value string) func(*authv3.AttributeContext_HttpRequest) {
		return func(h *authv3.AttributeContext_HttpRequest) { h.Headers["authorization"] = value }
	}
	inMap := func(values ...string) func(*authv3.AttributeContext_HttpRequest) {
		return func(h *authv3.AttributeContext_HttpRequest) {
			h.Headers, h.HeaderMap = nil, &corev3.HeaderMap{}
			for _, v := range values {
				h.HeaderMap.Headers = append(h.HeaderMap.Headers, &corev3.HeaderValue{Key: "authorization", RawValue: []byte(v)})
			}
		}
	}
	const path = "/api/models/acme/model"
	for _, c := range []struct {
		name, path, want string
		change           func(*authv3.AttributeContext_HttpRequest)
	}{
		{"as it should be", path, "approved", nil},
		{"bytes replaced by !", path, "credential_malformed", authorization("Bearer !!" + secret)},
		{"bad bytes as they are", path, "credential_malformed", inMap("Bearer \xff\xfe" + secret)},
		{"two headers joined", path, "credential_malformed", authorization("Bearer " + secret + ",Bearer " + secret)},
		{"the same one twice", path, "credential_malformed", inMap("Bearer "+secret, "Bearer "+secret)},
		{"a query in the path", path + "?x=1", "approved", nil},
		{"a bad escape", path + "/%zz", "request_malformed", nil},
		{"a matrix parameter that climbs", "/a/..;/api/models/acme/model", "request_malformed", nil},
		{"two hosts joined", path, "request_malformed", func(h *authv3.AttributeContext_HttpRequest) { h.Host = "hub.example,other.example" }},
	} {
		if got := ask(c.path, c.change); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// The same, as the real Envoy sends it: its client repeats a header, or puts
// bytes into a token that are none.
func TestWhatEnvoyJoinsOrReplacesIsRefusedBehindIt(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	hub := startHub(t)
	bearer := [2]string{"authorization", "Bearer {bob_approved}"}
	for _, file := range []string{envoy.Strict, envoy.Raw} {
		p := envoytest.Start(t, envoy.Config{File: file, Patrol: w.listeners[0].Addr().String(), Upstream: hub.address()})
		for name, c := range map[string]struct {
			headers [][2]string
			want    string
		}{
			"as it should be":                {[][2]string{bearer}, "approved"},
			"two Authorization headers":      {[][2]string{bearer, bearer}, "credential_malformed"},
			"two of different users":         {[][2]string{bearer, {"authorization", "Bearer {alice_fine}"}}, "credential_malformed"},
			"two Host headers":               {[][2]string{bearer, {"host", "other.example"}}, "request_malformed"},
			"the same Host twice":            {[][2]string{bearer, {"host", "hub.example"}}, "request_malformed"},
			"bytes that are no UTF-8":        {[][2]string{{"authorization", "Bearer {bob_approved}\xff\xfe"}}, "credential_malformed"},
			"what Envoy makes of such bytes": {[][2]string{{"authorization", "Bearer {bob_approved}!!"}}, "credential_malformed"},
		} {
			status, header, _ := send(t, p.Address, get("/api/models/acme/model", c.headers...), w, name)
			id := header.Get("x-request-id")
			if c.want == "approved" {
				if status != http.StatusOK {
					t.Errorf("%s, %s: %d", file, name, status)
				}
				continue
			}
			if id == "" || status != http.StatusBadRequest {
				t.Errorf("%s, %s: %d %v", file, name, status, header)
			} else if got := envoytest.Access(t, p, id); got.AuthzReason != c.want || got.Upstream != "" {
				t.Errorf("%s, %s: %+v, want %s", file, name, got, c.want)
			}
		}
	}
}

// Point 8: a gRPC client gets the bare sentence, and a status that makes it try
// again only where trying again helps: also where a rule answers with 429, which
// Envoy would make UNAVAILABLE.
func TestNoRefusalMakesAGRPCClientTryAgainInVain(t *testing.T) {
	dir := overlay(t, map[string]string{
		"local/a.rego": "package local\n\nanswer := {\"http_status\": 429} if input.attributes.request.http.headers[\"x-answer\"]\n",
		"local/checks/slow_down/check.rego": "package local.checks.slow_down\n\nreasons contains \"slow_down\" if " +
			"input.attributes.request.http.headers[\"x-slow\"]\n",
		"local/catalogue/data.json": `{"slow_down": {"http_status": 429, "title": "Slow down", "sentence": "slow down"}}`,
		"local/routes/data.json":    `[{"pattern": "/acme.hub.v1.Models/{method}", "methods": ["POST"], "permission": "repo.content.read", "organizations": {"from": "header", "name": "x-organization"}}]`,
	})
	w := startApp(t, func(c *Config) { c.Policy.Bundles = []string{dir} })
	if w.Bundles.Ruleset() == nil {
		t.Fatalf("%+v", w.Bundles.Status())
	}
	w.populate(t, filepath.Join(casesDir, "world.json"))
	hub := startHub(t)
	p := envoytest.Start(t, envoy.Config{File: envoy.Strict, Patrol: w.listeners[0].Addr().String(), Upstream: hub.address()})
	conn, err := grpc.NewClient(p.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := authv3.NewAuthorizationClient(w.client(t))
	for name, c := range map[string]struct {
		path   string
		header [2]string
		http   int32
		reason string
	}{
		"the base's own":     {"/other.hub.v1.Models/Get", [2]string{"x-none", "1"}, 403, "route_unknown"},
		"a reason with 429":  {"/acme.hub.v1.Models/Get", [2]string{"x-slow", "1"}, 429, "slow_down"},
		"an answer with 429": {"/acme.hub.v1.Models/Get", [2]string{"x-answer", "1"}, 429, "token_type_not_allowed"},
	} {
		bearer := [2]string{"authorization", "Bearer " + w.secrets["bob_approved"].Reveal()}
		if c.header[0] == "x-answer" {
			bearer[1] = "Bearer " + w.secrets["bob_write"].Reveal()
		}
		ctx := metadata.AppendToOutgoingContext(context.Background(), bearer[0], bearer[1], c.header[0], c.header[1], "x-organization", "acme")
		empty := []byte{}
		err = conn.Invoke(ctx, c.path, &empty, &empty, grpc.ForceCodecV2(raw{}))
		if s := status.Convert(err); s.Code() != codes.PermissionDenied || s.Message() == "" || strings.ContainsAny(s.Message(), "{\n") {
			t.Errorf("%s: %v %q", name, s.Code(), s.Message())
		}
		request := get(c.path, bearer, c.header, [2]string{"x-organization", "acme"}, [2]string{"content-type", "application/grpc"})
		request.Request.Method = "POST"
		r, err := client.Check(context.Background(), request.checkRequest(w))
		if err != nil || int32(r.GetDeniedResponse().GetStatus().GetCode()) != c.http || r.GetDynamicMetadata().GetFields()["reason"].GetStringValue() != c.reason {
			t.Errorf("%s: the answer is %v, %v", name, r, err)
		}
		sound(t, r)
	}
	for _, r := range w.Bundles.Ruleset().Catalogue {
		if !r.Allow && r.Code != "slow_down" && (r.HTTPStatus == 429 || r.HTTPStatus >= 500) || r.GRPCStatus == int(codes.Unavailable) {
			t.Errorf("the reason %s makes clients try again", r.Code)
		}
	}
}
