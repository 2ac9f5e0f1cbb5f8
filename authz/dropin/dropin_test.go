package dropin_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz/dropin"
	"github.com/patrol-authz/patrol/authz/dropin/dropintest"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

func policy(t testing.TB, section, rego string) *dropin.Policy {
	t.Helper()
	config, err := dropin.ParseConfig([]byte(section))
	if err != nil {
		t.Fatal(err)
	}
	compiler, err := ast.CompileModules(map[string]string{"policy.rego": "package envoy.authz\n" + rego})
	if err != nil {
		t.Fatal(err)
	}
	p, err := dropin.New(t.Context(), dropin.Options{
		Config: config, Compiler: compiler, Store: inmem.New(), Timeout: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConfigurations(t *testing.T) {
	c, err := dropin.ParseConfig(nil)
	if err != nil || c.Path != "envoy/authz/allow" || c.Addr != ":9191" || c.GRPCMaxRecvMsgSize != 4<<20 {
		t.Errorf("defaults: %+v %v", c, err)
	}
	c, err = dropin.ParseConfig([]byte(`{"addr":":1","path":"a/b","dry-run":true,"enable-reflection":true,
		"skip-request-body-parse":true,"grpc-max-recv-msg-size":5,"grpc-max-send-msg-size":6,
		"enable-performance-metrics":true,"grpc-request-duration-seconds-buckets":[0.1]}`))
	if err != nil || c.Path != "a/b" || !c.DryRun || c.GRPCMaxRecvMsgSize != 5 {
		t.Errorf("all keys: %+v %v", c, err)
	}
	for section, want := range map[string]string{
		`{"dryrun":true}`:                         `unknown field "dryrun"`,
		`{"path":"a","query":"data.a"}`:           "exclude each other",
		`{"query":"data.a ="}`:                    "query",
		`{"path":"a/b","facts":true}`:             "policy.decisions",
		`{"grpc-max-recv-msg-size":"much"}`:       "grpc-max-recv-msg-size",
		`[]`:                                      "cannot unmarshal",
		`{"proto-descriptor":"testdata/none.pb"}`: "testdata/none.pb",
	} {
		if _, err := dropin.ParseConfig([]byte(section)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", section, err, want)
		}
	}
}

// Where the plugin fails the call, patrol denies in band: in a dry run too.
func TestWhatFailsIsDeniedInBand(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		rego string
		ctx  context.Context
	}{
		"undefined":       {rego: `allow if input.nothing`},
		"missing":         {rego: `other := true`},
		"no decision":     {rego: `allow := "yes"`},
		"two values":      {rego: "allow := true\nallow := false if input.version"},
		"never ends":      {rego: `allow := count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a < b]) > 0`},
		"bytes in a body": {rego: `allow := {"allowed": false, "body": urlquery.decode("%ff")}`},
		"caller is gone":  {rego: `allow := true`, ctx: ended},
	} {
		for _, section := range []string{`{}`, `{"dry-run":true}`} {
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			response, result := policy(t, section, c.rego).Check(c.ctx, inputtest.Check())
			denied := response.GetDeniedResponse()
			if response.GetStatus().GetCode() != 14 || denied.GetStatus().GetCode() != 503 || result.Err == nil || result.Allowed {
				t.Errorf("%s %s: %v, %+v", name, section, response, result)
			}
			if _, err := proto.Marshal(response); err != nil {
				t.Errorf("%s: the response can't be encoded: %v", name, err)
			}
		}
	}
}

func TestHeadersThatWouldSplitAMessageAreDropped(t *testing.T) {
	p := policy(t, ``, `allow := {"allowed": true, "headers": {"x-a": "1\r\nx-evil: 1", "x-b": "2", "x-c": "3\u0000", "x\nd": "4"},
		"response_headers_to_add": {"x-e": "5\n"}, "request_headers_to_remove": ["x-f", "x\r"]}`)
	response, _ := p.Check(t.Context(), inputtest.Check())
	ok := response.GetOkResponse()
	if len(ok.GetHeaders()) != 1 || ok.GetHeaders()[0].GetHeader().GetKey() != "x-b" ||
		len(ok.GetResponseHeadersToAdd()) != 0 || len(ok.GetHeadersToRemove()) != 1 {
		t.Errorf("got %v", ok)
	}
}

func TestADryRunAllowsWhatThePolicyRefuses(t *testing.T) {
	p := policy(t, `{"dry-run":true}`, `allow := {"allowed": false, "http_status": 404, "dynamic_metadata": {"k": "v"}}`)
	response, result := p.Check(t.Context(), inputtest.Check())
	if response.GetStatus() == nil || response.GetStatus().GetCode() != 0 || response.GetOkResponse() == nil ||
		!result.Refused || !result.Allowed || response.GetDynamicMetadata().GetFields()["k"].GetStringValue() != "v" {
		t.Errorf("got %v, %+v", response, result)
	}
}

func TestTheBodyIsLeftAloneOnRequest(t *testing.T) {
	check := inputtest.Check()
	check.GetAttributes().GetRequest().GetHttp().Body = "{"
	const rego = `allow := {"allowed": false, "body": json.marshal(object.keys(input))}`
	response, _ := policy(t, `{"skip-request-body-parse":true}`, rego).Check(t.Context(), check)
	if body := response.GetDeniedResponse().GetBody(); body != `["attributes","parsed_path","parsed_query","source_principal","version"]` {
		t.Errorf("got %s", body)
	}
	response, result := policy(t, ``, `allow := true`).Check(t.Context(), check)
	if !result.Malformed || response.GetDeniedResponse().GetStatus().GetCode() != 400 {
		t.Errorf("a body that is no JSON: %v", response)
	}
}

func TestBytesThatAreNoMessageAreDenied(t *testing.T) {
	response, result := policy(t, `{"dry-run":true}`, `allow := true`).CheckBytes(t.Context(), []byte{0x0a, 0xff})
	if response.GetDeniedResponse().GetStatus().GetCode() != 400 || response.GetStatus().GetCode() != 7 || result.Allowed {
		t.Errorf("got %v, %+v", response, result)
	}
}

func TestADropInPolicyIsAnEvaluator(t *testing.T) {
	d, err := policy(t, ``, `allow if input.attributes.request.http.headers.authorization`).Evaluate(t.Context(), inputtest.Facts())
	if err != nil || !d.Allowed {
		t.Errorf("got %+v %v", d, err)
	}
}

// Whatever bytes come, the answer has a status and can be encoded, and what a
// policy that shows its whole input shows is JSON.
func FuzzCheck(f *testing.F) {
	cases, err := dropintest.Load(casesDir)
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		if message, err := c.Message(); err == nil {
			f.Add(message)
		}
	}
	p := policy(f, ``, `allow := {"allowed": false, "body": json.marshal(input)}`)
	f.Fuzz(func(t *testing.T, wire []byte) {
		response, result := p.CheckBytes(t.Context(), wire)
		if response.GetStatus() == nil || response.GetStatus().GetCode() == 0 || result.Allowed {
			t.Fatalf("allowed: %v", response)
		}
		if _, err := proto.Marshal(response); err != nil {
			t.Fatalf("the response can't be encoded: %v", err)
		}
		denied := response.GetDeniedResponse()
		if result.Err == nil && !json.Valid([]byte(denied.GetBody())) {
			t.Fatalf("the input is no JSON: %s", denied.GetBody())
		}
	})
}
