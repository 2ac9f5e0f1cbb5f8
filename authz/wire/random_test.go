package wire_test

import (
	"math/rand/v2"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// random makes a message that follows the schema loosely.
func random(r *rand.Rand) []byte {
	g := generator{Rand: r, left: 40}
	b := g.message((&authv3.CheckRequest{}).ProtoReflect().Descriptor(), 0)
	switch {
	case len(b) > 0 && g.chance(10):
		b = b[:g.IntN(len(b))]
	case len(b) > 0 && g.chance(10):
		b[g.IntN(len(b))] ^= 1 << g.IntN(8)
	}
	return b
}

type generator struct {
	*rand.Rand
	left int
}

func (g *generator) chance(oneIn int) bool { return g.IntN(oneIn) == 0 }

func (g *generator) message(d protoreflect.MessageDescriptor, depth int) (b []byte) {
	fields := d.Fields()
	for range 1 + g.IntN(6) {
		if g.left--; g.left < 0 {
			return b
		}
		if g.chance(40) {
			b = g.strange(b, 0)
			continue
		}
		f := fields.Get(g.IntN(fields.Len()))
		if depth < 4 && d.FullName().Parent() == "envoy.service.auth.v3" && g.chance(2) {
			f = fields.ByNumber(protoreflect.FieldNumber([]int{1, 4}[min(1, depth)])) // go where most is
			if f == nil {
				f = fields.Get(0)
			}
		}
		b = g.field(b, f, depth)
	}
	return b
}

var texts = []string{"", "a", "A", "authorization", "Authorization", "GET", "/x?y", "x-envoy-auth-partial-body", "false", "\u212a", "é", "192.0.2.1"}

func (g *generator) text() string {
	if g.chance(60) {
		return "\xff\xfe"
	}
	return texts[g.IntN(len(texts))]
}

func (g *generator) field(b []byte, f protoreflect.FieldDescriptor, depth int) []byte {
	number := f.Number()
	if g.chance(40) {
		return g.strange(b, number) // of a type that it has not
	}
	switch f.Kind() {
	case protoreflect.MessageKind:
		return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), g.message(f.Message(), depth+1))
	case protoreflect.StringKind:
		return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), g.text())
	case protoreflect.BytesKind:
		return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), []string{"", "raw", "\xff"}[g.IntN(3)])
	case protoreflect.DoubleKind:
		return protowire.AppendFixed64(protowire.AppendTag(b, number, protowire.Fixed64Type), g.Uint64())
	default:
		return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), g.Uint64()>>g.IntN(64))
	}
}

// strange adds a field of any type and number; 0 chooses the number.
func (g *generator) strange(b []byte, number protowire.Number) []byte {
	if number == 0 {
		number = protowire.Number([]int{1, 2, 4, 14, 99, 1<<29 - 1}[g.IntN(6)])
	}
	switch g.IntN(6) {
	case 0:
		return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), g.Uint64()>>g.IntN(64))
	case 1:
		return protowire.AppendFixed32(protowire.AppendTag(b, number, protowire.Fixed32Type), g.Uint32())
	case 2:
		return protowire.AppendFixed64(protowire.AppendTag(b, number, protowire.Fixed64Type), g.Uint64())
	case 3:
		return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), g.text())
	case 4:
		b = protowire.AppendTag(b, number, protowire.StartGroupType)
		if g.left > 0 {
			g.left--
			b = g.strange(b, 0)
		}
		if g.chance(20) {
			number++
		}
		return protowire.AppendTag(b, number, protowire.EndGroupType)
	default:
		if g.chance(10) {
			return protowire.AppendTag(b, number, protowire.Type(6))
		}
		return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), 1)
	}
}
