package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/patrol-authz/patrol/authz/admin"
)

// TokenFindCmd says which token a secret is.
type TokenFindCmd struct {
	Stdin bool `required:"" help:"Read the secret from standard input: from nowhere else."`
}

// Help gives an example.
func (*TokenFindCmd) Help() string {
	return "The secret is hashed here; the server is sent its SHA-256. A secret that was rotated away finds its token too. What is to be done about a leaked one is done by its id.\n\n" +
		example("patrol token find --stdin < token.txt")
}

// Run asks the server.
func (c *TokenFindCmd) Run(ctx context.Context, cli *CLI) error {
	secret, err := secretFromStdin()
	if err != nil {
		return err
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(secret))
	row, err := cl.FindToken(ctx, hex.EncodeToString(sum[:]))
	return show(cli, row, err, func(t *table, row *admin.FoundToken) {
		showToken(t, &row.TokenRow)
		if row.Former {
			t.row("secret", "one that it had before: it was rotated away")
		}
	})
}
