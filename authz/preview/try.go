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

// routes is what a token is tried on: what it was used for, then what its grants
// are on, then, where there is neither, the permissions of its kind.
func (r *run) routes(u *Reached, kind string, grants []authz.Grant, out []authz.Route) []authz.Route {
	out = out[:0]
	add := func(kind, name, permission string) {
		if len(out) == mostTries || permission == "" {
			return
		}
		for i := range out {
			if have := out[i].Resource; out[i].Permission == permission && have != nil && have.Type == kind && have.Name == name ||
				out[i].Permission == permission && have == nil && name == "" {
				return
			}
		}
		route := authz.Route{Pattern: "preview", Access: authz.AccessOrganization, Permission: permission, Organizations: r.names}
		if name != "" {
			route.Resource = &authz.Resource{Type: kind, Name: name}
		}
		out = append(out, route)
	}
	for _, use := range u.Uses {
		if use.Resource != "*" { // several, that were too many to keep apart
			add(use.Type, use.Resource, use.Permission)
		}
	}
	for i := range grants {
		e := &grants[i].Entity
		for _, p := range grants[i].Permissions {
			if e.Type == "organization" {
				add("", "", p)
			} else {
				add(e.Type, e.Name, p)
			}
		}
	}
	if len(out) == 0 {
		for _, p := range r.tried[kind] {
			add("", "", p)
		}
	}
	return out
}
