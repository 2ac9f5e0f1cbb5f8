package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
)

// reasonAllowed is the reason of an allow that gives none.
const reasonAllowed = "allowed"

// Decode reads what a policy came to: a boolean, or an object with `allowed`
// and any of patrol's and opa-envoy-plugin's members. Other members are left
// alone; a member of the wrong type is an error, whichever way the decision
// went.
func Decode(v ast.Value) (authz.Decision, error) {
	switch v := v.(type) {
	case ast.Boolean:
		return boolean(bool(v)), nil
	case ast.Object:
		return decodeObject(v)
	default:
		return authz.Decision{}, fmt.Errorf("the decision is %s, not a boolean or an object", article(v))
	}
}

func boolean(allowed bool) authz.Decision {
	if allowed {
		return authz.Decision{Allowed: true, Reason: reasonAllowed}
	}
	return authz.Decision{Reason: authz.ReasonPolicyDenied, Reasons: []string{authz.ReasonPolicyDenied}}
}

func decodeObject(o ast.Object) (authz.Decision, error) {
	var d authz.Decision
	allowed := member(o, "allowed")
	if allowed == nil {
		return d, errors.New("the decision has no member \"allowed\"")
	}
	r := reader{object: o}
	d.Allowed = r.flag("allowed")
	d.Reason = r.text("reason")
	d.Reasons = r.texts("reasons")
	d.Next = r.texts("next")
	d.Params = r.document("params")
	d.RequestApproval = r.flag("request_approval")
	d.Anonymous = r.flag("anonymous")
	d.Exception = r.text("exception")
	if r.err != nil {
		return authz.Decision{}, r.err
	}
	if d.Reason == "" {
		plain := boolean(d.Allowed)
		d.Reason = plain.Reason
		if len(d.Reasons) == 0 {
			d.Reasons = plain.Reasons
		}
	}
	var err error
	if d.Envoy, err = DecodeEnvoy(o, d.Allowed, true); err != nil {
		return authz.Decision{}, err
	}
	return d, nil
}

// reader reads members of an object and keeps the first error.
type reader struct {
	object ast.Object
	err    error
}

func member(o ast.Object, key string) ast.Value {
	if t := o.Get(ast.InternedTerm(key)); t != nil {
		return t.Value
	}
	return nil
}

func (r *reader) fail(key, want string, got ast.Value) {
	if r.err == nil {
		r.err = fmt.Errorf("the decision's %s is %s, not %s", key, article(got), want)
	}
}

func (r *reader) flag(key string) bool {
	v := member(r.object, key)
	b, ok := v.(ast.Boolean)
	if v != nil && !ok {
		r.fail(key, "a boolean", v)
	}
	return bool(b)
}

func (r *reader) text(key string) string {
	v := member(r.object, key)
	s, ok := v.(ast.String)
	if v != nil && !ok {
		r.fail(key, "a string", v)
	}
	return string(s)
}

// texts reads an array of strings, or a set of them in its order.
func (r *reader) texts(key string) []string {
	v := member(r.object, key)
	if v == nil {
		return nil
	}
	terms, ok := elements(v)
	if !ok {
		r.fail(key, "an array or a set of strings", v)
		return nil
	}
	list := make([]string, 0, len(terms))
	for _, t := range terms {
		s, ok := t.Value.(ast.String)
		if !ok {
			r.fail(key, "an array or a set of strings", v)
			return nil
		}
		list = append(list, string(s))
	}
	return list
}

// document reads an object as plain JSON.
func (r *reader) document(key string) map[string]any {
	v := member(r.object, key)
	if v == nil {
		return nil
	}
	if _, ok := v.(ast.Object); !ok {
		r.fail(key, "an object", v)
		return nil
	}
	plain, err := ast.JSON(v)
	if err != nil {
		r.fail(key, "an object of JSON values", v)
		return nil
	}
	doc, ok := plain.(map[string]any)
	if !ok {
		r.fail(key, "an object", v)
	}
	return doc
}

// elements are the members of an array or a set.
func elements(v ast.Value) ([]*ast.Term, bool) {
	switch v := v.(type) {
	case *ast.Array:
		terms := make([]*ast.Term, 0, v.Len())
		v.Foreach(func(t *ast.Term) { terms = append(terms, t) })
		return terms, true
	case ast.Set:
		return slices.Clone(v.Slice()), true
	}
	return nil, false
}

// article names the type of a value: "an array".
func article(v ast.Value) string {
	if v == nil {
		return "nothing"
	}
	name := ast.ValueName(v)
	switch name {
	case "null":
		return name
	case "array", "object":
		return "an " + name
	}
	return "a " + name
}
