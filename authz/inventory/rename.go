package inventory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// maxAliases bounds the names that lead to one organization.
const maxAliases = 20

// renameOrganization gives an organization another name. Everything is keyed by
// id, and stays; what is shown of entities in it takes the new name. The old
// name leads to it as before, and nobody else can take it.
func (r *rules) renameOrganization(c RenameOrganization) error {
	before, err := r.organization(c.Organization)
	if err != nil {
		return err
	}
	if before.Type == authz.TypeUser {
		return &Invalid{"organization", before.Name + " is a user namespace: it has its user's name"}
	}
	name, err := checkName("name", c.Name)
	if err != nil {
		return err
	}
	r.change.Subject.OrganizationID = before.ID
	if name == before.Name {
		return nil
	}
	if taken, err := r.OrganizationByName(name); err != nil {
		return err
	} else if taken != nil && taken.ID != before.ID {
		return &Conflict{Problem: fmt.Sprintf("the name %s is taken", name)}
	}
	o := *before
	o.Name, o.Version = name, o.Version+1
	o.Aliases = slices.DeleteFunc(append(slices.Clone(o.Aliases), before.Name), func(a string) bool { return a == name })
	if len(o.Aliases) > maxAliases {
		return &Conflict{Problem: fmt.Sprintf("%s has been renamed %d times already", before.Name, maxAliases)}
	}
	r.change.Records.Organizations = append(r.change.Records.Organizations, &o)
	r.audit(o.ID, "", map[string]any{"from": before.Name, "to": name})
	return r.renameEntities(o.ID, name)
}

// renameEntities writes the organization's new name into all that names
// something in it. What a token may do is not changed by it, so its version stays.
func (r *rules) renameEntities(id, name string) error {
	tokens, err := r.TokensOn(id)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		copied := *t
		copied.Grants = renamed(t.Grants, id, name)
		r.change.Records.Tokens = append(r.change.Records.Tokens, &copied)
	}
	authorizations, err := r.AuthorizationsOn(id)
	if err != nil {
		return err
	}
	for _, a := range authorizations {
		if len(a.Grants) == 0 {
			continue
		}
		copied := *a
		copied.Grants = renamed(a.Grants, id, name)
		r.putAuthorization(&copied)
	}
	requests, err := r.RequestsOn(id)
	if err != nil {
		return err
	}
	for _, q := range requests {
		copied := *q
		copied.Grants = renamed(q.Grants, id, name)
		r.putRequest(&copied)
	}
	return nil
}

func renamed(grants []authz.Grant, namespace, name string) []authz.Grant {
	out := slices.Clone(grants)
	for i := range out {
		if out[i].Entity.Namespace != namespace {
			continue
		}
		if _, rest, nested := strings.Cut(out[i].Entity.Name, "/"); nested {
			out[i].Entity.Name = name + "/" + rest
		} else {
			out[i].Entity.Name = name
		}
	}
	return out
}
