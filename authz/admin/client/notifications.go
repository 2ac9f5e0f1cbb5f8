package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/patrol-authz/patrol/authz/admin"
)

// Notifications lists messages to people in a state; at most 1,000.
func (c *Client) Notifications(ctx context.Context, state string) ([]admin.Notification, error) {
	out, err := send[[]admin.Notification](ctx, c, http.MethodGet, "/api/notifications?"+url.Values{"state": {state}, "limit": {"1000"}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return *out, nil
}

// RetryNotifications tries messages again that were given up, and says how many.
func (c *Client) RetryNotifications(ctx context.Context) (int64, error) {
	out, err := send[admin.Retried](ctx, c, http.MethodPost, "/api/notifications/retry", nil)
	if err != nil {
		return 0, err
	}
	return out.Retried, nil
}

// TestNotifications sends a message to the operators.
func (c *Client) TestNotifications(ctx context.Context) error {
	return c.Do(ctx, http.MethodPost, "/api/notifications/test", nil, nil)
}
