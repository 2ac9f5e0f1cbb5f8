package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	lib "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	libfilter "github.com/elimity-com/scim/filter"
	"github.com/elimity-com/scim/schema"
	"github.com/scim2/filter-parser/v2"
)

// The most that a list of a user's attributes, and a group, hold.
const (
	maxValues  = 100
	maxMembers = 20_000
)

// patchAll applies operations in order, for as long as the client waits.
func patchAll(ctx context.Context, attributes map[string]any, operations []lib.PatchOperation, s schema.Schema) error {
	if len(operations) > maxOperations {
		return tooMany("The request has too many operations.")
	}
	for _, op := range operations {
		if err := ctx.Err(); err != nil {
			return tooMany("The request took too long.")
		}
		if err := patch(attributes, op, s); err != nil {
			return err
		}
		if err := bounded(attributes); err != nil {
			return err
		}
	}
	return nil
}

// bounded refuses lists that are longer than a directory has them.
func bounded(attributes map[string]any) error {
	for name, v := range attributes {
		most := maxValues
		if name == "members" {
			most = maxMembers
		}
		if list, ok := v.([]any); ok && len(list) > most {
			return tooMany(fmt.Sprintf("%s: has more than %d values", name, most))
		}
	}
	return nil
}

func tooMany(detail string) error {
	return scimerrors.ScimError{ScimType: scimerrors.ScimTypeTooMany, Detail: detail, Status: http.StatusBadRequest}
}

// patch applies an operation to attributes (RFC 7644, section 3.5.2). It was
// validated against the schema. Names are written as the schema has them.
func patch(attributes map[string]any, op lib.PatchOperation, s schema.Schema) error {
	if op.Path == nil {
		return patchWhole(attributes, op, s)
	}
	target, list := attributes, s.Attributes
	path := op.Path.AttributePath
	if uri := path.URI(); uri != "" && uri != s.ID {
		inner, _ := attributes[uri].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
			attributes[uri] = inner
		}
		target, list = inner, enterprise.Attributes
	}
	attribute, ok := find(list, path.AttributeName)
	if !ok {
		if strings.EqualFold(path.AttributeName, "externalId") {
			assign(target, "externalId", op.Value, false, attribute)
			return nil
		}
		return scimerrors.ScimErrorInvalidPath
	}
	name := attribute.Name()
	sub := path.SubAttributeName()
	if sub == "" {
		sub = op.Path.SubAttributeName()
	}
	if sub != "" {
		sub = canonical(attribute.SubAttributes(), sub)
	}
	if op.Path.ValueExpression != nil {
		return patchElements(target, attribute, op, sub)
	}
	switch {
	case sub != "" && !attribute.MultiValued():
		inner, _ := target[name].(map[string]any)
		inner = cloned(inner)
		if op.Op == lib.PatchOperationRemove {
			delete(inner, sub)
		} else {
			inner[sub] = op.Value
		}
		target[name] = inner
	case sub != "":
		return scimerrors.ScimErrorInvalidPath
	case op.Op == lib.PatchOperationRemove && op.Value != nil && attribute.MultiValued():
		target[name] = without(asList(target[name]), asList(op.Value))
	case op.Op == lib.PatchOperationRemove:
		delete(target, name)
	default:
		assign(target, name, op.Value, op.Op == lib.PatchOperationAdd, attribute)
	}
	return nil
}

// patchWhole sets the attributes that a value without a path names.
func patchWhole(attributes map[string]any, op lib.PatchOperation, s schema.Schema) error {
	given, ok := op.Value.(map[string]any)
	if !ok {
		return scimerrors.ScimErrorInvalidValue
	}
	for name, value := range given {
		if strings.HasPrefix(strings.ToLower(name), "urn:") {
			merge(attributes, name, value)
			continue
		}
		attribute, _ := find(s.Attributes, name)
		assign(attributes, canonical(s.Attributes, name), value, op.Op == lib.PatchOperationAdd, attribute)
	}
	return nil
}

