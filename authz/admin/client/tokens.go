package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/record"
)

// tokenPath is a token's path: as an organization sees it, or whole.
func tokenPath(organization, id string) string {
	if organization == "" {
		return "/api/tokens/" + url.PathEscape(id)
	}
	return organizationPath(organization) + "/settings/tokens/" + url.PathEscape(id)
}

// IssueToken makes a token; the answer holds its secret, this once.
func (c *Client) IssueToken(ctx context.Context, t admin.NewToken) (*admin.IssuedToken, error) {
	return send[admin.IssuedToken](ctx, c, http.MethodPost, "/api/tokens", t)
}

// ImportTokens brings tokens in, at most [admin.MaxImport], all or none; it
// returns how many. A dry one only finds out what is wrong.
func (c *Client) ImportTokens(ctx context.Context, tokens []admin.ImportedToken, dry bool) (int, error) {
	return c.importTokens(ctx, admin.Import{Tokens: tokens}, dry)
}

// ImportTexts does what ImportTokens does with tokens that are JSON already, each
// a value: they are sent as they are.
func (c *Client) ImportTexts(ctx context.Context, tokens [][]byte, dry bool) (int, error) {
	const begin, end = `{"tokens":[`, `]}`
	size := len(begin) + len(end) + len(tokens)
	for _, t := range tokens {
		size += len(t)
	}
	text := append(make(jsonText, 0, size), begin...)
	for i, t := range tokens {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, t...)
	}
	return c.importTokens(ctx, append(text, end...), dry)
}

func (c *Client) importTokens(ctx context.Context, in any, dry bool) (int, error) {
	path := "/api/tokens/import"
	if dry {
		path += "?dry_run=true"
	}
	out, err := send[admin.Imported](ctx, c, http.MethodPost, path, in)
	if err != nil {
		return 0, err
	}
	return out.Imported, nil
}

// Tokens lists all tokens, newest first.
func (c *Client) Tokens(ctx context.Context, f inventory.TokenFilter) ([]inventory.TokenRow, error) {
	return List[inventory.TokenRow](ctx, c, "/api/tokens", filter(f), 0)
}

// OrganizationTokens lists the tokens that reach an organization, newest first.
func (c *Client) OrganizationTokens(ctx context.Context, organization string, f inventory.TokenFilter) ([]admin.Listed, error) {
	return List[admin.Listed](ctx, c, organizationPath(organization)+"/settings/tokens", filter(f), 0)
}

func filter(f inventory.TokenFilter) url.Values {
	return given(map[string]string{"status": f.Status, "kind": f.Kind, "owner": f.Owner, "q": f.Query, "finding": f.Finding, "severity": f.Severity, "sort": f.Sort})
}

// Token reads a token: as an organization sees it, or whole where that is "".
func (c *Client) Token(ctx context.Context, organization, id string) (*inventory.TokenRow, error) {
	return send[inventory.TokenRow](ctx, c, http.MethodGet, tokenPath(organization, id), nil)
}

// OrganizationToken reads a token as an organization sees it, and how it stands
// there.
func (c *Client) OrganizationToken(ctx context.Context, organization, id string) (*admin.OrganizationToken, error) {
	return send[admin.OrganizationToken](ctx, c, http.MethodGet, tokenPath(organization, id), nil)
}

// Refusals lists the last requests with a token that were refused.
func (c *Client) Refusals(ctx context.Context, id string, limit int) ([]record.Told, error) {
	rows, err := send[[]record.Told](ctx, c, http.MethodGet, tokenPath("", id)+"/refusals?limit="+strconv.Itoa(limit), nil)
	if err != nil {
		return nil, err
	}
	return *rows, nil
}

// FindToken says which token has, or had, a secret, by the secret's SHA-256 in hex.
func (c *Client) FindToken(ctx context.Context, sha256 string) (*admin.FoundToken, error) {
	return send[admin.FoundToken](ctx, c, http.MethodPost, "/api/tokens/find", admin.Find{SHA256: sha256})
}

func (c *Client) act(ctx context.Context, organization, id, action, comment string) (*inventory.TokenRow, error) {
	return send[inventory.TokenRow](ctx, c, http.MethodPost, tokenPath(organization, id)+"/"+action, admin.Comment{Comment: comment})
}

// RevokeToken ends a token's access to an organization for ever.
func (c *Client) RevokeToken(ctx context.Context, organization, id, comment string) (*inventory.TokenRow, error) {
	return c.act(ctx, organization, id, "revoke", comment)
}

// SuspendToken stops a token's access to an organization until it is resumed.
func (c *Client) SuspendToken(ctx context.Context, organization, id, comment string) (*inventory.TokenRow, error) {
	return c.act(ctx, organization, id, "suspend", comment)
}

// ResumeToken lets a suspended token go on.
func (c *Client) ResumeToken(ctx context.Context, organization, id, comment string) (*inventory.TokenRow, error) {
	return c.act(ctx, organization, id, "resume", comment)
}

// ActOnTokens revokes, suspends or resumes up to 100 tokens, each by itself.
func (c *Client) ActOnTokens(ctx context.Context, organization, action string, ids []string, comment string) (*admin.BulkResults, error) {
	return send[admin.BulkResults](ctx, c, http.MethodPost, organizationPath(organization)+"/settings/tokens/"+action, admin.Bulk{IDs: ids, Comment: comment})
}

// ActEverywhere disables or enables up to 100 tokens, each by itself.
func (c *Client) ActEverywhere(ctx context.Context, action string, ids []string, comment string) (*admin.BulkResults, error) {
	return send[admin.BulkResults](ctx, c, http.MethodPost, "/api/tokens/"+action, admin.Bulk{IDs: ids, Comment: comment})
}

// DisableToken stops a token everywhere.
func (c *Client) DisableToken(ctx context.Context, id, comment string) (*inventory.TokenRow, error) {
	return c.act(ctx, "", id, "disable", comment)
}

// EnableToken lets a disabled token go on.
func (c *Client) EnableToken(ctx context.Context, id, comment string) (*inventory.TokenRow, error) {
	return c.act(ctx, "", id, "enable", comment)
}

// DeleteToken deletes a token; what was decided on it is kept.
func (c *Client) DeleteToken(ctx context.Context, id string) error {
	return c.Do(ctx, http.MethodDelete, tokenPath("", id), nil, nil)
}

// Approvals lists an organization's approval requests in a state (open,
// decided, withdrawn, all), oldest first.
func (c *Client) Approvals(ctx context.Context, organization, state string) ([]inventory.ApprovalRow, error) {
	return List[inventory.ApprovalRow](ctx, c, organizationPath(organization)+"/settings/approvals", url.Values{"status": {state}}, 0)
}

// Approve approves a token as it was reviewed.
func (c *Client) Approve(ctx context.Context, organization, id string, a admin.Approval) (*inventory.TokenRow, error) {
	return send[inventory.TokenRow](ctx, c, http.MethodPost, tokenPath(organization, id)+"/approve", a)
}

// Deny denies a token as it was reviewed, or takes an approval back.
func (c *Client) Deny(ctx context.Context, organization, id string, d admin.Denial) (*inventory.TokenRow, error) {
	return send[inventory.TokenRow](ctx, c, http.MethodPost, tokenPath(organization, id)+"/deny", d)
}
