package extauthz

import (
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
)

// decode reads an answer's bytes by the generated code.
func decode(t testing.TB, b []byte) *authv3.CheckResponse {
	t.Helper()
	r := &authv3.CheckResponse{}
	if err := proto.Unmarshal(b, r); err != nil {
		t.Fatalf("%x is no CheckResponse: %v", b, err)
	}
	return r
}

func TestAnswersAreEncodedAsTheGeneratedCodeDoes(t *testing.T) {
	hv := func(name, value string) authz.HeaderValue { return authz.HeaderValue{Name: name, Value: value} }
	for name, a := range map[string]*answer.Answer{
		"nothing":             {},
		"nothing, allowed":    {Allowed: true},
		"codes out of bounds": {HTTPStatus: 200, GRPCStatus: 99},
		"a refusal": {
			HTTPStatus: 503, GRPCStatus: 14, Headers: []authz.HeaderValue{hv("a", "1"), hv("b", ""), hv("", "c")}, Body: "é\n",
			Metadata: map[string]any{"decision_id": "d", "reason": "r"},
		},
		"an allow": {
			Allowed: true, Upstream: []authz.HeaderValue{hv("a", "1")}, Remove: []string{"x", ""}, ResponseHeaders: []authz.HeaderValue{hv("w", "2"), hv("w", "3")},
			QuerySet: []authz.HeaderValue{hv("q", "4"), hv("empty", "")}, QueryRemove: []string{"y"},
			Metadata: map[string]any{"n": 1.5, "l": []any{"a", nil, true}, "o": map[string]any{"k": "v"}, "": ""},
		},
		"metadata that is none":      {Metadata: map[string]any{"f": func() {}}},
		"metadata that is not UTF-8": {Metadata: map[string]any{"a": "\xff"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, want := decode(t, encode(a)), respond(a)
			if !proto.Equal(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}

func TestAnAnswerThatIsNotUTF8Arrives(t *testing.T) {
	r := decode(t, encode(&answer.Answer{Body: "a\xff", Headers: []authz.HeaderValue{{Name: "x", Value: "\xfe"}}, Metadata: map[string]any{"a": "b"}}))
	if r.GetDeniedResponse().GetBody() != "a\uFFFD" || r.GetDeniedResponse().GetHeaders()[0].GetHeader().GetValue() != "\uFFFD" || r.GetStatus().GetCode() != 7 {
		t.Errorf("%v", r)
	}
}
