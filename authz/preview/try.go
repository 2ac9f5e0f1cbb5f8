package preview

import (
	"context"
	"fmt"

	"github.com/patrol-authz/patrol/authz"
)

// triedEntry gives, by a token's kind, the permissions on which one is tried
// that shows no other: see package patrol.preview of the bundle.
const triedEntry = "patrol/preview/tried"

// mostTries is on how much a token is judged, at most.
const mostTries = 8

// fallbacks asks the bundle for the permissions by kind.
func fallbacks(ctx context.Context, rules *authz.Ruleset) (map[string][]string, error) {
	out := map[string][]string{}
	if rules.Asker == nil {
		return nil, fmt.Errorf("the bundle answers no questions")
	}
	if err := rules.Asker.Ask(ctx, triedEntry, map[string]any{}, &out); err != nil {
		return nil, fmt.Errorf("ask on what tokens are tried: %w", err)
	}
	return out, nil
}

// tries is what a token is tried on: each once, at most so many.
type tries struct {
	names  []string // the organization's, as routes have it
	most   int
	routes []authz.Route
}

// add adds a permission: on a resource, or, where that has no name, on the
// organization itself.
func (t *tries) add(kind, name, permission string) {
	if len(t.routes) == t.most || permission == "" {
		return
	}
	for i := range t.routes {
		if have := t.routes[i].Resource; t.routes[i].Permission == permission && have != nil && have.Type == kind && have.Name == name ||
			t.routes[i].Permission == permission && have == nil && name == "" {
			return
		}
	}
	route := authz.Route{Pattern: "preview", Access: authz.AccessOrganization, Permission: permission, Organizations: t.names}
	if name != "" {
		route.Resource = &authz.Resource{Type: kind, Name: name}
	}
	t.routes = append(t.routes, route)
}

// entity adds permissions on what a grant is on.
func (t *tries) entity(e *authz.Entity, permissions []string) {
	for _, p := range permissions {
		if e.Type == authz.TypeOrganization {
			t.add("", "", p)
		} else {
			t.add(e.Type, e.Name, p)
		}
	}
}

// routes is what a token is tried on: what it was used for, then what its grants
// are on, then, where there is neither, the permissions of its kind.
func (r *run) routes(u *Reached, kind string, grants []authz.Grant, out []authz.Route) []authz.Route {
	t := tries{names: r.names, most: mostTries, routes: out[:0]}
	for _, use := range u.Uses {
		if use.Resource != "*" { // several, that were too many to keep apart
			t.add(use.Type, use.Resource, use.Permission)
		}
	}
	for i := range grants {
		t.entity(&grants[i].Entity, grants[i].Permissions)
	}
	if len(t.routes) == 0 {
		t.entity(&authz.Entity{Type: authz.TypeOrganization}, r.tried[kind])
	}
	return t.routes
}
