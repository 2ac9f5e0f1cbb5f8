package client

import (
	"context"
	"net/http"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// Policies lists the token policies of the active bundle.
func (c *Client) Policies(ctx context.Context) ([]authz.TokenPolicy, error) {
	out, err := send[[]authz.TokenPolicy](ctx, c, http.MethodGet, "/api/policies", nil)
	if err != nil {
		return nil, err
	}
	return *out, nil
}

// Routes reads the route table into out, a pointer to a slice of its entries.
func (c *Client) Routes(ctx context.Context, out any) error {
	return c.Do(ctx, http.MethodGet, "/api/routes", nil, out)
}

// Bundles reads the bundles' status into out, a pointer to a slice of it.
func (c *Client) Bundles(ctx context.Context, out any) error {
	return c.Do(ctx, http.MethodGet, "/api/bundles", nil, out)
}

// Replicas lists the patrols that serve from the server's inventory.
func (c *Client) Replicas(ctx context.Context) ([]inventory.ReplicaRow, error) {
	rows, err := send[[]inventory.ReplicaRow](ctx, c, http.MethodGet, "/api/replicas", nil)
	if err != nil {
		return nil, err
	}
	return *rows, nil
}

// Check asks how a request would be decided. Nothing is opened or counted.
func (c *Client) Check(ctx context.Context, r admin.CheckRequest) (*admin.Checked, error) {
	return send[admin.Checked](ctx, c, http.MethodPost, "/api/check", r)
}

// Whoami says as whom the server knows the caller.
func (c *Client) Whoami(ctx context.Context) (*admin.Whoami, error) {
	return send[admin.Whoami](ctx, c, http.MethodGet, "/api/whoami-v2", nil)
}
