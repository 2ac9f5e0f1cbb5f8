package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

func organizationPath(name string) string { return "/api/organizations/" + url.PathEscape(name) }

// Organizations lists all organizations.
func (c *Client) Organizations(ctx context.Context) ([]inventory.OrganizationRow, error) {
	return List[inventory.OrganizationRow](ctx, c, "/api/organizations", nil, 0)
}

// CreateOrganization makes an organization.
func (c *Client) CreateOrganization(ctx context.Context, o admin.NewOrganization) (*inventory.OrganizationRow, error) {
	return send[inventory.OrganizationRow](ctx, c, http.MethodPost, "/api/organizations", o)
}

// Organization reads one organization.
func (c *Client) Organization(ctx context.Context, name string) (*inventory.OrganizationRow, error) {
	return send[inventory.OrganizationRow](ctx, c, http.MethodGet, organizationPath(name), nil)
}

// SetTokenPolicy changes an organization's token policy, where version is not 0
// only while the organization is at it.
func (c *Client) SetTokenPolicy(ctx context.Context, organization string, change admin.PolicyChange, version int64) (*inventory.OrganizationRow, error) {
	var row inventory.OrganizationRow
	if _, err := c.do(ctx, http.MethodPut, organizationPath(organization)+"/settings/token-policy", ifMatch(version), change, &row); err != nil {
		return nil, err
	}
	return &row, nil
}

// DeleteOrganization deletes an organization that has no members, where version is
// not 0 only while it is at that.
func (c *Client) DeleteOrganization(ctx context.Context, name string, version int64) error {
	_, err := c.do(ctx, http.MethodDelete, organizationPath(name), ifMatch(version), nil, nil)
	return err
}

// ifMatch makes a change depend on a version; 0 does not.
func ifMatch(version int64) http.Header {
	header := http.Header{}
	if version != 0 {
		header.Set("If-Match", fmt.Sprintf("%q", fmt.Sprint(version)))
	}
	return header
}

// given are the parameters of a query that are not empty.
func given(all map[string]string) url.Values {
	query := url.Values{}
	for name, value := range all {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// Audit lists the newest entries of the audit log: of an organization, or of
// all where it is "".
func (c *Client) Audit(ctx context.Context, organization string, most int) ([]inventory.AuditRow, error) {
	return c.FindAudit(ctx, organization, inventory.AuditFilter{}, most)
}

// FindAudit lists the newest of those entries that a filter lets through.
func (c *Client) FindAudit(ctx context.Context, organization string, f inventory.AuditFilter, most int) ([]inventory.AuditRow, error) {
	path := "/api/audit"
	if organization != "" {
		path = organizationPath(organization) + "/audit"
	}
	query := given(map[string]string{"actor": f.Actor, "action": f.Action, "token": f.Token, "user": f.User})
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return List[inventory.AuditRow](ctx, c, path, query, most)
}
