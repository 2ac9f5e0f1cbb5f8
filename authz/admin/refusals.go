package admin

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/record"
)

// Refusals finds why requests were refused.
type Refusals interface {
	// Find returns the refusal of a request by its id, or the decision's; nil
	// where none is kept.
	Find(ctx context.Context, id string) (*record.Refusal, error)
}

// RefusalPath names a request in a path.
type RefusalPath struct {
	ID string `path:"request_id" minLength:"1" maxLength:"128" doc:"The X-Request-Id of the answer, or the decision's id"`
}

func (s *service) refusals() {
	register(s, "get-organization-refusal", "GET", "/api/organizations/{organization}/settings/refusals/{request_id}", "Say why a request on an organization was refused", func(ctx context.Context, in *struct {
		OrganizationPath
		RefusalPath
	},
	) (*body[record.Refusal], error) {
		o, err := s.Queries.Organization(ctx, in.Organization)
		if err != nil {
			return nil, err
		}
		return s.refusal(ctx, in.ID, o.ID)
	})
	register(s, "get-refusal", "GET", "/api/refusals/{request_id}", "Say why a request was refused; kept for 24 hours by the server that refused it", func(ctx context.Context, in *RefusalPath) (*body[record.Refusal], error) {
		return s.refusal(ctx, in.ID, "")
	})
}

// refusal finds a refusal: of an organization, by its id, or any.
func (s *service) refusal(ctx context.Context, id, organization string) (*body[record.Refusal], error) {
	r, err := s.Refusals.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	if r == nil || organization != "" && r.OrganizationID != organization {
		return nil, s.noRefusal(ctx, id, organization)
	}
	return &body[record.Refusal]{*r}, nil
}

// noRefusal says where was looked: each server keeps the refusals of its own. Which
// others there are is told to those who run patrol.
func (s *service) noRefusal(ctx context.Context, id, organization string) *Problem {
	detail := fmt.Sprintf("no refusal of the request %q is kept here: each server keeps its own, for 24 hours, and %s was asked", id, hostOf(&s.Instance))
	if organization == "" && s.Upkeep != nil {
		if rows, err := s.Upkeep.Replicas(ctx); err == nil {
			var others []string
			for i := range rows {
				if rows[i].ID != s.Instance.ID && len(others) < maxTold {
					others = append(others, hostOf(&rows[i]))
				}
			}
			if len(others) > 0 {
				detail += "; ask the others that serve from this inventory: " + strings.Join(others, ", ")
			} else {
				detail += ", the only one that serves from this inventory now"
			}
		}
	}
	return newProblem(http.StatusNotFound, "not_found", detail)
}

// hostOf names a server; several may be on one host.
func hostOf(r *inventory.ReplicaRow) string {
	if r.Host == "" {
		return "this server"
	}
	return r.Host + " (" + r.ID + ")"
}
