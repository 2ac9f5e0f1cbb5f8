package input_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/inputtest"
)

func encode(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

func build(t *testing.T, o input.Options, f *authz.Facts) any {
	t.Helper()
	v, err := input.New(o).Value(f)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := ast.JSON(v)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// The whole document, member by member, is what testdata/input.json says.
func TestTheWholeDocument(t *testing.T) {
	f := inputtest.Facts()
	f.Organization.NextTokenPolicy, f.Organization.EnforceAt = "only_fine_grained_tokens", inputtest.Now.AddDate(0, 0, 3)
	doc, err := input.Document(f, "x-api-key")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/input.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(encode(t, doc)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := encode(t, doc); got != string(want) {
		t.Errorf("the document differs from %s:\n%s", file, got)
	}
	if terms := build(t, input.Options{CredentialHeaders: []string{"x-api-key"}}, f); encode(t, terms) != string(want) {
		t.Error("the terms of all fields differ from the plain document")
	}
}

func TestAbsentFactsAreAbsentKeys(t *testing.T) {
	f := &authz.Facts{Now: inputtest.Now, Credential: authz.CredentialFacts{State: authz.CredentialMissing}}
	doc, err := input.Document(f)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"credential":{"disabled":false,"state":"missing"},"now":"2026-11-24T12:00:00Z","patrol":{"version":1}}`
	if got, _ := json.Marshal(doc); string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Each path that can be built alone comes out as it does in the whole document.
func TestPrunedPathsAgreeWithTheWhole(t *testing.T) {
	f := inputtest.Facts()
	whole := build(t, input.Options{}, f)
	for _, path := range []string{
		"attributes/request/http/method", "attributes/request/http/path", "attributes/request/http/host",
		"attributes/request/http/scheme", "attributes/request/http/protocol", "attributes/request/http/id",
		"attributes/request/http/headers", "attributes/request/http/headers/user-agent",
		"attributes/request/http/headers/authorization", "attributes/request/http/size", "attributes/request/http/body",
		"attributes/source/principal", "attributes/source/address/socketAddress/portValue",
		"attributes/source/address", "attributes/destination/address/socketAddress/address",
		"attributes/contextExtensions/team", "attributes/contextExtensions", "attributes",
		"parsed_path", "parsed_query/full", "parsed_body/type", "truncated_body", "version", "source_principal",
		"token/kind", "token/owner/name", "token/grants", "token/global", "token/remaining_seconds",
		"organization/token_policy", "organization/settings/public_read", "membership/role", "membership",
		"authorization/current", "authorization/effective", "authorization/request/state", "route/resource/type",
		"route/organizations", "client/network", "credential/scheme", "patrol/version", "now",
	} {
		pruned := build(t, input.Options{Fields: input.Paths(path)}, f)
		got, want := pruned, whole
		for key := range strings.SplitSeq(path, "/") {
			got, want = got.(map[string]any)[key], want.(map[string]any)[key]
		}
		if want == nil || encode(t, got) != encode(t, want) {
			t.Errorf("%s: got %s, want %s", path, encode(t, got), encode(t, want))
		}
		if strings.HasPrefix(path, "token/") && len(pruned.(map[string]any)) != 1 {
			t.Errorf("%s: more was built than is read: %s", path, encode(t, pruned))
		}
	}
}

func TestFrozenPartsEqualTheOthers(t *testing.T) {
	f := inputtest.Facts()
	f.Organization.Settings = map[string]any{"max_token_age_days": json.Number("30")}
	plain := encode(t, build(t, input.Options{}, f))
	f.Organization.Frozen = input.FreezeOrganization(f.Organization)
	f.Token.Grants.Frozen = input.FreezeGrants(f.Token.Grants.Grants)
	if frozen := encode(t, build(t, input.Options{}, f)); frozen != plain {
		t.Errorf("frozen %s\nplain %s", frozen, plain)
	}
	f.Organization.Frozen, f.Token.Grants.Frozen = "not mine", 7
	if other := encode(t, build(t, input.Options{}, f)); other != plain {
		t.Error("a frozen value of another evaluator was used")
	}
}

// The credential is in the policy's sight only if that was configured, and
// never in the plain document, in whichever form Envoy sent the headers.
func TestCredentialsAreHidden(t *testing.T) {
	asMap, asList := inputtest.Check(), inputtest.Check()
	h := asList.GetAttributes().GetRequest().GetHttp()
	h.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
		{Key: "Authorization", RawValue: []byte("Bearer " + inputtest.Secret)},
		{Key: "x-api-key", Value: inputtest.Secret},
		{Key: "accept", Value: "a"},
		{Key: "accept", Value: "b"},
	}}
	h.Headers = nil
	for name, check := range map[string]*authv3.CheckRequest{"as a map": asMap, "one by one": asList} {
		f := inputtest.Facts()
		f.Request = inputtest.Request{CheckRequest: check}
		for fields, paths := range map[string]*input.Fields{
			"all": nil, "headers": input.Paths("attributes/request/http/headers"),
			"named": input.Paths("attributes/request/http/headers/authorization", "attributes/request/http/headers/x-api-key"),
		} {
			o := input.Options{Fields: paths, CredentialHeaders: []string{"X-Api-Key"}}
			if doc := encode(t, build(t, o, f)); strings.Contains(doc, inputtest.Secret) || !strings.Contains(doc, input.Redacted) {
				t.Errorf("%s, %s: %s", name, fields, doc)
			}
			o.ExposeCredential = true
			if doc := encode(t, build(t, o, f)); !strings.Contains(doc, inputtest.Secret) {
				t.Errorf("%s, %s: not exposed: %s", name, fields, doc)
			}
		}
		doc, err := input.Document(f, "x-api-key")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(encode(t, doc), inputtest.Secret) {
			t.Errorf("%s: the plain document holds the secret", name)
		}
	}
	f := inputtest.Facts()
	f.Request = inputtest.Request{CheckRequest: asList}
	if doc := encode(t, build(t, input.Options{Fields: input.Paths("attributes/request/http/headers/accept")}, f)); !strings.Contains(doc, `"a,b"`) {
		t.Errorf("repeated headers are not joined: %s", doc)
	}
}

func TestARequestThatCanNotBeShownIsRefused(t *testing.T) {
	cases := map[string]func(h *authv3.AttributeContext_HttpRequest){
		"escape in the path":  func(h *authv3.AttributeContext_HttpRequest) { h.Path = "/%zz" },
		"semicolon in query":  func(h *authv3.AttributeContext_HttpRequest) { h.Path = "/a?b;c" },
		"body is no JSON":     func(h *authv3.AttributeContext_HttpRequest) { h.Body = inputtest.Secret },
		"length is no number": func(h *authv3.AttributeContext_HttpRequest) { h.Headers["content-length"] = "x" },
	}
	for name, change := range cases {
		f := inputtest.Facts()
		check := inputtest.Check()
		change(check.GetAttributes().GetRequest().GetHttp())
		f.Request = inputtest.Request{CheckRequest: check}
		_, err := input.New(input.Options{}).Value(f)
		refusal, ok := err.(*authz.Refusal) //nolint:errorlint // It is not wrapped.
		if !ok || refusal.Reason != authz.ReasonRequestMalformed || strings.Contains(err.Error(), inputtest.Secret) {
			t.Errorf("%s: %v", name, err)
		}
		if doc, err := input.Document(f); err != nil || doc["token"] == nil {
			t.Errorf("%s: the plain document is lost: %v", name, err)
		}
	}
}

func TestATruncatedBodyIsNotParsed(t *testing.T) {
	check := inputtest.Check()
	check.GetAttributes().GetRequest().GetHttp().Headers["x-envoy-auth-partial-body"] = "true"
	f := inputtest.Facts()
	f.Request = inputtest.Request{CheckRequest: check}
	doc, _ := build(t, input.Options{}, f).(map[string]any)
	if doc["truncated_body"] != true || doc["parsed_body"] != nil {
		t.Errorf("truncated %v, body %v", doc["truncated_body"], doc["parsed_body"])
	}
}

// Whatever bytes come, the document is made without a panic and is JSON.
func FuzzInput(f *testing.F) {
	sample, err := proto.Marshal(inputtest.Check())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		check := &authv3.CheckRequest{}
		if proto.Unmarshal(wire, check) != nil {
			return
		}
		facts := inputtest.Facts()
		facts.Request = inputtest.Request{CheckRequest: check}
		doc, err := input.Document(facts)
		if err != nil {
			return
		}
		encoded, err := json.Marshal(doc)
		if err != nil || !json.Valid(encoded) {
			t.Errorf("the document is no JSON: %v", err)
		}
	})
}

// AppendJSON writes what OPA's own way to JSON gives.
func TestADocumentIsWrittenAsOPAShowsIt(t *testing.T) {
	odd := ast.MustParseTerm(`{"s": {3, 1, "b\u2028<&>\u0001\"\\é"}, "a": [null, true, 1.50, -1e400], "o": {}, "e": set(), "n": {"é": []}}`).Value
	facts, err := input.New(input.Options{}).Value(inputtest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []ast.Value{odd, facts} {
		plain, err := ast.JSON(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := input.AppendJSON([]byte("x"), v, nil)
		if err != nil || got[0] != 'x' || !json.Valid(got[1:]) {
			t.Fatalf("%s, %v", got, err)
		}
		if a, b := decoded(t, got[1:]), decoded(t, want); !reflect.DeepEqual(a, b) {
			t.Errorf("%v\nwant %v", a, b)
		}
	}
	shouted, err := input.AppendJSON(nil, odd, strings.ToUpper)
	if err != nil || !strings.Contains(string(shouted), "É") || strings.Contains(string(shouted), `"S"`) {
		t.Errorf("texts, and no keys, go through the function: %s, %v", shouted, err)
	}
	if _, err := input.AppendJSON(nil, ast.Var("x"), nil); err == nil {
		t.Error("a variable is written")
	}
}

func decoded(t *testing.T, text []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// AppendFacts writes what the builder builds, but for the request's own part.
func TestFactsAreWrittenAsTheyAreBuilt(t *testing.T) {
	b := input.New(input.Options{Fields: input.Paths("patrol", "client", "credential", "token", "organization", "membership", "authorization", "route", "now")})
	for name, f := range factsOfAllKinds() {
		got, gotErr := input.AppendFacts([]byte("x"), f, strings.ToUpper)
		f.Request = nil
		v, err := b.Value(f)
		if (err == nil) != (gotErr == nil) {
			t.Errorf("%s: %v, and built: %v", name, gotErr, err)
		}
		if err != nil {
			continue
		}
		want, err := input.AppendJSON(nil, v, strings.ToUpper)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := decoded(t, got[1:]), decoded(t, want); got[0] != 'x' || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
}

func BenchmarkAppendFacts(b *testing.B) {
	f := inputtest.Facts()
	f.Organization.Frozen = input.FreezeOrganization(f.Organization)
	f.Current.Frozen = input.FreezeGrants(f.Current.Grants)
	var room []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if room, err = input.AppendFacts(room[:0], f, nil); err != nil {
			b.Fatal(err)
		}
	}
}
