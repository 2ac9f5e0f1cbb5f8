package console

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// mostOrganizations bounds the page of all organizations.
const mostOrganizations = 1000

// home leads to the one organization, or lists those that the caller may see.
func (c *Console) home(w http.ResponseWriter, a *ask) error {
	var rows []inventory.OrganizationRow
	if a.caller.Operator {
		all, _, err := c.Queries.Organizations(a.Context(), inventory.Page{Limit: mostOrganizations})
		if err != nil {
			return err
		}
		for _, o := range all {
			if o.Type == authz.TypeOrganization {
				rows = append(rows, o)
			}
		}
	} else {
		for _, name := range governed(a.caller) {
			o, err := c.Queries.Organization(a.Context(), name)
			if gone := (*inventory.NotFound)(nil); errors.As(err, &gone) {
				continue // a group of the login provider may lead to one that is no more
			} else if err != nil {
				return err
			}
			rows = append(rows, *o)
		}
	}
	if len(rows) == 1 {
		http.Redirect(w, a.Request, at(rows[0].Name), http.StatusSeeOther)
		return nil
	}
	if len(rows) == 0 && !a.caller.Operator {
		http.Redirect(w, a.Request, "/me", http.StatusSeeOther)
		return nil
	}
	c.show(w, a.Request, a, http.StatusOK, "home", "Organizations", map[string]any{"Rows": rows, "Titles": c.titles()})
	return nil
}

// governed are the organizations whose tokens a caller may see, sorted.
func governed(caller *Caller) []string {
	var names []string
	for name, role := range caller.Roles {
		if rank[role] > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// overview is an organization at a glance.
func (c *Console) overview(w http.ResponseWriter, a *ask) error {
	o, err := c.Queries.Organization(a.Context(), a.organization)
	if err != nil {
		return err
	}
	waiting, oldest, err := c.Queries.Waiting(a.Context(), o.Name)
	if err != nil {
		return err
	}
	recent, _, err := c.Queries.Audit(a.Context(), o.Name, inventory.Page{Limit: 8})
	if err != nil {
		return err
	}
	body := map[string]any{"Organization": o, "Waiting": waiting, "Oldest": oldest, "Recent": c.entries(recent), "Policy": c.describe(o.TokenPolicy), "Next": c.describe(o.NextTokenPolicy)}
	if r := c.Policy.Ruleset(); r != nil {
		body["Revision"] = r.Revision
	}
	used, err := c.Reports.OrganizationUsage(a.Context(), o.Name, reportDays)
	if err != nil {
		return err
	}
	body["Usage"], body["Chart"], body["Refusals"] = used, overall(used), c.refusals(used)
	if body["Findings"], err = c.Reports.CountFindingsOf(a.Context(), o.Name); err != nil {
		return err
	}
	if body["Replicas"], err = c.serving(a.Context()); err != nil {
		return err
	}
	if body["Names"], err = c.names(a.Context(), recent); err != nil {
		return err
	}
	c.show(w, a.Request, a, http.StatusOK, "overview", o.Name, body)
	return nil
}

// serving counts the patrols that serve, and those of them that are not ready.
type serving struct{ All, Unready int }

func (c *Console) serving(ctx context.Context) (s serving, err error) {
	rows, err := c.Reports.Replicas(ctx)
	for i := range rows {
		s.All++
		if rows[i].Problem != "" {
			s.Unready++
		}
	}
	return s, err
}

// titles are those of the token policies, by name.
func (c *Console) titles() map[string]string {
	out := map[string]string{}
	if r := c.Policy.Ruleset(); r != nil {
		for i := range r.Policies {
			out[r.Policies[i].Name] = r.Policies[i].Title
		}
	}
	return out
}

// describe is a token policy as its METADATA tells it, or nil.
func (c *Console) describe(name string) *authz.TokenPolicy {
	r := c.Policy.Ruleset()
	if r == nil || name == "" {
		return nil
	}
	for i := range r.Policies {
		if r.Policies[i].Name == name {
			return &r.Policies[i]
		}
	}
	return &authz.TokenPolicy{Name: name, Title: name}
}
