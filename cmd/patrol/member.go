package main

import (
	"context"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// MemberCmd holds the commands on members.
type MemberCmd struct {
	Add    MemberAddCmd    `cmd:"" help:"Add a member, or change a role."`
	List   MemberListCmd   `cmd:"" help:"List members."`
	Remove MemberRemoveCmd `cmd:"" help:"Remove a member; the approvals of the member's tokens end."`
	Sync   MemberSyncCmd   `cmd:"" help:"Make the members what a file says."`
}

// MemberAddCmd adds a member.
type MemberAddCmd struct {
	Organization string `arg:"" help:"The organization."`
	User         string `arg:"" help:"The user; made if unknown."`
	Role         string `help:"admin, reviewer, write, contributor, read or no_access." enum:"admin,reviewer,write,contributor,read,no_access" default:"read"`
	Type         string `help:"user or service_account." enum:"user,service_account" default:"user"`
	Email        string `help:"Address for mail." placeholder:"ADDRESS"`
}

// Help gives an example.
func (*MemberAddCmd) Help() string {
	return example("patrol member add acme alice --role admin --email alice@example.com")
}

// Run adds the member.
func (c *MemberAddCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	row, err := cl.SetMember(ctx, c.Organization, c.User, admin.NewMember{Role: c.Role, Type: c.Type, Email: c.Email})
	return show(cli, row, err, func(t *table, row *inventory.MemberRow) { members(t, []inventory.MemberRow{*row}) })
}

func members(t *table, rows []inventory.MemberRow) {
	t.row("USER", "ROLE", "TYPE", "SINCE", "EMAIL")
	for _, r := range rows {
		t.row(r.User, r.Role, r.Type, relative(&r.Since), dash(r.Email))
	}
}

// MemberListCmd lists members.
type MemberListCmd struct {
	Organization string `arg:"" help:"The organization."`
}

// Help gives an example.
func (*MemberListCmd) Help() string { return example("patrol member list acme") }

// Run lists them.
func (c *MemberListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.Members(ctx, c.Organization)
	return list(cli, rows, err, c.Organization+" has no members: patrol member add "+c.Organization+" USER", members)
}

// MemberRemoveCmd removes a member.
type MemberRemoveCmd struct {
	Organization string `arg:"" help:"The organization."`
	User         string `arg:"" help:"The member."`
}

// Help gives an example.
func (*MemberRemoveCmd) Help() string { return example("patrol member remove acme bob") }

// Run removes the member.
func (c *MemberRemoveCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.done(cl.RemoveMember(ctx, c.Organization, c.User), "removed "+c.User+" from "+c.Organization)
}