// patchElements changes the elements of a multi-valued attribute that an
// expression selects. Where none is, one is made as the expression describes it.
func patchElements(target map[string]any, attribute schema.CoreAttribute, op lib.PatchOperation, sub string) error {
	name := attribute.Name()
	select_ := libfilter.NewFilterValidator(op.Path.ValueExpression, schema.Schema{Attributes: attribute.SubAttributes()})
	var out []any
	found := false
	for _, one := range asList(target[name]) {
		element, ok := one.(map[string]any)
		if !ok || select_.PassesFilter(element) != nil {
			out = append(out, one)
			continue
		}
		found = true
		element = cloned(element)
		switch {
		case op.Op == lib.PatchOperationRemove && sub == "":
			continue
		case op.Op == lib.PatchOperationRemove:
			delete(element, sub)
		case sub == "":
			if given, ok := op.Value.(map[string]any); ok {
				for k, v := range given {
					element[k] = v
				}
			}
		default:
			element[sub] = op.Value
		}
		out = append(out, element)
	}
	if !found && op.Op != lib.PatchOperationRemove {
		e, ok := op.Path.ValueExpression.(*filter.AttributeExpression)
		if !ok || e.Operator != filter.EQ {
			return scimerrors.ScimErrorNoTarget
		}
		element := map[string]any{canonical(attribute.SubAttributes(), e.AttributePath.AttributeName): e.CompareValue}
		if given, ok := op.Value.(map[string]any); ok && sub == "" {
			for k, v := range given {
				element[k] = v
			}
		} else if sub != "" {
			element[sub] = op.Value
		}
		out = append(out, element)
	}
	target[name] = out
	return nil
}

// assign sets an attribute; to a multi-valued one that is added to, what is new.
func assign(target map[string]any, name string, value any, add bool, attribute schema.CoreAttribute) {
	if !add {
		target[name] = value
		return
	}
	if attribute.MultiValued() {
		have := asList(target[name])
		target[name] = append(slices.Clone(have), without(asList(value), have)...)
		return
	}
	merge(target, name, value)
}

// merge sets the members of an object, or another value whole.
func merge(target map[string]any, name string, value any) {
	given, ok := value.(map[string]any)
	have, there := target[name].(map[string]any)
	if !ok || !there {
		target[name] = value
		return
	}
	have = cloned(have)
	for k, v := range given {
		have[k] = v
	}
	target[name] = have
}

func find(list schema.Attributes, name string) (schema.CoreAttribute, bool) {
	for _, a := range list {
		if strings.EqualFold(a.Name(), name) {
			return a, true
		}
	}
	return schema.CoreAttribute{}, false
}

func canonical(list schema.Attributes, name string) string {
	if a, ok := find(list, name); ok {
		return a.Name()
	}
	return name
}

func asList(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// without leaves out what is in another list: equal, or of the same value. The
// lists are as long as a client makes them: it looks up, and compares few only.
func without(list, other []any) []any {
	const few = 8
	seen := map[string]bool{}
	rest := other
	if len(list) > few && len(other) > few {
		rest = nil
		for _, o := range other {
			seen[identity(o)] = true
		}
	}
	out := []any{}
	for _, v := range list {
		if !seen[identity(v)] && !slices.ContainsFunc(rest, func(o any) bool { return same(v, o) }) {
			out = append(out, v)
		}
	}
	return out
}

// identity is the same text for what is the same.
func identity(v any) string {
	if m, ok := v.(map[string]any); ok && m["value"] != nil {
		v = map[string]any{"value": m["value"]}
	}
	text, err := json.Marshal(v) // sorts names
	if err != nil {
		return fmt.Sprintf("%T %v", v, v)
	}
	return string(text)
}

func same(a, b any) bool {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	v, one := x["value"].(string)
	w, two := y["value"].(string)
	switch {
	case one && two:
		return v == w
	case x["value"] != nil && y["value"] != nil:
		return reflect.DeepEqual(x["value"], y["value"])
	}
	return reflect.DeepEqual(a, b)
}

func cloned(m map[string]any) map[string]any {
	out := make(map[string]any, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	return out
}
