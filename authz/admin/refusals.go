package admin

import (
	"context"

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
	register(s, "get-refusal", "GET", "/api/refusals/{request_id}", "Say why a request was refused; kept for 24 hours by the server that refused it", func(ctx context.Context, in *RefusalPath) (*body[record.Refusal], error) {
		r, err := s.Refusals.Find(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, &inventory.NotFound{What: "refusal of the request", Name: in.ID}
		}
		return &body[record.Refusal]{*r}, nil
	})
}
