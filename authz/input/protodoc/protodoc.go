// Package protodoc shows a protobuf message as plain JSON values in the way
// opa-envoy-plugin shows it to policies: fields that are unset are absent,
// names are those of protojson, but numbers of every width are numbers, enums
// are their numbers, bytes are base64, and well-known types other than Struct
// are messages like any other.
package protodoc

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// Of returns a message as map[string]any, []any, string, json.Number, bool and
// nil. A number that JSON has no form for is an error.
func Of(m proto.Message) (map[string]any, error) { return message(m.ProtoReflect()) }

func message(m protoreflect.Message) (map[string]any, error) {
	if s, ok := m.Interface().(*structpb.Struct); ok {
		return structure(s)
	}
	doc := map[string]any{}
	var failed error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		doc[fd.JSONName()], failed = field(fd, v)
		if failed != nil {
			failed = fmt.Errorf("%s: %w", fd.JSONName(), failed)
		}
		return failed == nil
	})
	return doc, failed
}

func field(fd protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	switch {
	case fd.IsMap():
		doc := make(map[string]any, v.Map().Len())
		var failed error
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			doc[k.String()], failed = value(fd.MapValue().Kind(), v)
			return failed == nil
		})
		return doc, failed
	case fd.IsList():
		list := make([]any, v.List().Len())
		for i := range list {
			var err error
			if list[i], err = value(fd.Kind(), v.List().Get(i)); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return value(fd.Kind(), v)
}

func value(kind protoreflect.Kind, v protoreflect.Value) (any, error) {
	switch kind {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return message(v.Message())
	case protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(v.Bytes()), nil
	case protoreflect.StringKind:
		return v.String(), nil
	case protoreflect.BoolKind:
		return v.Bool(), nil
	case protoreflect.EnumKind:
		return json.Number(strconv.Itoa(int(v.Enum()))), nil
	case protoreflect.FloatKind:
		return number(v.Float(), 32)
	case protoreflect.DoubleKind:
		return number(v.Float(), 64)
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return json.Number(strconv.FormatUint(v.Uint(), 10)), nil
	default:
		return json.Number(strconv.FormatInt(v.Int(), 10)), nil
	}
}

func number(f float64, bits int) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v is no JSON number", f)
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, bits)), nil
}

func structure(s *structpb.Struct) (map[string]any, error) {
	doc := make(map[string]any, len(s.GetFields()))
	for k, v := range s.GetFields() {
		var err error
		if doc[k], err = structValue(v); err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
	}
	return doc, nil
}

func structValue(v *structpb.Value) (any, error) {
	switch v := v.GetKind().(type) {
	case *structpb.Value_NumberValue:
		if math.IsNaN(v.NumberValue) || math.IsInf(v.NumberValue, 0) {
			return structpb.NewNumberValue(v.NumberValue).AsInterface(), nil // by its name
		}
		return number(v.NumberValue, 64)
	case *structpb.Value_StringValue:
		return v.StringValue, nil
	case *structpb.Value_BoolValue:
		return v.BoolValue, nil
	case *structpb.Value_StructValue:
		return structure(v.StructValue)
	case *structpb.Value_ListValue:
		list := make([]any, len(v.ListValue.GetValues()))
		for i, item := range v.ListValue.GetValues() {
			var err error
			if list[i], err = structValue(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	default:
		return nil, nil
	}
}
