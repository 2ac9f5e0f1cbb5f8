// Package dropintest loads the recorded answers of opa-envoy-plugin and says
// whether an answer is equal to one.
package dropintest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz/dropin"
)

// Case is one recorded answer.
type Case struct {
	ID     string `json:"id"`
	Family string `json:"family"`
	Title  string `json:"title"`
	API    string `json:"api"`
	// Group is equal for cases that can share a server.
	Group  string `json:"group"`
	Policy struct {
		Files       map[string]string `json:"files"`
		RegoVersion string            `json:"rego_version"`
		Data        map[string]any    `json:"data"`
	} `json:"policy"`
	// Section is the configuration, its paths absolute.
	Section map[string]any `json:"config"`
	Wire    string         `json:"request_wire_b64"`
	Expect  struct {
		GRPC struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"grpc"`
		Response   json.RawMessage `json:"response"`
		DecisionID bool            `json:"decision_id_in_dynamic_metadata"`
		DeniedBody json.RawMessage `json:"denied_body_json"`
	} `json:"expect"`
}

// Deviation is a case that is answered differently on purpose.
type Deviation struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Load reads all cases of testdata/dropin, sorted by id.
func Load(dir string) ([]*Case, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "cases", "*.json"))
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var cases []*Case
	for _, path := range paths {
		c := &Case{}
		if err := readJSON(path, c); err != nil {
			return nil, err
		}
		if file, ok := c.Section["proto-descriptor"].(string); ok {
			c.Section["proto-descriptor"] = filepath.Join(dir, file)
		}
		cases = append(cases, c)
	}
	slices.SortFunc(cases, func(a, b *Case) int { return strings.Compare(a.ID, b.ID) })
	return cases, nil
}

// LoadDeviations reads deviations.json: reasons by case id.
func LoadDeviations(dir string) (map[string]string, error) {
	var list []Deviation
	if err := readJSON(filepath.Join(dir, "deviations.json"), &list); err != nil {
		return nil, err
	}
	reasons := make(map[string]string, len(list))
	for _, d := range list {
		if d.Reason == "" || reasons[d.ID] != "" {
			return nil, fmt.Errorf("deviations.json: %s is listed twice or without a reason", d.ID)
		}
		reasons[d.ID] = d.Reason
	}
	return reasons, nil
}

func readJSON(path string, into any) error {
	encoded, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// Message returns the request as it was sent.
func (c *Case) Message() ([]byte, error) { return base64.StdEncoding.DecodeString(c.Wire) }

// Config returns the case's configuration.
func (c *Case) Config() (*dropin.Config, error) {
	section, err := json.Marshal(c.Section)
	if err != nil {
		return nil, err
	}
	return dropin.ParseConfig(section)
}

// Prepare compiles the case's policy and prepares it.
func (c *Case) Prepare(ctx context.Context) (*dropin.Policy, error) {
	compiler, err := c.compile()
	if err != nil {
		return nil, err
	}
	config, err := c.Config()
	if err != nil {
		return nil, err
	}
	return dropin.New(ctx, dropin.Options{Config: config, Compiler: compiler, Store: c.store()})
}

func (c *Case) compile() (*ast.Compiler, error) {
	version := ast.RegoV1
	if c.Policy.RegoVersion == "v0" {
		version = ast.RegoV0
	}
	modules := map[string]*ast.Module{}
	for name, source := range c.Policy.Files {
		module, err := ast.ParseModuleWithOpts(name, source, ast.ParserOptions{RegoVersion: version})
		if err != nil {
			return nil, err
		}
		modules[name] = module
	}
	compiler := ast.NewCompiler().WithDefaultRegoVersion(version)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, compiler.Errors
	}
	return compiler, nil
}

func (c *Case) store() storage.Store {
	if c.Policy.Data == nil {
		return inmem.New()
	}
	return inmem.NewFromObject(c.Policy.Data)
}

// Differs says how an answer differs from the recorded one; "" if it does not.
// code is the name of the gRPC code that the call ended with.
func (c *Case) Differs(code string, response *authv3.CheckResponse) string {
	if code != c.Expect.GRPC.Code {
		return fmt.Sprintf("gRPC code %s, want %s (%s)", code, c.Expect.GRPC.Code, c.Expect.GRPC.Message)
	}
	if code != "OK" {
		return ""
	}
	got := proto.Clone(response).(*authv3.CheckResponse)
	_, identified := got.GetDynamicMetadata().GetFields()["decision_id"]
	if identified != c.Expect.DecisionID {
		return fmt.Sprintf("decision_id in the metadata: %t, want %t", identified, c.Expect.DecisionID)
	}
	delete(got.GetDynamicMetadata().GetFields(), "decision_id")
	if c.Expect.DeniedBody != nil {
		denied := got.GetDeniedResponse()
		if diff := differsJSON([]byte(denied.GetBody()), c.Expect.DeniedBody); diff != "" {
			return diff
		}
		denied.Body = ""
	}
	want := &authv3.CheckResponse{}
	if err := protojson.Unmarshal(c.Expect.Response, want); err != nil {
		return fmt.Sprintf("the recorded response can't be read: %v", err)
	}
	order(want)
	order(got)
	if !proto.Equal(got, want) {
		return fmt.Sprintf("got  %v\nwant %v", got, want)
	}
	return ""
}

func differsJSON(got, want []byte) string {
	var g, w any
	for _, side := range []struct {
		encoded []byte
		into    *any
	}{{got, &g}, {want, &w}} {
		decoder := json.NewDecoder(bytes.NewReader(side.encoded))
		decoder.UseNumber()
		if err := decoder.Decode(side.into); err != nil {
			return fmt.Sprintf("the body is no JSON: %v: %s", err, side.encoded)
		}
	}
	if !reflect.DeepEqual(g, w) {
		return fmt.Sprintf("body\n%s\nwant\n%s", got, want)
	}
	return ""
}

// order sorts the lists whose order the plugin takes from a map, and lets go
// of empty ones, which are the same on the wire as none.
func order(r *authv3.CheckResponse) {
	sortHeaders := func(list []*corev3.HeaderValueOption) {
		slices.SortStableFunc(list, func(a, b *corev3.HeaderValueOption) int {
			return strings.Compare(a.GetHeader().GetKey()+"\x00"+a.GetHeader().GetValue(),
				b.GetHeader().GetKey()+"\x00"+b.GetHeader().GetValue())
		})
	}
	sortHeaders(r.GetOkResponse().GetHeaders())
	sortHeaders(r.GetOkResponse().GetResponseHeadersToAdd())
	sortHeaders(r.GetDeniedResponse().GetHeaders())
	slices.SortStableFunc(r.GetOkResponse().GetQueryParametersToSet(), func(a, b *corev3.QueryParameter) int {
		return strings.Compare(a.GetKey()+"\x00"+a.GetValue(), b.GetKey()+"\x00"+b.GetValue())
	})
}
