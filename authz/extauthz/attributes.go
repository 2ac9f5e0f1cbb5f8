package extauthz

import (
	"bytes"
	"encoding/json"
	"fmt"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/wire"
)

// Read is a view of a message as the server has it. show gives its attributes
// as opa-envoy-plugin would; nil: by protojson.
func Read(message string, show func(*authv3.AttributeContext) (map[string]any, error)) (authz.Request, error) {
	return wire.Parse(message, shower(show))
}

// shower decodes a whole message for the policies that read input.attributes
// beyond what a view has.
func shower(show func(*authv3.AttributeContext) (map[string]any, error)) wire.Show {
	if show == nil {
		show = byProtojson
	}
	return func(message string) (map[string]any, error) {
		r := &authv3.CheckRequest{}
		if err := proto.Unmarshal([]byte(message), r); err != nil {
			return nil, fmt.Errorf("decode the message: %w", err)
		}
		return show(r.GetAttributes())
	}
}

func byProtojson(a *authv3.AttributeContext) (map[string]any, error) {
	if a == nil {
		return map[string]any{}, nil
	}
	b, err := protojson.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("show the attributes: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var out map[string]any
	return out, dec.Decode(&out)
}
