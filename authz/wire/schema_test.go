package wire

import (
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestTheSchemaIsTheGeneratedCodes: each field of each message that a
// CheckRequest can hold is described as the generated code has it.
func TestTheSchemaIsTheGeneratedCodes(t *testing.T) {
	type pair struct {
		ours   *message
		theirs protoreflect.FullName
	}
	seen := map[pair]bool{}
	var compare func(*message, protoreflect.MessageDescriptor)
	compare = func(m *message, d protoreflect.MessageDescriptor) {
		if p := (pair{m, d.FullName()}); seen[p] {
			return
		} else {
			seen[p] = true
		}
		if m.name != string(d.FullName()) && !d.IsMapEntry() {
			t.Errorf("%s is described by %q", d.FullName(), m.name)
		}
		described := 0
		for _, f := range m.fields {
			if f.kind != unknown {
				described++
			}
		}
		if described != d.Fields().Len() {
			t.Errorf("%s has %d fields, %d are described", d.FullName(), d.Fields().Len(), described)
		}
		for i := range d.Fields().Len() {
			theirs := d.Fields().Get(i)
			if int(theirs.Number()) >= len(m.fields) {
				t.Errorf("%s is not described", theirs.FullName())
				continue
			}
			ours := m.fields[theirs.Number()]
			if want := kindOf(theirs); ours.kind != want {
				t.Errorf("%s is described as kind %d, want %d", theirs.FullName(), ours.kind, want)
			} else if theirs.Message() != nil {
				compare(ours.message, theirs.Message())
			}
		}
	}
	compare(checkRequest, (&authv3.CheckRequest{}).ProtoReflect().Descriptor())
	if len(seen) < 25 {
		t.Errorf("only %d messages were compared", len(seen))
	}
}

func kindOf(f protoreflect.FieldDescriptor) kind {
	switch f.Kind() {
	case protoreflect.MessageKind:
		if f.IsMap() {
			return mapEntry
		}
		return submessage
	case protoreflect.StringKind:
		return text
	case protoreflect.BytesKind:
		return octets
	case protoreflect.DoubleKind:
		return fixed64
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.BoolKind, protoreflect.EnumKind:
		if f.IsList() {
			return unknown // a packed list would need a kind of its own
		}
		return varint
	}
	return unknown
}
