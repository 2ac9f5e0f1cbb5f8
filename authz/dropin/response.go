package dropin

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
)

// respond turns the value of the decision into a response, without the
// decision's id.
func respond(v ast.Value) (response *authv3.CheckResponse, refused bool, err error) {
	switch v := v.(type) {
	case ast.Boolean:
		return &authv3.CheckResponse{Status: status(bool(v))}, !bool(v), nil
	case ast.Object:
		return respondObject(v)
	default:
		return nil, true, fmt.Errorf("illegal value for policy evaluation result: %s", ast.ValueName(v))
	}
}

func status(allowed bool) *rpcstatus.Status {
	if allowed {
		return &rpcstatus.Status{Code: int32(codes.OK)}
	}
	return &rpcstatus.Status{Code: int32(codes.PermissionDenied)}
}

func respondObject(o ast.Object) (*authv3.CheckResponse, bool, error) {
	term := o.Get(ast.StringTerm("allowed"))
	if term == nil {
		return nil, true, errors.New(`the decision has no member "allowed"`)
	}
	allowed, ok := term.Value.(ast.Boolean)
	if !ok {
		return nil, true, fmt.Errorf("the decision's allowed is no boolean but %s", ast.ValueName(term.Value))
	}
	d, err := engine.DecodeEnvoy(o, bool(allowed), false)
	if err != nil {
		return nil, true, err
	}
	if d == nil {
		d = &authz.EnvoyDecision{}
	}
	if err := encodable(d); err != nil {
		return nil, true, err
	}
	response := &authv3.CheckResponse{Status: status(bool(allowed))}
	if d.Metadata != nil {
		if response.DynamicMetadata, err = structpb.NewStruct(d.Metadata); err != nil {
			return nil, true, fmt.Errorf("the decision's dynamic_metadata: %w", err)
		}
	}
	if allowed {
		response.HttpResponse = &authv3.CheckResponse_OkResponse{OkResponse: okResponse(d)}
	} else {
		response.HttpResponse = &authv3.CheckResponse_DeniedResponse{DeniedResponse: deniedResponse(d)}
	}
	return response, !bool(allowed), nil
}

// encodable says why a decision could not be put on the wire: protobuf has no
// strings but UTF-8, and a message that can't be encoded fails the whole call.
func encodable(d *authz.EnvoyDecision) error {
	texts := append([]string{d.Body}, d.RequestHeadersRemove...)
	texts = append(texts, d.QueryRemove...)
	for _, list := range [][]authz.HeaderValue{d.Headers, d.ResponseHeaders, d.QuerySet} {
		for _, h := range list {
			texts = append(texts, h.Name, h.Value)
		}
	}
	for _, t := range texts {
		if !utf8.ValidString(t) {
			return errors.New("the decision holds text that is not UTF-8")
		}
	}
	return nil
}

func okResponse(d *authz.EnvoyDecision) *authv3.OkHttpResponse {
	ok := &authv3.OkHttpResponse{
		Headers:                 headers(d.Headers),
		HeadersToRemove:         names(d.RequestHeadersRemove),
		ResponseHeadersToAdd:    headers(d.ResponseHeaders),
		QueryParametersToRemove: d.QueryRemove,
	}
	for _, q := range d.QuerySet {
		ok.QueryParametersToSet = append(ok.QueryParametersToSet, &corev3.QueryParameter{Key: q.Name, Value: q.Value})
	}
	return ok
}

func deniedResponse(d *authz.EnvoyDecision) *authv3.DeniedHttpResponse {
	code := typev3.StatusCode_Forbidden
	if d.HTTPStatus != 0 {
		code = typev3.StatusCode(d.HTTPStatus) //nolint:gosec // Checked to be a status that Envoy has.
	}
	return &authv3.DeniedHttpResponse{
		Status: &typev3.HttpStatus{Code: code}, Headers: headers(d.Headers), Body: d.Body,
	}
}

// headers leaves out those that would break, or split, a message.
func headers(list []authz.HeaderValue) []*corev3.HeaderValueOption {
	var options []*corev3.HeaderValueOption
	for _, h := range list {
		if breaks(h.Name) || breaks(h.Value) {
			continue
		}
		options = append(options, &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: h.Name, Value: h.Value}})
	}
	return options
}

func names(list []string) []string {
	var kept []string
	for _, name := range list {
		if !breaks(name) {
			kept = append(kept, name)
		}
	}
	return kept
}

func breaks(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }

// waive turns a refusal into an allow, for the dry run.
func waive(response *authv3.CheckResponse) {
	response.Status = status(true)
	response.HttpResponse = &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}
}

// identify puts the decision's id into the dynamic metadata.
func identify(response *authv3.CheckResponse, id string) {
	if response.GetDynamicMetadata() == nil {
		response.DynamicMetadata = &structpb.Struct{}
	}
	if response.DynamicMetadata.Fields == nil {
		response.DynamicMetadata.Fields = make(map[string]*structpb.Value, 1)
	}
	response.DynamicMetadata.Fields["decision_id"] = structpb.NewStringValue(id)
}

// malformed refuses a request that can't be shown to the policy, in the
// plugin's words: its dry run does not cover it either.
func malformed(err error) *authv3.CheckResponse {
	text := strings.ToValidUTF8("request_parse_error: "+err.Error(), "\uFFFD")
	return denied(codes.PermissionDenied, text, typev3.StatusCode_BadRequest, text, nil)
}

// Undecodable refuses bytes that are no CheckRequest.
func Undecodable() *authv3.CheckResponse {
	const text = "request_parse_error: the message can not be decoded"
	return denied(codes.PermissionDenied, text, typev3.StatusCode_BadRequest, text, nil)
}

// Failed denies a request for which no decision could be made: no bundle, an
// evaluation that failed, or a result that is none. The client is not told
// what it was.
func Failed(decisionID string) *authv3.CheckResponse {
	reason := authz.BuiltinReasons[authz.ReasonPolicyError]
	response := denied(codes.Code(reason.GRPCStatus), reason.Sentence, //nolint:gosec // A constant.
		typev3.StatusCode_ServiceUnavailable, reason.Sentence,
		[]authz.HeaderValue{{Name: "x-error-code", Value: reason.Code}})
	if decisionID != "" {
		identify(response, decisionID)
	}
	return response
}

func denied(
	code codes.Code, message string, http typev3.StatusCode, body string, list []authz.HeaderValue,
) *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: int32(code), Message: message}, //nolint:gosec // A small enumeration.
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: http}, Body: body, Headers: headers(list),
		}},
	}
}
