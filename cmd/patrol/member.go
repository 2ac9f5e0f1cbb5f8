package main

import (
	"context"
	"strings"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// MemberCmd holds the commands on members.
type MemberCmd struct {
	Add     MemberAddCmd     `cmd:"" help:"Add a member, or change one."`
	List    MemberListCmd    `cmd:"" help:"List members."`
	Confirm MemberConfirmCmd `cmd:"" help:"Say that a member's address is theirs, or mail a link that asks."`
	Remove  MemberRemoveCmd  `cmd:"" help:"Remove a member; the approvals of the member's tokens end."`
	Sync    MemberSyncCmd    `cmd:"" help:"Make the members what a file says."`
}

// MemberAddCmd adds a member.
type MemberAddCmd struct {
	Organization string `arg:"" help:"The organization."`
	User         string `arg:"" help:"The user; made if unknown."`
	Role         string `help:"admin, reviewer, write, contributor, read or no_access; by default as it is, and of a new member read." enum:"admin,reviewer,write,contributor,read,no_access," default:""`
	Type         string `help:"user or service_account; by default as it is, and of a new one user." enum:"user,service_account," default:""`
	Email        string `help:"Address for mail. A link to confirm it is mailed there." placeholder:"ADDRESS"`
	Confirmed    bool   `help:"The address is known to be the member's: no link is mailed."`
	// Responsible is nil where the flag is not given.
	Responsible []string `help:"A member who answers for the service account; several times for several, none for nobody." placeholder:"USER"`
	Force       bool     `help:"Also where the organization has no administrator left."`
}

// Help gives an example.
func (*MemberAddCmd) Help() string {
	return "Mails that tell of tokens go to confirmed addresses only; those of a service account to the people who answer for it.\n\n" +
		"What is not given stays as it is. The last administrator of an organization stays one, unless --force is given.\n\n" +
		example("patrol member add acme alice --role admin --email alice@example.com", "patrol member add acme ci --type service_account --role write --responsible alice")
}

// responsible are the names to be sent: nil where none were given, and no name
// for "none".
func responsible(names []string) *[]string {
	if len(names) == 0 {
		return nil
	}
	if len(names) == 1 && names[0] == "none" {
		return &[]string{}
	}
	return &names
}

// Run adds the member.
func (c *MemberAddCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	row, err := cl.SetMember(ctx, c.Organization, c.User, admin.NewMember{
		Role: c.Role, Type: c.Type, Email: c.Email, Confirmed: c.Confirmed, Responsible: responsible(c.Responsible),
	}, client.MemberAt{Force: c.Force})
	return show(cli, row, err, func(t *table, row *inventory.MemberRow) { members(t, []inventory.MemberRow{*row}) })
}

func members(t *table, rows []inventory.MemberRow) {
	t.row("USER", "ROLE", "TYPE", "SINCE", "EMAIL", "RESPONSIBLE")
	for _, r := range rows {
		email := dash(r.Email)
		if r.Email != "" && r.EmailConfirmedAt == nil {
			email += " (not confirmed)"
		}
		t.row(r.User, r.Role, r.Type, relative(&r.Since), email, dash(strings.Join(r.Responsible, ", ")))
	}
}

// MemberListCmd lists members.
type MemberListCmd struct {
	Organization string `arg:"" help:"The organization."`
	Role         string `help:"Only members of a role." enum:",admin,reviewer,write,contributor,read,no_access" default:"" placeholder:"ROLE"`
	Type         string `help:"Only people (user), or only service accounts." enum:",user,service_account" default:"" placeholder:"TYPE"`
	Address      string `help:"Only members whose address is confirmed, is unconfirmed, or who have none." enum:",confirmed,unconfirmed,none" default:"" placeholder:"STATE"`
	Search       string `help:"Only members with this in their name or address." placeholder:"TEXT"`
}

// Help gives examples.
func (*MemberListCmd) Help() string {
	return example("patrol member list acme", "patrol member list acme --role admin --address unconfirmed")
}

// Run lists them.
func (c *MemberListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	f := inventory.MemberFilter{Role: c.Role, Type: c.Type, Address: c.Address, Query: c.Search}
	empty := c.Organization + " has no members: patrol member add " + c.Organization + " USER"
	if f != (inventory.MemberFilter{}) {
		empty = c.Organization + " has no such member."
	}
	rows, err := cl.FindMembers(ctx, c.Organization, f)
	return list(cli, rows, err, empty, members)
}

// MemberConfirmCmd confirms a member's address.
type MemberConfirmCmd struct {
	Organization string `arg:"" help:"The organization."`
	User         string `arg:"" help:"The member."`
	Link         bool   `help:"Mail a link that asks, in place of taking your word; at most once an hour."`
}

// Help gives an example.
func (*MemberConfirmCmd) Help() string {
	return "Mails that tell of tokens go to confirmed addresses only.\n\n" + example("patrol member confirm acme alice", "patrol member confirm acme alice --link")
}

// Run confirms it, or asks.
func (c *MemberConfirmCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	confirm := cl.ConfirmMember
	if c.Link {
		confirm = cl.AskConfirmation
	}
	row, err := confirm(ctx, c.Organization, c.User)
	return show(cli, row, err, func(t *table, row *inventory.MemberRow) { members(t, []inventory.MemberRow{*row}) })
}

// MemberRemoveCmd removes a member.
type MemberRemoveCmd struct {
	Organization string `arg:"" help:"The organization."`
	User         string `arg:"" help:"The member."`
	Force        bool   `help:"Also where the organization has no administrator left."`
}

// Help gives an example.
func (*MemberRemoveCmd) Help() string {
	return "The last administrator of an organization stays, unless --force is given.\n\n" + example("patrol member remove acme bob")
}

// Run removes the member.
func (c *MemberRemoveCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.done(cl.RemoveMember(ctx, c.Organization, c.User, client.MemberAt{Force: c.Force}), "removed "+c.User+" from "+c.Organization)
}
