package input

import (
	"fmt"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine/compiled"
)

// frozen is a part of the document that was built when its record entered the
// snapshot, as a compiled policy reads it. It is of a type of its own, so that
// nothing else can be taken for one.
type frozen struct{ value compiled.Value }

// FreezeOrganization builds input.organization ahead of time; its result
// belongs in [authz.Organization.Frozen]. Where the settings can't be shown it
// returns nil, and each decision meets the error.
func FreezeOrganization(o *authz.Organization) any {
	v, err := organization(o, everything)
	if err != nil {
		return nil
	}
	return &frozen{names.FreezeFacts(v)}
}

// FreezeGrants builds a list of grants ahead of time; its result belongs in
// [authz.GrantSet.Frozen]. It shares its texts with the grants.
func FreezeGrants(grants []authz.Grant) any { return &frozen{freezeGrants(grants)} }

func freezeGrants(grants []authz.Grant) compiled.Value {
	list := make([]compiled.Value, len(grants))
	for i := range grants {
		g := &grants[i]
		permissions := make([]compiled.Value, len(g.Permissions))
		for j, p := range g.Permissions {
			permissions[j] = compiled.Text(p)
		}
		list[i] = names.FreezeObject(
			compiled.Member{Name: "entity", Value: names.FreezeObject(
				compiled.Member{Name: "type", Value: text(g.Entity.Type)},
				compiled.Member{Name: "id", Value: text(g.Entity.ID)},
				compiled.Member{Name: "name", Value: text(g.Entity.Name)},
				compiled.Member{Name: "namespace", Value: text(g.Entity.Namespace)},
			)},
			compiled.Member{Name: "permissions", Value: compiled.FreezeArray(permissions...)},
		)
	}
	return compiled.FreezeArray(list...)
}

// grantsValue is grants for a compiled policy.
func grantsValue(set *authz.GrantSet, always bool) compiled.Value {
	switch {
	case set != nil:
		if f, ok := set.Frozen.(*frozen); ok {
			return f.value
		}
		return freezeGrants(set.Grants)
	case always:
		return noGrants
	}
	return compiled.Value{}
}

var noGrants = compiled.FreezeArray()

func organization(o *authz.Organization, fields *Fields) (ast.Value, error) {
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
		v, err := settingsTerm(o)
		if err != nil {
			return nil, err
		}
		b.add("settings", v)
	}
	return b.value(), nil
}

func settingsTerm(o *authz.Organization) (ast.Value, error) {
	v, err := ast.InterfaceToValue(settings(o.Settings))
	if err != nil {
		return nil, fmt.Errorf("show the settings of organization %s: %w", o.ID, err)
	}
	return v, nil
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
		"four_eyes":               false,
	}
	maps.Copy(all, given)
	return all
}
