package admin

import (
	"context"
	"time"
)

// Notification is a message to one recipient, as queued.
type Notification struct {
	ID           int64      `json:"id"`
	Kind         string     `json:"kind"`
	Organization string     `json:"organization_id,omitempty"`
	Token        string     `json:"token_id,omitempty"`
	Request      string     `json:"request_id,omitempty"`
	Channel      string     `json:"channel" doc:"mail or webhook"`
	Audience     string     `json:"audience" doc:"administrators, owner or operators"`
	Recipient    string     `json:"recipient"`
	State        string     `json:"state" doc:"waiting, sent, skipped or dead"`
	Attempts     int        `json:"attempts"`
	NextAt       *time.Time `json:"next_at,omitempty"`
	EndedAt      *time.Time `json:"ended_at,omitempty"`
	LastError    string     `json:"last_error,omitempty"`
	CreatedAt    time.Time  `json:"created_at"`
}

// Notifications are what people are told.
type Notifications interface {
	// Queue lists messages in a state, the newest first; before is the id of the
	// last one that is known already, 0 for none.
	Queue(ctx context.Context, state string, before int64, limit int) ([]Notification, error)
	// Retry tries everything anew that was given up, and says how much.
	Retry(ctx context.Context) (int64, error)
	// Test sends a message to the operators.
	Test(ctx context.Context) error
}

// Retried is the answer to a retry.
type Retried struct {
	Retried int64 `json:"retried"`
}

func (s *service) notifications() {
	register(s, "list-notifications", "GET", "/api/notifications", "List messages to people, newest first", func(ctx context.Context, in *struct {
		State  string `query:"state" enum:"waiting,sent,skipped,dead" default:"waiting"`
		Before int64  `query:"before" minimum:"0" doc:"The id of the last one that is known already"`
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50"`
	},
	) (*body[[]Notification], error) {
		rows, err := s.Notifications.Queue(ctx, in.State, in.Before, in.Limit)
		if rows == nil {
			rows = []Notification{}
		}
		return &body[[]Notification]{rows}, err
	})
	register(s, "retry-notifications", "POST", "/api/notifications/retry", "Try messages again that were given up", func(ctx context.Context, _ *struct{}) (*body[Retried], error) {
		n, err := s.Notifications.Retry(ctx)
		return &body[Retried]{Retried{n}}, err
	})
	register(s, "test-notifications", "POST", "/api/notifications/test", "Send a message to the operators", func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		return nil, s.Notifications.Test(ctx)
	})
}
