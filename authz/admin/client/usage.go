package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/usage"
)

// TokenUsage reports how a token was used in the last days: at an organization,
// or everywhere where that is "".
func (c *Client) TokenUsage(ctx context.Context, organization, id string, days int) (*usage.Report, error) {
	return send[usage.Report](ctx, c, http.MethodGet, tokenPath(organization, id)+"/usage?days="+strconv.Itoa(days), nil)
}

// OrganizationUsage reports how an organization's tokens were used in the last
// days, today included.
func (c *Client) OrganizationUsage(ctx context.Context, organization string, days int) (*usage.Overview, error) {
	return send[usage.Overview](ctx, c, http.MethodGet, organizationPath(organization)+"/settings/usage?days="+strconv.Itoa(days), nil)
}

// Timeline tells what happened to a token in the last days, the latest first.
func (c *Client) Timeline(ctx context.Context, organization, id string, days int) ([]usage.Event, error) {
	out, err := send[[]usage.Event](ctx, c, http.MethodGet, tokenPath(organization, id)+"/timeline?days="+strconv.Itoa(days), nil)
	if err != nil {
		return nil, err
	}
	return *out, nil
}

// Findings lists what was found at an organization.
func (c *Client) Findings(ctx context.Context, organization string, f hygiene.Filter) ([]hygiene.Row, error) {
	query := url.Values{}
	if f.Finding != "" {
		query.Set("finding", f.Finding)
	}
	if f.Severity != "" {
		query.Set("severity", f.Severity)
	}
	return List[hygiene.Row](ctx, c, organizationPath(organization)+"/settings/findings", query, 0)
}

// Discovered lists the unknown tokens that were seen while an organization
// observed.
func (c *Client) Discovered(ctx context.Context, organization string) ([]usage.Discovered, error) {
	return List[usage.Discovered](ctx, c, organizationPath(organization)+"/settings/discovered", nil, 0)
}
