package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/patrol-authz/patrol/authz/record"
)

// Refusal says why a request was refused, by its id.
func (c *Client) Refusal(ctx context.Context, requestID string) (*record.Refusal, error) {
	return send[record.Refusal](ctx, c, http.MethodGet, "/api/refusals/"+url.PathEscape(requestID), nil)
}
