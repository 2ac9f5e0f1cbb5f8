package main

import (
	"context"

	"github.com/patrol-authz/patrol/authz/admin"
)

// LoginCmd logs in to the console.
type LoginCmd struct{}

// Help gives an example.
func (*LoginCmd) Help() string {
	return "Prints a link that logs in to the console as an operator. It is good once, for five minutes, and only over the admin socket of this machine.\n\n" + example("patrol login")
}

// Run asks for a link.
func (*LoginCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	link, err := cl.LoginLink(ctx)
	return show(cli, link, err, func(t *table, link *admin.LoginLink) {
		t.row("open", link.URL)
		t.row("until", moment(&link.ExpiresAt))
	})
}
