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

// memberAt makes a change of a member depend on a version; 0 does not.
func memberAt(version int64) http.Header {
	if version == NotThere {
		return http.Header{"If-None-Match": {"*"}}
	}
	return ifMatch(version)
}

// SetMember adds a member or changes a role; where version is not 0 only while the
// member is at it.
func (c *Client) SetMember(ctx context.Context, organization, user string, m admin.NewMember, version int64) (*inventory.MemberRow, error) {
	var row inventory.MemberRow
	if _, err := c.do(ctx, http.MethodPut, memberPath(organization, user), memberAt(version), m, &row); err != nil {
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

// RemoveMember removes a member, where version is not 0 only while the member is
// at it; the approvals of the member's tokens end.
func (c *Client) RemoveMember(ctx context.Context, organization, user string, version int64) error {
	_, err := c.do(ctx, http.MethodDelete, memberPath(organization, user), memberAt(version), nil, nil)
	return err
}
