package main

import (
	"context"
	"net/url"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// MemberCmd holds the commands on members.
type MemberCmd struct {
	Add    MemberAddCmd    `cmd:"" help:"Add a member, or change a role. Example: patrol member add acme alice --role admin --email alice@example.com"`
	List   MemberListCmd   `cmd:"" help:"List members. Example: patrol member list acme"`
	Remove MemberRemoveCmd `cmd:"" help:"Remove a member; the approvals of the member's tokens end. Example: patrol member remove acme bob"`
}

func memberPath(organization, user string) string {
	return organizationPath(organization) + "/members/" + url.PathEscape(user)
}

// MemberAddCmd adds a member.
type MemberAddCmd struct {
	Organization string `arg:""`
	User         string `arg:""`
	Role         string `help:"admin, write, contributor, read or no_access." default:"read"`
	Type         string `help:"user or service_account." default:"user"`
	Email        string `help:"Address for mail."`
}

// Run adds the member.
func (c *MemberAddCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	var row inventory.MemberRow
	if err := cl.Do(ctx, "PUT", memberPath(c.Organization, c.User), admin.NewMember{Role: c.Role, Type: c.Type, Email: c.Email}, &row); err != nil {
		return err
	}
	return cli.print(row, func(t *table) { members(t, []inventory.MemberRow{row}) })
}

func members(t *table, rows []inventory.MemberRow) {
	t.row("USER", "ROLE", "TYPE", "SINCE", "EMAIL")
	for _, r := range rows {
		t.row(r.User, r.Role, r.Type, day(&r.Since), dash(r.Email))
	}
}

// MemberListCmd lists members.
type MemberListCmd struct {
	Organization string `arg:""`
}

// Run lists them.
func (c *MemberListCmd) Run(ctx context.Context, cli *CLI) error {
	return list(ctx, cli, organizationPath(c.Organization)+"/members", nil, members)
}

// MemberRemoveCmd removes a member.
type MemberRemoveCmd struct {
	Organization string `arg:""`
	User         string `arg:""`
}

// Run removes the member.
func (c *MemberRemoveCmd) Run(ctx context.Context, cli *CLI) error {
	return cli.send(ctx, "DELETE", memberPath(c.Organization, c.User), nil, "removed "+c.User+" from "+c.Organization)
}
