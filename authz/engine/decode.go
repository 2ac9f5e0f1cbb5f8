package engine

import (
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// reasonAllowed is the reason of an allow that gives none.
const reasonAllowed = "allowed"

// Decode reads what a policy came to: a boolean, or an object with `allowed`
// and any of patrol's and opa-envoy-plugin's members. Other members are left
// alone; a member of the wrong type is an error, whichever way the decision
// went.
func Decode(v ast.Value) (authz.Decision, error) { return decode(compiled.FromTerm(v)) }

// decode reads a decision. It keeps nothing of the value, whose texts may be
// the request's.
func decode(v compiled.Value) (authz.Decision, error) {
	switch v.Kind() {
	case compiled.Bool:
		return boolean(v.IsTrue()), nil
	case compiled.Obj:
		return decodeObject(v)
	default:
		return authz.Decision{}, fmt.Errorf("the decision is %s, not a boolean or an object", article(v))
	}
}

var plainRefusal = []string{authz.ReasonPolicyDenied}

func boolean(allowed bool) authz.Decision {
	if allowed {
		return authz.Decision{Allowed: true, Reason: reasonAllowed}
	}
	return authz.Decision{Reason: authz.ReasonPolicyDenied, Reasons: plainRefusal}
}

func decodeObject(o compiled.Value) (authz.Decision, error) {
	var d authz.Decision
	m := membersOf(o)
	if !m.allowed.Defined() {
		return d, errors.New("the decision has no member \"allowed\"")
	}
	var r reader
	d.Allowed = r.flag("allowed", m.allowed)
	d.Reason = r.text("reason", m.reason)
	d.Reasons = r.texts("reasons", m.reasons)
	d.Next = r.texts("next", m.next)
	d.Params = r.document("params", m.params)
	d.RequestApproval = r.flag("request_approval", m.requestApproval)
	d.Anonymous = r.flag("anonymous", m.anonymous)
	d.Exception = r.text("exception", m.exception)
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
	if d.Envoy, err = m.envoy.decode(d.Allowed, true); err != nil {
		return authz.Decision{}, err
	}
	return d, nil
}

// members are those of a decision that are understood.
type members struct {
	allowed, reason, reasons, next, params, requestApproval, anonymous, exception compiled.Value
	envoy                                                                         envoyMembers
}

// membersOf walks an object once.
func membersOf(o compiled.Value) members {
	var m members
	for key, v := range o.Unordered {
		if key.Kind() != compiled.Str {
			continue
		}
		switch name := key.Str(); name {
		case "allowed":
			m.allowed = v
		case "reason":
			m.reason = v
		case "reasons":
			m.reasons = v
		case "next":
			m.next = v
		case "params":
			m.params = v
		case "request_approval":
			m.requestApproval = v
		case "anonymous":
			m.anonymous = v
		case "exception":
			m.exception = v
		default:
			m.envoy.take(name, v)
		}
	}
	return m
}

// reader reads members of an object, which may be undefined, and keeps the
// first error.
type reader struct{ err error }

func (r *reader) fail(key, want string, got compiled.Value) {
	if r.err == nil {
		r.err = fmt.Errorf("the decision's %s is %s, not %s", key, article(got), want)
	}
}

func (r *reader) flag(key string, v compiled.Value) bool {
	if v.Defined() && v.Kind() != compiled.Bool {
		r.fail(key, "a boolean", v)
	}
	return v.IsTrue()
}

func (r *reader) text(key string, v compiled.Value) string {
	switch {
	case !v.Defined():
		return ""
	case v.Kind() != compiled.Str:
		r.fail(key, "a string", v)
		return ""
	}
	return kept.text(v.Str())
}

// texts reads an array of strings, or a set of them in its order.
func (r *reader) texts(key string, v compiled.Value) []string {
	if !v.Defined() {
		return nil
	}
	if v.Kind() != compiled.Arr && v.Kind() != compiled.Set {
		r.fail(key, "an array or a set of strings", v)
		return nil
	}
	for _, e := range v.Elems() {
		if e.Kind() != compiled.Str {
			r.fail(key, "an array or a set of strings", v)
			return nil
		}
	}
	return kept.list(v.Elems())
}

// document reads an object as plain JSON.
func (r *reader) document(key string, v compiled.Value) map[string]any {
	if !v.Defined() {
		return nil
	}
	if v.Kind() != compiled.Obj {
		r.fail(key, "an object", v)
		return nil
	}
	plain, err := ast.JSON(v.Term())
	if err != nil {
		r.fail(key, "an object of JSON values", v)
		return nil
	}
	doc, ok := own(plain).(map[string]any)
	if !ok {
		r.fail(key, "an object", v)
	}
	return doc
}

// article names the type of a value: "an array".
func article(v compiled.Value) string {
	switch v.Kind() {
	case compiled.Undefined:
		return "nothing"
	case compiled.Null:
		return "null"
	case compiled.Bool:
		return "a boolean"
	case compiled.Int, compiled.Num:
		return "a number"
	case compiled.Str:
		return "a string"
	case compiled.Arr:
		return "an array"
	case compiled.Obj:
		return "an object"
	default:
		return "a set"
	}
}
