package bundles

import (
	"fmt"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/util"
)

// TestTheStoreHoldsTheDocumentAsItIs, as OPA itself would make it.
func TestTheStoreHoldsTheDocumentAsItIs(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"b": 1, "a": {"z": [], "y": {}}, "ab": null}`, `{"n": [1, 1.0, 1e3, -0, 123456789012345678901234567890], "s": ["", "é", "\u0000"], "t": [true, false, null, [[{"x": [{}]}]]]}`,
	} {
		var data map[string]any
		if err := util.UnmarshalJSON([]byte(text), &data); err != nil {
			t.Fatal(err)
		}
		store, err := storeOf(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := storage.ReadOne(t.Context(), store, storage.Path{})
		if err != nil {
			t.Fatal(err)
		}
		want := ast.MustInterfaceToValue(data)
		if v, ok := got.(ast.Value); !ok || ast.Compare(v, want) != 0 || v.String() != want.String() {
			t.Errorf("%s is %v", text, got)
		}
	}
	if _, err := storeOf(map[string]any{"a": []any{map[string]any{"b": make(chan int)}}}); err == nil {
		t.Error("what is no JSON value is taken")
	}
}

func BenchmarkStoreOfManyEntries(b *testing.B) {
	entries := map[string]any{}
	for i := range 100_000 {
		entries[fmt.Sprintf("entry-%d", i*7919%100_000)] = map[string]any{"until": "2027-01-01", "reason": "r", "organizations": []any{"a", "b"}}
	}
	data := map[string]any{"local": map[string]any{"entries": entries}}
	read := func(b *testing.B, v ast.Value) {
		b.Helper()
		_ = v.(ast.Object).Iter(func(_, v *ast.Term) error {
			return v.Value.(ast.Object).Iter(func(_, v *ast.Term) error {
				return v.Value.(ast.Object).Iter(func(_, _ *ast.Term) error { return nil })
			})
		})
	}
	b.Run("in order", func(b *testing.B) {
		for b.Loop() {
			v, err := inOrder(data)
			if err != nil {
				b.Fatal(err)
			}
			read(b, v)
		}
	})
	b.Run("as OPA makes it", func(b *testing.B) {
		for b.Loop() {
			read(b, ast.MustInterfaceToValue(data))
		}
	})
}
