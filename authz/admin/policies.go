package admin

import (
	"context"
	"net/http"

	"github.com/patrol-authz/patrol/authz"
)

func (s *service) policies() {
	register(s, "list-policies", "GET", "/api/policies", "List the token policies of the active bundle", func(context.Context, *struct{}) (*body[[]authz.TokenPolicy], error) {
		r := s.Policy.Ruleset()
		if r == nil {
			return nil, newProblem(http.StatusServiceUnavailable, "policy_error", "no policy bundle is active: see bundle status")
		}
		return &body[[]authz.TokenPolicy]{r.Policies}, nil
	})
	register(s, "list-routes", "GET", "/api/routes", "List the route table in the order in which it is tried", func(context.Context, *struct{}) (*body[any], error) {
		return &body[any]{s.Policy.Routes()}, nil
	})
	register(s, "bundle-status", "GET", "/api/bundles", "Show the status of each bundle", func(context.Context, *struct{}) (*body[any], error) {
		return &body[any]{s.Policy.Bundles()}, nil
	})
	register(s, "whoami", "GET", "/api/whoami-v2", "Show who asks: a token and what keeps it out of its owner's organizations", s.whoami)
}
