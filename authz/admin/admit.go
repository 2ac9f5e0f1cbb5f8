package admin

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Admit judges a request that another protocol serves, as one of this API is
// judged: by the token that it carries, for an operation of an organization. It
// returns who acts, or why the request is refused, with the headers that the
// refusal has. Of the options it needs Queries, Policy, Explainer, Decider and
// SystemOwners.
func Admit(o Options, r *http.Request, operation, organization string) (inventory.Actor, *Problem, http.Header) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &service{Options: o}
	c := &caller{request: &sent{r}}
	q := asking(operation, r.Method)
	q.Organization = inventory.Fold(organization)
	ctx := context.WithValue(r.Context(), questionKey{}, q)
	p := s.decided(ctx, c, q)
	if p == nil {
		p = s.ask(ctx, q)
	}
	if p == nil {
		return c.actor, nil, nil
	}
	if p.Status >= http.StatusInternalServerError {
		o.Log.Error("a request could not be judged", "operation", operation, "organization", organization, "code", p.Code, "error", p.cause)
	}
	h := http.Header{}
	for name, value := range p.headers {
		h.Set(name, value)
	}
	return inventory.Actor{}, p, h
}
