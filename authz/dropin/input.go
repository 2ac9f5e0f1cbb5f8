package dropin

import (
	"fmt"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/protodoc"
)

// document makes the plugin's input of a request. Path, query and body are
// always parsed, since a request whose body can't be parsed is refused whether
// or not the policy reads it; but only what the policy reads becomes terms.
func (p *Policy) document(request *authv3.CheckRequest) (ast.Value, error) {
	attributes := request.GetAttributes()
	http := attributes.GetRequest().GetHttp()
	segments, query, err := input.ParsePath(http.GetPath())
	if err != nil {
		return nil, err
	}
	doc := map[string]any{"version": input.Version(), "parsed_path": segments}
	queryDocument := make(map[string]any, len(query))
	for k, v := range query {
		queryDocument[k] = v
	}
	doc["parsed_query"] = queryDocument
	if !p.config.SkipRequestBodyParse {
		headers := http.GetHeaders()
		doc["parsed_body"], doc["truncated_body"], err = input.ParseBody(input.Payload{
			Header:      func(name string) (string, bool) { v, ok := headers[name]; return v, ok },
			Text:        http.GetBody(),
			Raw:         http.GetRawBody(),
			Segments:    segments,
			Descriptors: p.descriptors,
		})
		if err != nil {
			return nil, err
		}
	}
	if principal := attributes.GetSource().GetPrincipal(); principal != "" {
		doc["source_principal"] = principal
	}
	if attributes != nil && p.fields.At("attributes") != nil {
		if doc["attributes"], err = protodoc.Of(attributes); err != nil {
			return nil, fmt.Errorf("attributes: %w", err)
		}
	}
	return ast.InterfaceToValue(doc)
}
