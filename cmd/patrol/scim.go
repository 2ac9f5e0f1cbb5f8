package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/scim"
)

// SCIMConfig says which organizations' members a directory keeps.
type SCIMConfig struct {
	Organizations []SCIMOrganizationConfig `yaml:"organizations"`
}

// SCIMOrganizationConfig is one organization and its directory.
type SCIMOrganizationConfig struct {
	Organization string `yaml:"organization"`
	// TokenFile holds a bearer token; without it only tokens with the permission
	// org.scim.write are admitted.
	TokenFile string `yaml:"token_file"`
	// Groups give roles; of several the first counts.
	Groups      []SCIMGroupConfig `yaml:"groups"`
	DefaultRole string            `yaml:"default_role"`
	// UserName is local (what stands before an @) or whole.
	UserName string `yaml:"user_name"`
}

// SCIMGroupConfig gives the members of a directory's group a role.
type SCIMGroupConfig struct {
	Group string `yaml:"group"`
	Role  string `yaml:"role"`
}

func (c *SCIMConfig) check() error {
	seen := map[string]bool{}
	for i, o := range c.Organizations {
		at := fmt.Sprintf("scim.organizations[%d]", i)
		name, err := inventory.CheckName("organization", o.Organization)
		if err != nil || name != o.Organization {
			return fmt.Errorf("%s.organization: %q is no organization's name: write it in lower case", at, o.Organization)
		}
		if seen[name] {
			return fmt.Errorf("%s.organization: %s is there twice", at, name)
		}
		seen[name] = true
		if o.TokenFile != "" {
			if _, err := scim.ReadToken(o.TokenFile); err != nil {
				return fmt.Errorf("%s.token_file: %w", at, err)
			}
		}
		if !slices.Contains([]string{"", "local", "whole"}, o.UserName) {
			return fmt.Errorf("%s.user_name: %q is neither local nor whole", at, o.UserName)
		}
		if o.DefaultRole != "" && !inventory.ValidRole(o.DefaultRole) {
			return fmt.Errorf("%s.default_role: %q is no role", at, o.DefaultRole)
		}
		for j, g := range o.Groups {
			switch {
			case strings.TrimSpace(g.Group) == "":
				return fmt.Errorf("%s.groups[%d].group: is missing", at, j)
			case !inventory.ValidRole(g.Role):
				return fmt.Errorf("%s.groups[%d].role: %q is no role", at, j, g.Role)
			}
		}
	}
	return nil
}

// withSCIM serves the directories' endpoints below /scim/v2/, where there are any.
func (a *App) withSCIM(next http.Handler) (http.Handler, error) {
	if len(a.Config.SCIM.Organizations) == 0 {
		return next, nil
	}
	o := scim.Options{Commands: &commands{a}, Store: a.Store, Judge: scimJudge{a}, Clock: a.Clock, Log: a.Log}
	for _, c := range a.Config.SCIM.Organizations {
		one := scim.Organization{Name: c.Organization, TokenFile: c.TokenFile, DefaultRole: c.DefaultRole, WholeName: c.UserName == "whole"}
		for _, g := range c.Groups {
			one.Groups = append(one.Groups, scim.Group{Name: g.Group, Role: g.Role})
		}
		o.Organizations = append(o.Organizations, one)
	}
	s, err := scim.New(o)
	if err != nil {
		return nil, fmt.Errorf("scim: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, scim.Path) {
			s.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// scimJudge admits tokens to a directory's endpoint, as the admin API does to its
// operations.
type scimJudge struct{ *App }

func (j scimJudge) Admit(r *http.Request, organization string) (inventory.Actor, *scim.Refusal) {
	who, p, header := admin.Admit(j.adminOptions(nil), r, admin.ProvisionMembers, organization)
	if p != nil {
		return who, &scim.Refusal{Status: p.Status, Detail: p.Detail, Header: header}
	}
	return who, nil
}
