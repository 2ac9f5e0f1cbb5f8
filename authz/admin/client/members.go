package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

func memberPath(organization, user string) string {
	return organizationPath(organization) + "/members/" + url.PathEscape(user)
}

// Members lists an organization's members.
func (c *Client) Members(ctx context.Context, organization string) ([]inventory.MemberRow, error) {
	return c.FindMembers(ctx, organization, inventory.MemberFilter{})
}

// FindMembers lists those of an organization's members that a filter lets through.
func (c *Client) FindMembers(ctx context.Context, organization string, f inventory.MemberFilter) ([]inventory.MemberRow, error) {
	query := given(map[string]string{"role": f.Role, "type": f.Type, "address": f.Address, "q": f.Query})
	return List[inventory.MemberRow](ctx, c, organizationPath(organization)+"/members", query, 0)
}

// Member reads one member.
func (c *Client) Member(ctx context.Context, organization, user string) (*inventory.MemberRow, error) {
	return send[inventory.MemberRow](ctx, c, http.MethodGet, memberPath(organization, user), nil)
}

// NotThere is the version of a member who is to be none yet.
const NotThere = -1

// MemberAt says when a member is changed.
type MemberAt struct {
	// Version is what the member has to be at; 0 is any.
	Version int64
	// Force changes the organization's last administrator too.
	Force bool
}

func (a MemberAt) header() http.Header {
	if a.Version == NotThere {
		return http.Header{"If-None-Match": {"*"}}
	}
	return ifMatch(a.Version)
}

func (a MemberAt) path(organization, user string) string {
	if a.Force {
		return memberPath(organization, user) + "?force=true"
	}
	return memberPath(organization, user)
}

// SetMember adds a member or changes one who is as at says.
func (c *Client) SetMember(ctx context.Context, organization, user string, m admin.NewMember, at MemberAt) (*inventory.MemberRow, error) {
	var row inventory.MemberRow
	if _, err := c.do(ctx, http.MethodPut, at.path(organization, user), at.header(), m, &row); err != nil {
		return nil, err
	}
	return &row, nil
}

// ConfirmMember says that a member's address is theirs.
func (c *Client) ConfirmMember(ctx context.Context, organization, user string) (*inventory.MemberRow, error) {
	return send[inventory.MemberRow](ctx, c, http.MethodPost, memberPath(organization, user)+"/confirm", nil)
}

// AskConfirmation mails a member a link to confirm the address.
func (c *Client) AskConfirmation(ctx context.Context, organization, user string) (*inventory.MemberRow, error) {
	return send[inventory.MemberRow](ctx, c, http.MethodPost, memberPath(organization, user)+"/ask-confirmation", nil)
}

// RemoveMember removes a member who is as at says; the approvals of the member's
// tokens end.
func (c *Client) RemoveMember(ctx context.Context, organization, user string, at MemberAt) error {
	_, err := c.do(ctx, http.MethodDelete, at.path(organization, user), at.header(), nil, nil)
	return err
}
