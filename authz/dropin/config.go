package dropin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/patrol-authz/patrol/authz/engine"
)

// Defaults of the section.
const (
	DefaultPath           = "envoy/authz/allow"
	DefaultAddr           = ":9191"
	DefaultMaxRecvMsgSize = 4 << 20
	DefaultMaxSendMsgSize = math.MaxInt32
)

// Config is the section plugins.envoy_ext_authz_grpc.
type Config struct {
	Addr string `json:"addr"`
	// Path of the decision below data. Default: envoy/authz/allow.
	Path string `json:"path"`
	// Query is what the decision is, where it is no path; excludes Path.
	Query string `json:"query"`
	// DryRun allows what the policy refuses, but not what is malformed.
	DryRun           bool `json:"dry-run"`
	EnableReflection bool `json:"enable-reflection"`
	// ProtoDescriptor is the file of a FileDescriptorSet, so that bodies of
	// gRPC requests can be read.
	ProtoDescriptor           string    `json:"proto-descriptor"`
	GRPCMaxRecvMsgSize        int       `json:"grpc-max-recv-msg-size"`
	GRPCMaxSendMsgSize        int       `json:"grpc-max-send-msg-size"`
	SkipRequestBodyParse      bool      `json:"skip-request-body-parse"`
	EnablePerformanceMetrics  bool      `json:"enable-performance-metrics"`
	GRPCRequestDurationBucket []float64 `json:"grpc-request-duration-seconds-buckets"`
	// Facts is refused: who wants patrol's facts is one of patrol's own policies.
	Facts bool `json:"facts"`
}

// ParseConfig reads the section, as JSON, and checks it. An unknown key is an
// error, unlike in the plugin.
func ParseConfig(section []byte) (*Config, error) {
	c := &Config{
		Addr:               DefaultAddr,
		GRPCMaxRecvMsgSize: DefaultMaxRecvMsgSize,
		GRPCMaxSendMsgSize: DefaultMaxSendMsgSize,
	}
	if len(bytes.TrimSpace(section)) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(section))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(c); err != nil {
			return nil, fmt.Errorf("plugins.envoy_ext_authz_grpc: %w", err)
		}
	}
	if c.Path != "" && c.Query != "" {
		return nil, errors.New("plugins.envoy_ext_authz_grpc: path and query exclude each other")
	}
	if c.Path == "" && c.Query == "" {
		c.Path = DefaultPath
	}
	if c.Facts {
		return nil, errors.New("plugins.envoy_ext_authz_grpc: facts: a policy that reads patrol's facts is no plugin's: " +
			"put it under local in a bundle of policy.bundles, name its decision in policy.decisions, and leave this section out")
	}
	if _, err := c.body(); err != nil {
		return nil, err
	}
	if _, err := c.descriptors(); err != nil {
		return nil, err
	}
	return c, nil
}

// body is the query that the decision is.
func (c *Config) body() (ast.Body, error) {
	if c.Query == "" {
		return ast.NewBody(ast.NewExpr(ast.NewTerm(engine.PathRef(c.Path)))), nil
	}
	body, err := ast.ParseBody(c.Query)
	if err != nil {
		return nil, fmt.Errorf("plugins.envoy_ext_authz_grpc: query: %w", err)
	}
	return body, nil
}

// descriptors reads the configured descriptors; nil if there are none.
func (c *Config) descriptors() (*protoregistry.Files, error) {
	if c.ProtoDescriptor == "" {
		return nil, nil
	}
	encoded, err := os.ReadFile(c.ProtoDescriptor)
	if err != nil {
		return nil, fmt.Errorf("plugins.envoy_ext_authz_grpc: proto-descriptor: %w", err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(encoded, &set); err != nil {
		return nil, fmt.Errorf("plugins.envoy_ext_authz_grpc: proto-descriptor %s: %w", c.ProtoDescriptor, err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("plugins.envoy_ext_authz_grpc: proto-descriptor %s: %w", c.ProtoDescriptor, err)
	}
	return files, nil
}
