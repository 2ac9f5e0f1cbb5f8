package main

import (
	"context"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/record"
)

// TokenRefusalsCmd lists the last requests with a token that were refused.
type TokenRefusalsCmd struct {
	ID    string `arg:"" help:"The token's id."`
	Limit int    `help:"At most so many, up to 100." default:"20" placeholder:"N"`
}

// Help gives an example.
func (*TokenRefusalsCmd) Help() string {
	return "The latest first, as the token's owner is told of them: of 24 hours, and of the server that is asked; of several replicas each keeps its own. " +
		"An owner sees those in organizations that they are a member of. What the policy went by, patrol why tells by a request's id.\n\n" +
		example("patrol token refusals 01a20daf-8d3a-7c75-94a4-182374a6e5b3")
}

// Run asks the server.
func (c *TokenRefusalsCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.Refusals(ctx, c.ID, c.Limit)
	return list(cli, rows, err, "Nothing was refused.", func(t *table, rows []record.Told) {
		t.row("TIME", "REQUEST", "ASKED FOR", "ORGANIZATION", "CODE", "FROM", "REQUEST ID")
		for i := range rows {
			r := &rows[i]
			t.row(r.Time.UTC().Format(time.RFC3339), requested(r.Method, r.Path, r.Query), dash(strings.TrimSuffix(r.Permission+" on "+r.Resource, " on ")), dash(r.Organization),
				dash(r.Code), dash(r.Network), r.RequestID)
		}
	})
}

// requested is what a request asked for; of its query the names are kept.
func requested(method, path string, query []string) string {
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	return method + " " + path
}
