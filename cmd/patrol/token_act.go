package main

import "context"

// TokenRevokeCmd revokes a token.
type TokenRevokeCmd struct{ chosenTokens }

// Help gives an example.
func (*TokenRevokeCmd) Help() string {
	return "It is final, for this organization alone; elsewhere the token goes on.\n\n" +
		example("patrol token revoke acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --comment leaked", "patrol token revoke acme --owner bob --dry-run", "patrol token revoke acme --unused-for 90d --finding unscoped_write --dry-run")
}

// Run revokes it.
func (c *TokenRevokeCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.onTokens(ctx, &c.chosenTokens, "revoke", "revoked", cl.RevokeToken)
}

// TokenSuspendCmd suspends a token.
type TokenSuspendCmd struct{ chosenTokens }

// Help gives an example.
func (*TokenSuspendCmd) Help() string {
	return example("patrol token suspend acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3", "patrol token suspend acme --kind write --yes")
}

// Run suspends it.
func (c *TokenSuspendCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.onTokens(ctx, &c.chosenTokens, "suspend", "suspended", cl.SuspendToken)
}

// TokenResumeCmd resumes a token.
type TokenResumeCmd struct{ chosenTokens }

// Help gives an example.
func (*TokenResumeCmd) Help() string {
	return example("patrol token resume acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3")
}

// Run resumes it.
func (c *TokenResumeCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.onTokens(ctx, &c.chosenTokens, "resume", "resumed", cl.ResumeToken)
}

// TokenDeleteCmd deletes a token.
type TokenDeleteCmd struct {
	ID string `arg:"" help:"The token's id."`
}

// Help gives an example.
func (*TokenDeleteCmd) Help() string {
	return "Importing it again brings back what was decided on it: a revocation stays.\n\n" +
		example("patrol token delete 01a20daf-8d3a-7c75-94a4-182374a6e5b3")
}

// Run deletes it.
func (c *TokenDeleteCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.done(cl.DeleteToken(ctx, c.ID), "deleted "+c.ID)
}
