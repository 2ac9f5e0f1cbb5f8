package input

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/util"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Payload is a request's body with what is needed to read it. Envoy sends
// either Text, or, with pack_as_bytes, Raw.
type Payload struct {
	Header   func(name string) (string, bool)
	Text     string
	Raw      []byte
	Segments []string // of the path; for a gRPC body: service and method
	// Descriptors describe the gRPC services whose messages can be read; nil
	// leaves gRPC bodies unread.
	Descriptors *protoregistry.Files
}

// ParseBody reads a body by its content type as opa-envoy-plugin does: JSON,
// a form, a multipart form, or the first message of a gRPC request. A body of
// another type, or none, is nil. truncated says that Envoy sent only its
// beginning; then nothing was parsed.
func ParseBody(p Payload) (parsed any, truncated bool, err error) {
	if v, _ := p.Header("x-envoy-auth-partial-body"); v == "true" {
		return nil, true, nil
	}
	kind, _ := p.Header("content-type")
	switch {
	case strings.Contains(kind, "application/json"):
		return p.parseComplete(parseJSON)
	case strings.Contains(kind, "application/grpc"):
		return p.parseGRPC()
	case strings.Contains(kind, "application/x-www-form-urlencoded"):
		return p.parseComplete(parseForm)
	case strings.Contains(kind, "multipart/form-data"):
		return p.parseComplete(func(body []byte) (any, error) { return parseMultipart(kind, body) })
	}
	return nil, false, nil
}

// parseComplete parses a body that is there, and whole by its content-length.
func (p *Payload) parseComplete(parse func([]byte) (any, error)) (any, bool, error) {
	body := []byte(p.Text)
	if len(body) == 0 {
		body = p.Raw
	}
	if len(body) == 0 {
		return nil, false, nil
	}
	if v, ok := p.Header("content-length"); ok {
		length, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return nil, false, err
		}
		if length > int64(len(body)) {
			return nil, true, nil
		}
	}
	parsed, err := parse(body)
	return parsed, false, err
}

func parseJSON(body []byte) (any, error) {
	var v any
	err := util.UnmarshalJSON(body, &v)
	return v, err
}

func parseForm(body []byte) (any, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	return queryDocument(values), nil
}

// queryDocument is a set of parameters as plain JSON.
func queryDocument(values url.Values) map[string]any {
	doc := make(map[string]any, len(values))
	for k, vs := range values {
		list := make([]any, len(vs))
		for i, v := range vs {
			list[i] = v
		}
		doc[k] = list
	}
	return doc
}

func parseMultipart(contentType string, body []byte) (any, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	boundary, ok := params["boundary"]
	if !ok {
		return nil, nil
	}
	values := map[string]any{}
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := reader.NextPart()
		if err == io.EOF { //nolint:errorlint // A wrapped EOF is a part that was cut off.
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		name := part.FormName()
		if name == "" {
			continue
		}
		value, err := readPart(part)
		if err != nil {
			return nil, err
		}
		list, _ := values[name].([]any)
		values[name] = append(list, value)
	}
}

func readPart(part *multipart.Part) (any, error) {
	content, err := io.ReadAll(part)
	if err != nil {
		return nil, err
	}
	if strings.Contains(part.Header.Get("Content-Type"), "application/json") {
		return parseJSON(content)
	}
	return string(content), nil
}

// The frame of a gRPC message: one byte that says whether it is compressed,
// four bytes of length.
// See https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
const grpcFrameHeader = 5

var (
	errGRPCPath  = errors.New("invalid parsed path")
	errGRPCFrame = errors.New("less than 5 bytes")
)

func (p *Payload) parseGRPC() (any, bool, error) {
	if p.Descriptors == nil || len(p.Raw) == 0 {
		return nil, false, nil
	}
	if len(p.Segments) != 2 {
		return nil, false, errGRPCPath
	}
	if len(p.Raw) < grpcFrameHeader {
		return nil, false, errGRPCFrame
	}
	if p.Raw[0] != 0 {
		return nil, false, nil // compressed
	}
	size := uint64(binary.BigEndian.Uint32(p.Raw[1:grpcFrameHeader]))
	if size > uint64(len(p.Raw)-grpcFrameHeader) {
		return nil, true, nil
	}
	message := requestMessage(p.Descriptors, p.Segments[0], p.Segments[1])
	if message == nil {
		return nil, false, nil
	}
	if err := proto.Unmarshal(p.Raw[grpcFrameHeader:grpcFrameHeader+size], message); err != nil {
		return nil, false, err
	}
	encoded, err := protojson.Marshal(message)
	if err != nil {
		return nil, false, err
	}
	parsed, err := parseJSON(encoded)
	return parsed, false, err
}

// requestMessage returns an empty message of the type that a method takes, or
// nil where the method is unknown or takes a stream.
func requestMessage(files *protoregistry.Files, service, method string) proto.Message {
	found, err := files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil
	}
	descriptor, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	m := descriptor.Methods().ByName(protoreflect.Name(method))
	if m == nil || m.IsStreamingClient() {
		return nil
	}
	return dynamicpb.NewMessage(m.Input())
}
