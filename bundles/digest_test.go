package bundles

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"
)

// TestBundlesOfOneContentHaveOneDigest, whatever the order of their keys, and no
// two of another.
func TestBundlesOfOneContentHaveOneDigest(t *testing.T) {
	of := func(data string, modules ...string) string {
		t.Helper()
		var d map[string]any
		if err := util.UnmarshalJSON([]byte(data), &d); err != nil {
			t.Fatal(err)
		}
		b := &bundle.Bundle{Data: d}
		for i := 0; i < len(modules); i += 2 {
			b.Modules = append(b.Modules, bundle.ModuleFile{Path: modules[i], Raw: []byte(modules[i+1])})
		}
		return digest(b)
	}
	if a, b := of(`{"a": {"x": 1, "y": [true, null]}, "b": "s"}`, "p.rego", "1", "q.rego", "2"), of(`{"b": "s", "a": {"y": [true, null], "x": 1}}`, "q.rego", "2", "p.rego", "1"); a != b {
		t.Errorf("one content, and %s and %s", a, b)
	}
	seen := map[string]string{}
	for _, data := range []string{
		`{}`, `{"a": null}`, `{"a": "null"}`, `{"a": 1}`, `{"a": "1"}`, `{"a": 1.0}`, `{"a": true}`, `{"a": "true"}`, `{"a": []}`, `{"a": {}}`, `{"a": ""}`,
		`{"a": [1]}`, `{"a": ["1"]}`, `{"a": [[], []]}`, `{"a": [[[]]]}`, `{"a": "x", "b": "y"}`, `{"a": "xk1:b"}`, `{"ab": "x"}`, `{"a": {"b": "x"}}`, `{"a": ["b", "x"]}`,
		`{"a": {"x": 1}, "b": {"y": 2}}`, `{"a": {"y": 2}, "b": {"x": 1}}`, `{"a": {"x": 1, "y": 2}, "b": {}}`, `{"a": 1, "b": 2}`, `{"a": 2, "b": 1}`,
	} {
		if other, twice := seen[of(data)]; twice {
			t.Errorf("%s and %s have one digest", data, other)
		}
		seen[of(data)] = data
	}
	if of(`{}`, "p.rego", "1") == of(`{}`, "p.rego", "2") || of(`{}`, "p.rego", "1") == of(`{}`) {
		t.Error("modules are not part of it")
	}
}
