package extauthz_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/extauthz"
)

// closed refuses everything, in the way that it is told.
type closed struct {
	reason  string
	message string
	panics  string // in which step
}

func (c closed) step(name string) {
	if c.panics == name {
		panic("broken")
	}
}

func (c closed) Begin(_ context.Context, r authz.Request) authz.Deciding {
	c.step("begin")
	return deciding{c, r}
}

type deciding struct {
	closed
	request authz.Request
}

func (d deciding) Evaluate(context.Context) { d.step("evaluate") }

func (d deciding) Outcome() *authz.Outcome {
	d.step("outcome")
	o := d.Refuse(context.Background(), d.reason, d.message)
	o.Request = d.request
	return o
}

func (c closed) Refuse(_ context.Context, reason, detail string) *authz.Outcome {
	return &authz.Outcome{
		DecisionID: "d", RequestID: "r", Reason: authz.BuiltinReasons[reason],
		Decision: authz.Decision{Reason: reason, Params: map[string]any{"detail": detail}},
	}
}

func request(headers map[string]string) []byte {
	b, _ := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{Method: "GET", Path: "/x", Headers: headers},
	}}})
	return b
}

func check(t testing.TB, s *extauthz.Server, message []byte) *authv3.CheckResponse {
	t.Helper()
	r := &authv3.CheckResponse{}
	if err := proto.Unmarshal(s.Check(context.Background(), string(message), nil), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// overGRPC asks by gRPC's own client.
func overGRPC(t *testing.T, s *extauthz.Server, message []byte) *authv3.CheckResponse {
	t.Helper()
	l, err := extauthz.Listen("127.0.0.1:0", extauthz.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	defer s.Stop(time.Second)
	c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := &authv3.CheckResponse{}
	if err := c.Invoke(t.Context(), "/"+extauthz.Service+"/Check", message, r, grpc.ForceCodec(given{})); err != nil { //nolint:staticcheck // the old interface suffices
		t.Fatal(err)
	}
	return r
}

// given sends bytes as they are.
type given struct{}

func (given) Name() string                       { return "proto" }
func (given) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (given) Unmarshal(data []byte, v any) error { return proto.Unmarshal(data, v.(proto.Message)) }

// refusedInBand checks what must hold of every refusal.
func refusedInBand(t testing.TB, r *authv3.CheckResponse) {
	t.Helper()
	if r.GetStatus() == nil || r.GetStatus().GetCode() == 0 || r.GetOkResponse() != nil {
		t.Fatalf("not refused: %v", r)
	}
	d := r.GetDeniedResponse()
	if code := d.GetStatus().GetCode(); code < 400 || code > 599 {
		t.Fatalf("status %v", code)
	}
	for _, h := range d.GetHeaders() {
		if strings.ContainsAny(h.GetHeader().GetValue(), "\r\n\x00") || h.GetHeader().GetKey() == "" {
			t.Fatalf("header %q: %q", h.GetHeader().GetKey(), h.GetHeader().GetValue())
		}
		if h.GetAppend() != nil { //nolint:staticcheck // the deprecated member that makes Envoy drop the header
			t.Fatal("append is set")
		}
	}
}

func TestWhatCannotBeDecidedIsDeniedInBand(t *testing.T) {
	for name, c := range map[string]struct {
		decider closed
		wire    []byte
		code    string
	}{
		"bytes that are no message":   {closed{reason: "policy_error"}, []byte{0xff, 0xff, 0xff}, "request_malformed"},
		"an empty message":            {closed{reason: "policy_error"}, nil, "request_malformed"},
		"a message without a request": {closed{reason: "policy_error"}, []byte{0x0a, 0x00}, "request_malformed"},
		"a panic at the beginning":    {closed{reason: "overloaded", panics: "begin"}, request(nil), "policy_error"},
		"a panic while evaluating":    {closed{reason: "overloaded", panics: "evaluate"}, request(nil), "policy_error"},
		"a panic at the end":          {closed{reason: "overloaded", panics: "outcome"}, request(nil), "policy_error"},
		"a refusal":                   {closed{reason: "overloaded"}, request(nil), "overloaded"},
		"a detail with line breaks":   {closed{reason: "request_malformed", message: "a\r\nx-inj: 1\x00"}, request(nil), "request_malformed"},
		"a refusal of a gRPC client":  {closed{reason: "credential_malformed", message: "é\n"}, request(map[string]string{"content-type": "application/grpc"}), "credential_malformed"},
		"a refusal of a browser":      {closed{reason: "credential_malformed", message: "<script>"}, request(map[string]string{"accept": "text/html", "user-agent": "Mozilla/5.0"}), "credential_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := extauthz.New(extauthz.Options{Decider: c.decider})
			r := check(t, s, c.wire)
			refusedInBand(t, r)
			if over := overGRPC(t, s, c.wire); !proto.Equal(over, r) {
				t.Errorf("over gRPC: %v\nand by itself: %v", over, r)
			}
			code := ""
			for _, h := range r.GetDeniedResponse().GetHeaders() {
				if h.GetHeader().GetKey() == "x-error-code" {
					code = h.GetHeader().GetValue()
				}
			}
			if code != c.code {
				t.Errorf("code %q, want %q", code, c.code)
			}
			if strings.Contains(r.GetDeniedResponse().GetBody(), "<script>") && strings.Contains(name, "browser") {
				t.Error("the page is not escaped")
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(request(map[string]string{"authorization": "Bearer x", "accept": "text/html"}))
	s := extauthz.New(extauthz.Options{Decider: closed{reason: "policy_error"}, Answer: answer.Options{PublicURL: "https://p.example"}})
	f.Fuzz(func(t *testing.T, wire []byte) { refusedInBand(t, check(t, s, wire)) })
}

func TestSocketsAreRefusedClearly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"unix:" + file:                          "is no socket",
		"unix:/tmp/" + strings.Repeat("x", 110): "bytes",
		"192.0.2.1:1":                           "insecure",
		"nonsense":                              "neither",
	} {
		if _, err := extauthz.Listen(address, extauthz.ListenOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A second server takes a socket's place while the first still serves, and the
// first does not take it away.
func TestASocketIsHandedOver(t *testing.T) {
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	first, err := extauthz.Listen("unix:"+dir+"/s", extauthz.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := extauthz.Listen("unix:"+dir+"/s", extauthz.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if _, err := os.Stat(dir + "/s"); err != nil {
		t.Errorf("the first took the second's socket away: %v", err)
	}
	second.Close()
	if _, err := os.Stat(dir + "/s"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}
