package input

import (
	"fmt"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
)

// frozen is a part of the document that was built when its record entered the
// snapshot. It is of a type of its own, so that nothing else can be taken for
// one.
type frozen struct{ value ast.Value }

// FreezeOrganization builds input.organization ahead of time; its result
// belongs in [authz.Organization.Frozen]. Where the settings can't be shown it
// returns nil, and each decision meets the error.
func FreezeOrganization(o *authz.Organization) any {
	v, err := organization(o, everything)
	if err != nil {
		return nil
	}
	return settle(v)
}

// FreezeGrants builds a list of grants ahead of time; its result belongs in
// [authz.GrantSet.Frozen].
func FreezeGrants(grants []authz.Grant) any { return settle(grantArray(grants)) }

// settle does now what OPA's values do at their first use: sorting their keys.
func settle(v ast.Value) *frozen {
	_ = v.String()
	_ = v.Hash()
	return &frozen{v}
}

func organization(o *authz.Organization, fields *Fields) (ast.Value, error) {
	if f, ok := o.Frozen.(*frozen); ok {
		return f.value, nil
	}
	b := newObject(fields, 9)
	b.text("id", o.ID)
	b.text("name", o.Name)
	b.text("type", o.Type)
	b.text("token_policy", o.TokenPolicy)
	if o.NextTokenPolicy != "" {
		b.text("next_token_policy", o.NextTokenPolicy)
		b.time("enforce_at", o.EnforceAt)
	}
	b.text("enforcement", o.Enforcement)
	b.text("managed_by", o.ManagedBy)
	if b.reads("settings") {
		v, err := ast.InterfaceToValue(settings(o.Settings))
		if err != nil {
			return nil, fmt.Errorf("show the settings of organization %s: %w", o.ID, err)
		}
		b.add("settings", v)
	}
	return b.value(), nil
}

// grants builds a set of grants. A fine-grained token always has a list,
// though it may be empty; for others an absent set is absent.
func grants(set *authz.GrantSet, always bool) ast.Value {
	if set == nil {
		if always {
			return ast.InternedEmptyArrayValue
		}
		return nil
	}
	if f, ok := set.Frozen.(*frozen); ok {
		return f.value
	}
	return grantArray(set.Grants)
}

func grantArray(list []authz.Grant) ast.Value {
	terms := make([]*ast.Term, len(list))
	for i := range list {
		entity := newObject(everything, 4)
		entity.text("type", list[i].Entity.Type)
		entity.text("id", list[i].Entity.ID)
		entity.text("name", list[i].Entity.Name)
		entity.text("namespace", list[i].Entity.Namespace)
		grant := newObject(everything, 2)
		grant.add("entity", entity.value())
		grant.texts("permissions", list[i].Permissions)
		terms[i] = ast.NewTerm(grant.value())
	}
	return ast.NewArray(terms...)
}

// settings completes an organization's settings: those that the base bundle
// reads are always there, so that the absence of one is never taken for its
// being off.
func settings(given map[string]any) map[string]any {
	all := map[string]any{
		"max_token_age_days":      0, // no limit
		"max_token_lifetime_days": 0, // no limit
		"public_read":             "anonymous",
	}
	maps.Copy(all, given)
	return all
}
