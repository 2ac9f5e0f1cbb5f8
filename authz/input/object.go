package input

import (
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The constant keys are interned, so that building a document makes no terms
// for them. OPA's table may be extended only while a program is initialised.
func init() {
	ast.InternStringTerm(
		"attributes", "request", "http", "method", "path", "host", "scheme", "protocol", "id", "headers", "size",
		"source", "destination", "principal", "address", "socketAddress", "portValue", "contextExtensions",
		"parsed_path", "parsed_query", "parsed_body", "truncated_body", "version", "source_principal",
		"destination_principal", "ext_authz", "v3", "encoding", "protojson", "patrol", "client", "network",
		"credential", "state", "present", "missing", "bearer", "basic", "token", "display_name", "last4", "kind",
		"read", "write", "fine-grained", "owner", "name", "type", "user", "service_account", "issued", "imported", "jwt", "introspection",
		"created_at", "expires_at", "expired", "age_seconds", "remaining_seconds", "grants", "entity", "permissions",
		"global", "organization", "token_policy", "next_token_policy", "enforce_at", "enforcement", "enforce",
		"observe", "managed_by", "settings", "membership", "role", "since", "admin", "contributor", "no_access",
		"authorization", "current", "effective", "namespace", "disabled", "suspended", "admin_created", "opened_at", "none", "approved", "denied",
		"revoked", "route", "organizations", "resource", "visibility", "permission", "access", "pattern",
		"authenticated", "public", "unmanaged", "now", Redacted,
	)
}

// object gathers the members of one object, those that the policy reads.
type object struct {
	fields *Fields
	items  [][2]*ast.Term
}

func newObject(fields *Fields, size int) object {
	return object{fields: fields, items: make([][2]*ast.Term, 0, size)}
}

// reads says whether the policy reads a member.
func (o *object) reads(key string) bool { return o.fields.At(key) != nil }

// add puts a value in; nil stands for an absent fact.
func (o *object) add(key string, v ast.Value) {
	if v != nil {
		o.items = append(o.items, [2]*ast.Term{ast.InternedTerm(key), ast.NewTerm(v)})
	}
}

// text puts in a string that is read and not empty.
func (o *object) text(key, s string) {
	if s != "" && o.reads(key) {
		o.items = append(o.items, [2]*ast.Term{ast.InternedTerm(key), ast.InternedTerm(s)})
	}
}

func (o *object) flag(key string, b bool) {
	if o.reads(key) {
		o.items = append(o.items, [2]*ast.Term{ast.InternedTerm(key), ast.InternedTerm(b)})
	}
}

func (o *object) number(key string, n int64) {
	if o.reads(key) {
		o.items = append(o.items, [2]*ast.Term{ast.InternedTerm(key), ast.InternedTerm(n)})
	}
}

// time puts in a time that is set.
func (o *object) time(key string, t time.Time) {
	if !t.IsZero() && o.reads(key) {
		o.add(key, ast.String(t.UTC().Format(time.RFC3339)))
	}
}

func (o *object) texts(key string, list []string) {
	if o.reads(key) {
		o.add(key, textArray(list))
	}
}

func (o *object) value() ast.Value { return ast.NewObject(o.items...) }

func textArray(list []string) *ast.Array {
	terms := make([]*ast.Term, len(list))
	for i, s := range list {
		terms[i] = ast.InternedTerm(s)
	}
	return ast.NewArray(terms...)
}
