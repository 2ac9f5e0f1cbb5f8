package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
)

// TokenRotateCmd gives a token another secret.
type TokenRotateCmd struct {
	ID      string `arg:"" help:"The token's id."`
	Overlap string `help:"How long the old secret is accepted beside the new one (24h, 7d), at most 30d; by default not at all." placeholder:"SPAN"`
	Comment string `help:"A word for the audit log." placeholder:"TEXT"`
}

// Help gives an example.
func (*TokenRotateCmd) Help() string {
	return "What was decided on the token stays, a revocation too. Using the old secret after the overlap is reported.\n\n" +
		example("patrol token rotate 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --overlap 24h")
}

// Run rotates it.
func (c *TokenRotateCmd) Run(ctx context.Context, cli *CLI) error {
	overlap, err := spanOf("--overlap", c.Overlap)
	if err != nil {
		return err
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	out, err := cl.RotateToken(ctx, c.ID, admin.Rotation{OverlapSeconds: int64(overlap / time.Second), Comment: c.Comment})
	return show(cli, out, err, func(t *table, out *admin.IssuedToken) {
		t.row("id", out.ID)
		t.row("name", out.DisplayName)
		if out.OldSecretUntil != nil {
			t.row("old secret until", moment(out.OldSecretUntil))
		} else {
			t.row("old secret", "is accepted no more")
		}
		t.row("token", out.Secret)
		t.row("", "Keep it now: it cannot be shown again.")
	})
}

// spanOf reads a span: 90d, 12h, 30m. Empty is 0.
func spanOf(flag, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, usage{fmt.Errorf("%s %q: write a span, for example 24h or 7d", flag, text)}
	}
	return d, nil
}
