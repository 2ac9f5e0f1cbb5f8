package main

import (
	"context"
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
	Actor        string `help:"Only what somebody did, by name; uid:1000 is a peer of the socket." placeholder:"NAME"`
	Action       string `help:"Only an action (token.revoke), or all of a kind (token)." placeholder:"ACTION"`
	Token        string `help:"Only what was done about the token of this id." placeholder:"ID"`
	User         string `help:"Only what was done about this member." placeholder:"USER"`
	Since        string `help:"Only what was done in this last span (7d, 12h), or since a date or a time." placeholder:"BEGIN"`
	Until        string `help:"Only what was done before a date or a time, or longer ago than a span." placeholder:"END"`
	Limit        int    `help:"At most so many entries; 0: all." default:"100" placeholder:"N"`
}

// Help gives examples.
func (*AuditListCmd) Help() string {
	return example("patrol audit list --organization acme", "patrol audit list --actor alice --action token.revoke --since 30d", "patrol audit list --user bob --since 2026-01-01 --until 2026-02-01")
}

// detailText is a detail of an entry: what is no text as JSON.
func detailText(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	return settingText(v)
}

// Run lists it.
func (c *AuditListCmd) Run(ctx context.Context, cli *CLI) error {
	if c.Limit < 0 {
		return usagef("--limit %d: write 0 for all entries, or how many", c.Limit)
	}
	f := inventory.AuditFilter{Actor: c.Actor, Action: c.Action, Token: c.Token, User: c.User}
	var err error
	if f.Since, err = pastOf("--since", c.Since); err != nil {
		return err
	}
	if f.Until, err = pastOf("--until", c.Until); err != nil {
		return err
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	empty := "Nothing was changed yet."
	if f != (inventory.AuditFilter{}) {
		empty = "Nothing like that was done."
	}
	rows, err := cl.FindAudit(ctx, c.Organization, f, c.Limit)
	return list(cli, rows, err, empty, func(t *table, rows []inventory.AuditRow) {
		t.row("SEQ", "TIME", "ACTOR", "ACTION", "ORGANIZATION", "TOKEN", "DETAILS")
		for _, r := range rows {
			var details []string
			for _, k := range slices.Sorted(maps.Keys(r.Details)) {
				details = append(details, k+"="+detailText(r.Details[k]))
			}
			t.row(r.Seq, r.Time.UTC().Format(time.RFC3339), r.Actor.Name, r.Action, dash(r.Organization), dash(r.Token), strings.Join(details, " "))
		}
	})
}
