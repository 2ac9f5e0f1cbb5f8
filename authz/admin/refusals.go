package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/record"
)

// Refusals finds why requests were refused.
type Refusals interface {
	// Find returns the latest refusal of a request by its id, or the decision's: of
	// the organizations, by their ids, that see says yes to; "" is for those about none.
	// Nil where none is kept.
	Find(ctx context.Context, id string, see func(organization string) bool) (*record.Refusal, error)
	// Last returns the latest refusals of a token, at most so many: of the
	// organizations, by their ids, that see says yes to; "" is for those about none.
	Last(ctx context.Context, token string, most int, see func(organization string) bool) ([]record.Refusal, error)
	// Kept hands on what is kept, the oldest first, as lines of JSON: of
	// an organization, by its id, or all.
	Kept(ctx context.Context, organization string, f func(line []byte) error) error
	// Follow begins to follow decisions as they are made; nil: too many follow already.
	Follow(see func(*authz.Outcome) bool) *record.Follower
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
	register(s, "list-token-refusals", "GET", "/api/tokens/{id}/refusals", "List the last requests with a token that were refused, the latest first: of 24 hours, by the server that is asked, as the token's owner is told of them", func(ctx context.Context, in *struct {
		TokenPath
		Limit int `query:"limit" minimum:"1" maximum:"100" default:"20"`
	},
	) (*body[[]record.Told], error) {
		return s.lastRefusals(ctx, in.ID, in.Limit)
	})
}

// lastRefusals are those of a token: for its owner in the organizations that they
// are a member of, in their own namespace, and of no organization.
func (s *service) lastRefusals(ctx context.Context, id string, most int) (*body[[]record.Told], error) {
	row, err := s.Queries.Token(ctx, "", id)
	if err != nil {
		return nil, err
	}
	see := func(string) bool { return true }
	if owns(ctx, row.Owner) {
		seen := map[string]bool{"": true}
		for _, m := range s.Decider.Memberships(callerOf(ctx).token.Owner.ID) {
			seen[m.Organization.ID] = true
		}
		space, err := s.Queries.Organization(ctx, row.Owner) // the owner's namespace
		var missing *inventory.NotFound
		switch {
		case err == nil && space.Type == authz.TypeUser:
			seen[space.ID] = true
		case err != nil && !errors.As(err, &missing):
			return nil, err
		}
		see = func(organization string) bool { return seen[organization] }
	}
	rows, err := s.Refusals.Last(ctx, row.ID, most, see)
	if err != nil {
		return nil, err
	}
	out := make([]record.Told, len(rows))
	for i := range rows {
		out[i] = rows[i].Told(s.catalogue())
	}
	return &body[[]record.Told]{out}, nil
}

func (s *service) catalogue() authz.Catalogue {
	if r := s.Policy.Ruleset(); r != nil {
		return r.Catalogue
	}
	return nil
}

// refusal finds a refusal: of an organization, by its id, or any.
func (s *service) refusal(ctx context.Context, id, organization string) (*body[record.Refusal], error) {
	r, err := s.Refusals.Find(ctx, id, func(of string) bool { return organization == "" || of == organization })
	if err != nil {
		return nil, err
	}
	if r == nil {
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
