package client

import (
	"context"
	"net/http"

	"github.com/patrol-authz/patrol/authz/admin"
)

// LoginLink makes a link with which the caller logs in to the console.
func (c *Client) LoginLink(ctx context.Context) (*admin.LoginLink, error) {
	return send[admin.LoginLink](ctx, c, http.MethodPost, "/api/login-links", nil)
}
