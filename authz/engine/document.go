package engine

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// document makes an input up after a JSON Schema: its properties, some absent,
// some of a wrong type, filled with its constants and the policy's words.
func (w *words) document(schema map[string]any) ast.Value {
	const deepest = 8
	return w.instance(schema, schema, deepest)
}

func (w *words) instance(root, s map[string]any, depth int) ast.Value {
	s = w.resolve(root, s)
	if depth == 0 || w.chance(40) {
		return w.any()
	}
	if c, ok := s["const"]; ok {
		return plainTerm(c)
	}
	if list, ok := s["enum"].([]any); ok && len(list) > 0 && !w.chance(10) {
		return plainTerm(list[w.IntN(len(list))])
	}
	switch kind(s) {
	case "object":
		return w.object(root, s, depth)
	case "array":
		items, _ := s["items"].(map[string]any)
		out := make([]*ast.Term, 0, 3)
		for range w.IntN(3) {
			out = append(out, ast.NewTerm(w.instance(root, items, depth-1)))
		}
		return ast.NewArray(out...)
	case "boolean":
		return ast.Boolean(w.chance(2))
	case "integer", "number":
		if len(w.numbers) > 0 && w.chance(2) {
			return ast.Number(w.numbers[w.IntN(len(w.numbers))])
		}
		return ast.InternedTerm(w.IntN(1 << 20)).Value
	case "null":
		return ast.Null{}
	}
	return ast.String(w.pick("acme", "2026-01-02T00:00:00Z", "2027-01-02T00:00:00Z", w.word(), w.word()))
}

// resolve follows a reference within the schema, and chooses of alternatives.
func (w *words) resolve(root, s map[string]any) map[string]any {
	if ref, ok := s["$ref"].(string); ok && len(ref) > len("#/$defs/") {
		defs, _ := root["$defs"].(map[string]any)
		if def, ok := defs[ref[len("#/$defs/"):]].(map[string]any); ok {
			s = def
		}
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		if list, ok := s[key].([]any); ok && len(list) > 0 {
			if one, ok := list[w.IntN(len(list))].(map[string]any); ok {
				return one
			}
		}
	}
	return s
}

func (w *words) object(root, s map[string]any, depth int) ast.Value {
	const absentOneIn = 10
	o := ast.NewObject()
	properties, _ := s["properties"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		sub, _ := properties[key].(map[string]any)
		if !w.chance(absentOneIn) {
			o.Insert(ast.StringTerm(key), ast.NewTerm(w.instance(root, sub, depth-1)))
		}
	}
	if sub, ok := s["additionalProperties"].(map[string]any); ok {
		for range w.IntN(3) {
			o.Insert(ast.StringTerm(w.word()), ast.NewTerm(w.instance(root, sub, depth-1)))
		}
	}
	return o
}

func kind(s map[string]any) string {
	switch k := s["type"].(type) {
	case string:
		return k
	case []any:
		if len(k) > 0 {
			first, _ := k[0].(string)
			return first
		}
	}
	if _, ok := s["properties"]; ok {
		return "object"
	}
	return ""
}

// any is a value of any type.
func (w *words) any() ast.Value {
	return []ast.Value{
		ast.Null{},
		ast.Boolean(true), ast.Boolean(false), ast.Number("0"), ast.Number("1.5"), ast.String(w.word()),
		ast.NewArray(), ast.NewArray(ast.StringTerm(w.word())), ast.NewObject(),
	}[w.IntN(9)]
}

func plainTerm(v any) ast.Value {
	t, err := ast.InterfaceToValue(v)
	if err != nil {
		return ast.Null{}
	}
	return t
}
