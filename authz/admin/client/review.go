package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// FindApprovals lists an organization's approval requests, oldest first.
func (c *Client) FindApprovals(ctx context.Context, organization string, f inventory.ApprovalFilter) ([]inventory.ApprovalRow, error) {
	query := url.Values{}
	for name, value := range map[string]string{"status": f.Status, "owner": f.Owner, "assignee": f.Assignee, "group": f.Group, "recommendation": f.Recommendation, "sort": f.Sort} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return List[inventory.ApprovalRow](ctx, c, organizationPath(organization)+"/settings/approvals", query, 0)
}

// ApprovalGroups groups an organization's open requests by what they ask for.
func (c *Client) ApprovalGroups(ctx context.Context, organization string) ([]inventory.ApprovalGroup, error) {
	out, err := send[[]inventory.ApprovalGroup](ctx, c, http.MethodGet, organizationPath(organization)+"/settings/approvals/groups", nil)
	if err != nil {
		return nil, err
	}
	return *out, nil
}

// ApproveTokens approves several tokens, each with its result.
func (c *Client) ApproveTokens(ctx context.Context, organization string, a admin.BulkApproval) (*admin.BulkResults, error) {
	return send[admin.BulkResults](ctx, c, http.MethodPost, organizationPath(organization)+"/settings/tokens/approve", a)
}

// DenyTokens denies several tokens, each with its result.
func (c *Client) DenyTokens(ctx context.Context, organization string, d admin.BulkDenial) (*admin.BulkResults, error) {
	return send[admin.BulkResults](ctx, c, http.MethodPost, organizationPath(organization)+"/settings/tokens/deny", d)
}

// OnRequest does something about a token's open request: comment, question,
// answer (in is an admin.Text), assign (admin.Assignment), ask (admin.Purpose),
// remind, escalate or withdraw (admin.Comment).
func (c *Client) OnRequest(ctx context.Context, organization, id, action string, in any) (*inventory.ApprovalRow, error) {
	return send[inventory.ApprovalRow](ctx, c, http.MethodPost, tokenPath(organization, id)+"/"+url.PathEscape(action), in)
}

// RotateToken gives a token another secret; the answer holds it, this once.
func (c *Client) RotateToken(ctx context.Context, id string, r admin.Rotation) (*admin.IssuedToken, error) {
	return send[admin.IssuedToken](ctx, c, http.MethodPost, tokenPath("", id)+"/rotate", r)
}

// UpdateToken changes what a token is.
func (c *Client) UpdateToken(ctx context.Context, id string, t admin.TokenChange) (*inventory.TokenRow, error) {
	return send[inventory.TokenRow](ctx, c, http.MethodPatch, tokenPath("", id), t)
}

// ChangeSettings changes an organization's settings, where version is not 0
// only while the organization is at it.
func (c *Client) ChangeSettings(ctx context.Context, organization string, settings map[string]any, version int64) (*inventory.OrganizationRow, error) {
	var row inventory.OrganizationRow
	if _, err := c.do(ctx, http.MethodPatch, organizationPath(organization)+"/settings", ifMatch(version), admin.SettingsChange{Settings: settings}, &row); err != nil {
		return nil, err
	}
	return &row, nil
}

// RenameOrganization gives an organization another name.
func (c *Client) RenameOrganization(ctx context.Context, organization, name string) (*inventory.OrganizationRow, error) {
	return send[inventory.OrganizationRow](ctx, c, http.MethodPost, organizationPath(organization)+"/rename", admin.NewName{Name: name})
}
