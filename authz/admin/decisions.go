package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/record"
)

// MaxFollowed is how long decisions are followed at most.
const MaxFollowed = time.Hour

// Followed is the last line of what follows decisions.
type Followed struct {
	// End: they are over by it.
	End bool `json:"end"`
	// Missed decisions came too fast to be told.
	Missed int64 `json:"missed"`
}

// errEnough ends what follows decisions, once there are as many as were asked for.
var errEnough = errors.New("enough")

func (s *service) decisions() {
	register(s, "list-refusals", "GET", "/api/refusals", "The refusals that this server keeps, of 24 hours at most, as JSON lines, the oldest first", func(ctx context.Context, in *struct {
		Organization string `query:"organization" maxLength:"96" doc:"Of this organization alone"`
	},
	) (*huma.StreamResponse, error) {
		id, err := s.organizationID(ctx, in.Organization)
		if err != nil {
			return nil, err
		}
		return stream("application/x-ndjson", func(w io.Writer) error {
			return s.Refusals.Kept(ctx, id, func(line []byte) error {
				_, err := w.Write(line)
				return err
			})
		}), nil
	})
	register(s, "follow-decisions", "GET", "/api/decisions", "The decisions that this server makes from now on, allows too, as JSON lines; the last line says how many came too fast to be told", func(ctx context.Context, in *struct {
		Organization string `query:"organization" maxLength:"96" doc:"Of this organization alone"`
		Seconds      int    `query:"seconds" required:"true" minimum:"1" maximum:"3600" doc:"For so long"`
		Limit        int    `query:"limit" minimum:"1" maximum:"100000" default:"100000" doc:"At most so many"`
	},
	) (*huma.StreamResponse, error) {
		id, err := s.organizationID(ctx, in.Organization)
		if err != nil {
			return nil, err
		}
		follower := s.Refusals.Follow(func(o *authz.Outcome) bool { return id == "" || isOn(o, id) })
		if follower == nil {
			return nil, newProblem(http.StatusServiceUnavailable, "too_many", "too many follow decisions already: try again later")
		}
		return follow(ctx, follower, time.Duration(in.Seconds)*time.Second, in.Limit), nil
	})
}

// organizationID is the id of an organization, by its name; "" has none.
func (s *service) organizationID(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	o, err := s.Queries.Organization(ctx, name)
	if err != nil {
		return "", err
	}
	return o.ID, nil
}

// follow answers with decisions as they are made.
func follow(ctx context.Context, follower *record.Follower, span time.Duration, most int) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(answer huma.Context) {
		within, end := context.WithTimeout(ctx, span)
		defer end()
		answer.SetHeader("Content-Type", "application/x-ndjson")
		w := answer.BodyWriter()
		flush := func() error { return nil }
		if server, ok := w.(http.ResponseWriter); ok {
			flush = http.NewResponseController(server).Flush
		}
		_ = flush() // who asked learns that it began
		told := 0
		missed, err := follower.Each(within, func(line []byte) error {
			if _, err := w.Write(line); err != nil {
				return err
			}
			if told++; told == most {
				return errEnough
			}
			return flush()
		})
		if err == nil || errors.Is(err, errEnough) {
			fmt.Fprintf(w, "{\"end\":true,\"missed\":%d}\n", missed)
			return
		}
		panic(http.ErrAbortHandler)
	}}
}

// isOn says whether a request was about an organization, by its id.
func isOn(o *authz.Outcome, id string) bool {
	for _, f := range append(o.Others[:len(o.Others):len(o.Others)], o.Facts) {
		if f != nil && f.Organization != nil && f.Organization.ID == id {
			return true
		}
	}
	return false
}
