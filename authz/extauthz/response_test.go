package extauthz

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
)

// respond is what encode is compared with: the same by the generated code. Its status is always set: Envoy reads an unset
// one as an allow.
func respond(a *answer.Answer) *authv3.CheckResponse {
	metadata, err := structpb.NewStruct(a.Metadata)
	if err != nil {
		metadata = nil
	}
	if a.Allowed {
		ok := &authv3.OkHttpResponse{
			Headers: options(a.Upstream), HeadersToRemove: a.Remove, ResponseHeadersToAdd: options(a.ResponseHeaders), QueryParametersToRemove: a.QueryRemove,
		}
		for _, q := range a.QuerySet {
			ok.QueryParametersToSet = append(ok.QueryParametersToSet, &corev3.QueryParameter{Key: q.Name, Value: q.Value})
		}
		return &authv3.CheckResponse{Status: &status.Status{Code: 0}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: ok}, DynamicMetadata: metadata}
	}
	code := a.GRPCStatus
	if code < 1 || code > 16 {
		code = 7 // PERMISSION_DENIED: never 0
	}
	httpStatus := a.HTTPStatus
	if httpStatus < 400 || httpStatus > 599 {
		httpStatus = 403
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(code)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode(httpStatus)}, Headers: options(a.Headers), Body: a.Body,
		}},
		DynamicMetadata: metadata,
	}
}

func options(headers []authz.HeaderValue) []*corev3.HeaderValueOption {
	out := make([]*corev3.HeaderValueOption, len(headers))
	for i, h := range headers {
		out[i] = &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: h.Name, Value: h.Value}}
	}
	return out
}
