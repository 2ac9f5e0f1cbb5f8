package main

import (
	"context"

	"github.com/patrol-authz/patrol/authz/admin"
)

// TokenUpdateCmd changes what a token is.
type TokenUpdateCmd struct {
	ID        string   `arg:"" help:"The token's id."`
	Name      *string  `help:"What people call it." placeholder:"NAME"`
	Purpose   *string  `help:"What it is for; administrators read it." placeholder:"TEXT"`
	Contact   *string  `help:"Whom to ask about it." placeholder:"TEXT"`
	Grant     []string `sep:"none" help:"All it is to have: TYPE:NAME=PERMISSION,…; may be given more than once." placeholder:"GRANT"`
	ExpiresIn string   `help:"A span (90d), a date or a time." placeholder:"END" xor:"end"`
	NoExpiry  bool     `help:"It is never to expire." xor:"end"`
}

// Help gives an example.
func (*TokenUpdateCmd) Help() string {
	return "More permissions than were approved ask for an approval; until it is given, the token may what was approved and what it still has. Fewer need none.\n\n" +
		example("patrol token update 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --grant organization:acme=repo.content.read")
}

// Run changes it.
func (c *TokenUpdateCmd) Run(ctx context.Context, cli *CLI) error {
	end, err := endOf("--expires-in", c.ExpiresIn)
	if err != nil {
		return err
	}
	in := admin.TokenChange{DisplayName: c.Name, Purpose: c.Purpose, Contact: c.Contact, ExpiresAt: end, NoExpiry: c.NoExpiry}
	if len(c.Grant) > 0 {
		grants, err := grantsOf(c.Grant)
		if err != nil {
			return err
		}
		in.Grants = &grants
	}
	if in == (admin.TokenChange{}) {
		return usagef("there is nothing to change: give --grant, --name, --purpose, --contact, --expires-in or --no-expiry")
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	row, err := cl.UpdateToken(ctx, c.ID, in)
	return show(cli, row, err, showToken)
}
