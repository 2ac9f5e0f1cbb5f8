package admin

import (
	"context"
	"slices"
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
		beyond, organizations := s.handedOn(ctx, q, t.Grants)
		q.Asked = map[string]any{
			"owner": inventory.Fold(t.Owner), "kind": t.Kind, "grants": len(t.Grants), "global": append([]string{}, t.Global...),
			"beyond": beyond, "organizations": organizations,
		}
		if t.ExpiresAt != nil {
			q.Asked["expires_at"] = t.ExpiresAt.UTC().Format(time.RFC3339)
		}
	})
}

// handedOn lists the permissions that the caller's own token would be refused, and
// the organizations that the grants reach. What holds of the caller in each of
// them goes into the question.
func (s *service) handedOn(ctx context.Context, q *question, grants []authz.Grant) (beyond, organizations []string) {
	beyond, organizations = []string{}, []string{}
	c := callerOf(ctx)
	for _, g := range grants {
		name, _, nested := strings.Cut(g.Entity.Name, "/")
		namespace := inventory.Fold(name)
		for _, permission := range g.Permissions {
			route := organizationRoute("issue-token", namespace, permission)
			if nested {
				route.Resource = &authz.Resource{Type: g.Entity.Type, Name: g.Entity.Name}
			}
			if full, _ := s.full(ctx, c, route); !full {
				beyond = append(beyond, g.Entity.Type+":"+g.Entity.Name+"="+permission)
			}
		}
		// To hand rights on is a right of its own.
		full, out := s.full(ctx, c, organizationRoute("issue-token", namespace, tokensWrite))
		if !full {
			beyond = append(beyond, namespace+"="+tokensWrite)
		}
		if slices.Contains(organizations, namespace) {
			continue
		}
		organizations = append(organizations, namespace)
		if out.Facts != nil && out.Facts.Organization != nil {
			q.Caller.Approvals = append(q.Caller.Approvals, approvalOf(namespace, out.Facts))
		}
	}
	return beyond, organizations
}

// approvalOf says when the approval of the caller's token ends in an organization. One
// that has ended is not what lets the token in there, if anything does.
func approvalOf(organization string, f *authz.Facts) askedApproval {
	a := f.Authorization
	if a == nil || a.ExpiresAt.IsZero() || !f.Now.Before(a.ExpiresAt) {
		return askedApproval{Organization: organization}
	}
	return askedApproval{organization, true, a.ExpiresAt.UTC().Format(time.RFC3339)}
}

// full says whether the caller's token may do something, with nothing waived, and
// what that was decided on.
func (s *service) full(ctx context.Context, c *caller, on *authz.Route) (bool, *authz.Outcome) {
	out := s.Decider.ExplainOn(ctx, c.request, on)
	return out.Decision.Allowed && len(out.Decision.Reasons) == 0, out
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
			if full, _ := s.full(ctx, callerOf(ctx), organizationRoute("check", name, tokensRead)); full {
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
