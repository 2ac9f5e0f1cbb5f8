package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/patrol-authz/patrol/authz/record"
)

// Refusal says why a request was refused, by its id: one on an organization, or
// any where that is "".
func (c *Client) Refusal(ctx context.Context, organization, requestID string) (*record.Refusal, error) {
	path := "/api/refusals/"
	if organization != "" {
		path = organizationPath(organization) + "/settings/refusals/"
	}
	return send[record.Refusal](ctx, c, http.MethodGet, path+url.PathEscape(requestID), nil)
}
