package main

import (
	"context"
	"fmt"

	uses "github.com/patrol-authz/patrol/authz/usage"
)

// OrgUsageCmd shows how an organization's tokens are used.
type OrgUsageCmd struct {
	Organization string `arg:"" help:"The organization."`
	Days         int    `help:"So many days, today included; at most 90." default:"30" placeholder:"N"`
}

// Help gives an example.
func (*OrgUsageCmd) Help() string {
	return "Requests of all known tokens, by day and reason. Requests without a token, or with an unknown one, are in the metrics only.\n\n" +
		example("patrol org usage acme --days 14")
}

// Run asks the server.
func (c *OrgUsageCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	r, err := cl.OrganizationUsage(ctx, c.Organization, c.Days)
	return show(cli, r, err, func(t *table, r *uses.Overview) {
		allowed, refused := make([]int64, len(r.Days)), make([]int64, len(r.Days))
		var sums [2]int64
		for i, d := range r.Days {
			allowed[i], refused[i] = d.Allowed, d.Refused
			sums[0], sums[1] = sums[0]+d.Allowed, sums[1]+d.Refused
		}
		t.row("known since", moment(&r.Since))
		t.row("allowed", fmt.Sprintf("%s %d", sparkline(allowed), sums[0]))
		t.row("refused", fmt.Sprintf("%s %d", sparkline(refused), sums[1]))
		for _, x := range r.Reasons {
			t.row(outcome(x.Allowed), fmt.Sprintf("%s: %d, last %s", x.Reason, x.Requests, relative(&x.LastAt)))
		}
	})
}
