package admin

import (
	"context"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// maxDelegated is how many permissions a token may give on at once: each is a
// decision.
const maxDelegated = 200

// withinOwn asks whether the caller may issue a token.
func (s *service) withinOwn(ctx context.Context, t *NewToken) error {
	asked := 0
	for _, g := range t.Grants {
		asked += len(g.Permissions)
	}
	if c := callerOf(ctx); asked > maxDelegated && c != nil && !c.trusted {
		return &inventory.Invalid{Field: "grants", Problem: "hold more than 200 permissions, which only those who run patrol may give at once"}
	}
	return s.judge(ctx, func(q *question) {
		q.Asked = map[string]any{
			"owner": inventory.Fold(t.Owner), "kind": t.Kind, "grants": len(t.Grants), "global": append([]string{}, t.Global...),
			"beyond": s.beyond(ctx, t.Grants),
		}
		if t.ExpiresAt != nil {
			q.Asked["expires_at"] = t.ExpiresAt.UTC().Format(time.RFC3339)
		}
	})
}

// beyond lists the permissions that the caller's own token would be refused.
func (s *service) beyond(ctx context.Context, grants []authz.Grant) []string {
	out := []string{}
	c := callerOf(ctx)
	for _, g := range grants {
		namespace, _, nested := strings.Cut(g.Entity.Name, "/")
		for _, permission := range g.Permissions {
			route := organizationRoute("issue-token", namespace, permission)
			if nested {
				route.Resource = &authz.Resource{Type: g.Entity.Type, Name: g.Entity.Name}
			}
			if !s.full(ctx, c, route) {
				out = append(out, g.Entity.Type+":"+g.Entity.Name+"="+permission)
			}
		}
		// To hand rights on is a right of its own.
		if !s.full(ctx, c, organizationRoute("issue-token", namespace, tokensWrite)) {
			out = append(out, namespace+"="+tokensWrite)
		}
	}
	return out
}

// full says whether the caller's token may do something, with nothing waived.
func (s *service) full(ctx context.Context, c *caller, on *authz.Route) bool {
	out := s.Decider.ExplainOn(ctx, c.request, on)
	return out.Decision.Allowed && len(out.Decision.Reasons) == 0
}

// mayCheck asks whether the caller may see how a request would be decided: one
// on organizations whose tokens it may read.
func (s *service) mayCheck(ctx context.Context, out *authz.Outcome) error {
	return s.judge(ctx, func(q *question) {
		names := []string{}
		if f := out.Facts; f != nil && f.Route != nil && f.Organization != nil {
			names = append(append(names, f.Organization.Name), f.Route.Organizations...)
		}
		readable := []string{}
		for _, name := range names {
			if s.full(ctx, callerOf(ctx), organizationRoute("check", name, tokensRead)) {
				readable = append(readable, name)
			}
		}
		q.Asked = map[string]any{"organizations": names, "readable": readable}
	})
}

// trusted says whether the caller came over the socket.
func trusted(ctx context.Context) bool {
	c := callerOf(ctx)
	return c != nil && c.trusted
}
