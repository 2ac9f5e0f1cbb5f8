package extauthz

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
)

// Tags of the fields that are written, all of them with a length: the number
// times eight, and two. See envoy/service/auth/v3/external_auth.proto.
const (
	tagStatus   = 1<<3 | 2 // CheckResponse
	tagDenied   = 2<<3 | 2
	tagOK       = 3<<3 | 2
	tagMetadata = 4<<3 | 2

	tagDeniedStatus  = 1<<3 | 2 // DeniedHttpResponse
	tagDeniedHeaders = 2<<3 | 2
	tagDeniedBody    = 3<<3 | 2

	tagOKHeaders         = 2<<3 | 2 // OkHttpResponse
	tagOKRemove          = 5<<3 | 2
	tagOKResponseHeaders = 6<<3 | 2
	tagOKQuerySet        = 7<<3 | 2
	tagOKQueryRemove     = 8<<3 | 2

	tagFirst  = 1<<3 | 2 // of HeaderValueOption, HeaderValue, Struct and a map's entry
	tagSecond = 2<<3 | 2 // of HeaderValue and a map's entry
	tagText   = 3<<3 | 2 // string_value of google.protobuf.Value

	tagCode = 1 << 3 // of google.rpc.Status and HttpStatus: a number
)

// encode writes an answer as a CheckResponse. Its status is always set: Envoy
// reads an unset one as an allow.
func encode(a *answer.Answer) []byte {
	out := appendField(make([]byte, 0, 1024), tagStatus, statusOf(a))
	if a.Allowed {
		out = appendField(out, tagOK, okResponse(a))
	} else {
		out = appendField(out, tagDenied, deniedResponse(a))
	}
	if metadata := metadataOf(a.Metadata); metadata != nil {
		out = appendField(out, tagMetadata, metadata)
	}
	return out
}

func statusOf(a *answer.Answer) []byte {
	if a.Allowed {
		return nil // zero is OK, and not written; the status is there all the same
	}
	code := a.GRPCStatus
	if code < 1 || code > 16 {
		code = 7 // PERMISSION_DENIED: never 0
	}
	return []byte{tagCode, byte(code)}
}

func deniedResponse(a *answer.Answer) []byte {
	code := a.HTTPStatus
	if code < 400 || code > 599 {
		code = 403
	}
	out := appendField(nil, tagDeniedStatus, protowire.AppendVarint([]byte{tagCode}, uint64(code)))
	out = appendHeaders(out, tagDeniedHeaders, a.Headers)
	return appendText(out, tagDeniedBody, a.Body)
}

func okResponse(a *answer.Answer) []byte {
	out := appendHeaders(nil, tagOKHeaders, a.Upstream)
	out = appendTexts(out, tagOKRemove, a.Remove)
	out = appendHeaders(out, tagOKResponseHeaders, a.ResponseHeaders)
	for _, q := range a.QuerySet {
		out = appendField(out, tagOKQuerySet, appendText(appendText(nil, tagFirst, q.Name), tagSecond, q.Value))
	}
	return appendTexts(out, tagOKQueryRemove, a.QueryRemove)
}

func appendField(out []byte, tag byte, content []byte) []byte {
	return protowire.AppendBytes(append(out, tag), content)
}

// appendText leaves an empty text out, as protobuf does. Envoy takes no other
// text than UTF-8; what is none is replaced, so that the answer arrives.
func appendText(out []byte, tag byte, text string) []byte {
	if text == "" {
		return out
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	return protowire.AppendString(append(out, tag), text)
}

// appendTexts writes a list, whose empty members count.
func appendTexts(out []byte, tag byte, list []string) []byte {
	for _, text := range list {
		out = protowire.AppendString(append(out, tag), strings.ToValidUTF8(text, "\uFFFD"))
	}
	return out
}

func appendHeaders(out []byte, tag byte, headers []authz.HeaderValue) []byte {
	for _, h := range headers {
		value := appendText(appendText(nil, tagFirst, h.Name), tagSecond, h.Value)
		out = appendField(out, tag, appendField(nil, tagFirst, value))
	}
	return out
}

// metadataOf writes a google.protobuf.Struct, its keys in order. One that
// cannot be written is left out.
func metadataOf(metadata map[string]any) []byte {
	out := []byte{}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		value, err := structpb.NewValue(metadata[key])
		if err != nil || !utf8.ValidString(key) {
			return nil
		}
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(value)
		if err != nil {
			return nil
		}
		entry := appendField(protowire.AppendString([]byte{tagFirst}, key), tagSecond, encoded)
		out = appendField(out, tagFirst, entry)
	}
	return out
}
