package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// AuditCmd holds the commands on the audit log.
type AuditCmd struct {
	List   AuditListCmd   `cmd:"" help:"List the audit log, newest first."`
	Export AuditExportCmd `cmd:"" help:"Export the audit log as JSON lines."`
	Verify AuditVerifyCmd `cmd:"" help:"Say whether the audit log is as it was written."`
	Sign   AuditSignCmd   `cmd:"" help:"Sign how far the audit log goes, to keep elsewhere."`
}

// AuditListCmd lists the audit log.
type AuditListCmd struct {
	Organization string `help:"Only this organization's." placeholder:"NAME"`
	Limit        int    `help:"At most so many entries; 0: all." default:"100" placeholder:"N"`
}

// Help gives an example.
func (*AuditListCmd) Help() string { return example("patrol audit list --organization acme") }

// Run lists it.
func (c *AuditListCmd) Run(ctx context.Context, cli *CLI) error {
	if c.Limit < 0 {
		return usagef("--limit %d: write 0 for all entries, or how many", c.Limit)
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.Audit(ctx, c.Organization, c.Limit)
	return list(cli, rows, err, "Nothing was changed yet.", func(t *table, rows []inventory.AuditRow) {
		t.row("SEQ", "TIME", "ACTOR", "ACTION", "ORGANIZATION", "TOKEN", "DETAILS")
		for _, r := range rows {
			var details []string
			for _, k := range slices.Sorted(maps.Keys(r.Details)) {
				details = append(details, fmt.Sprintf("%s=%v", k, r.Details[k]))
			}
			t.row(r.Seq, r.Time.UTC().Format(time.RFC3339), r.Actor.Name, r.Action, dash(r.Organization), dash(r.Token), strings.Join(details, " "))
		}
	})
}
