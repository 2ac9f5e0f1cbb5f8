package main

import (
	"context"
	"net/url"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// ApprovalCmd holds the commands on approval requests.
type ApprovalCmd struct {
	List    ApprovalListCmd    `cmd:"" help:"List approval requests, oldest first. Example: patrol approval list acme"`
	Approve ApprovalApproveCmd `cmd:"" help:"Approve a token. Example: patrol approval approve acme ID --until 90d"`
	Deny    ApprovalDenyCmd    `cmd:"" help:"Deny a token, or take an approval back. Example: patrol approval deny acme ID --reason \"use the shared token\""`
}

// ApprovalListCmd lists approval requests.
type ApprovalListCmd struct {
	Organization string `arg:""`
	Status       string `help:"open, decided, withdrawn or all." default:"open"`
}

// Run lists them.
func (c *ApprovalListCmd) Run(ctx context.Context, cli *CLI) error {
	return list(ctx, cli, organizationPath(c.Organization)+"/settings/approvals", url.Values{"status": {c.Status}}, func(t *table, rows []inventory.ApprovalRow) {
		t.row("TOKEN", "NAME", "OWNER", "STATE", "OPENED", "BY", "ASKS FOR", "VERSION", "PURPOSE")
		for _, r := range rows {
			t.row(r.Token, r.DisplayName, r.Owner, r.State, day(&r.OpenedAt), r.OpenedBy, permissions(r.Grants), r.Version, dash(r.Purpose))
		}
	})
}

// reviewed is the version of a token that a decision is about: the one named,
// or the one that is shown now.
func (c *CLI) reviewed(ctx context.Context, organization, id string, version int64) (int64, error) {
	if version != 0 {
		return version, nil
	}
	cl, err := c.client()
	if err != nil {
		return 0, err
	}
	var row inventory.TokenRow
	err = cl.Do(ctx, "GET", tokenPath(organization, id), nil, &row)
	return row.Version, err
}

// ApprovalApproveCmd approves a token.
type ApprovalApproveCmd struct {
	organizationToken
	Grant   []string `sep:"none" help:"Approve only this part: TYPE:NAME=PERMISSION,…" placeholder:"GRANT"`
	Until   string   `help:"A span (90d), a date or a time." placeholder:"END"`
	Version int64    `help:"The version of the token that you reviewed; refused if it changed since. Default: the present one."`
}

// Run approves it.
func (c *ApprovalApproveCmd) Run(ctx context.Context, cli *CLI) error {
	grants, err := grantsOf(c.Grant)
	if err != nil {
		return err
	}
	until, err := endOf("--until", c.Until)
	if err != nil {
		return err
	}
	version, err := cli.reviewed(ctx, c.Organization, c.ID, c.Version)
	if err != nil {
		return err
	}
	return cli.token(ctx, "POST", tokenPath(c.Organization, c.ID)+"/approve", admin.Approval{Version: version, Grants: grants, Until: until, Comment: c.Comment})
}

// ApprovalDenyCmd denies a token.
type ApprovalDenyCmd struct {
	Organization string `arg:""`
	ID           string `arg:""`
	Reason       string `required:"" help:"What the owner is told."`
	Version      int64  `help:"The version of the token that you reviewed. Default: the present one."`
}

// Run denies it.
func (c *ApprovalDenyCmd) Run(ctx context.Context, cli *CLI) error {
	version, err := cli.reviewed(ctx, c.Organization, c.ID, c.Version)
	if err != nil {
		return err
	}
	return cli.token(ctx, "POST", tokenPath(c.Organization, c.ID)+"/deny", admin.Denial{Version: version, Reason: c.Reason})
}
