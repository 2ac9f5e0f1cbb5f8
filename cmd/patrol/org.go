package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// OrgCmd holds the commands on organizations.
type OrgCmd struct {
	Create OrgCreateCmd `cmd:"" help:"Create an organization."`
	List   OrgListCmd   `cmd:"" help:"List organizations."`
	Show   OrgShowCmd   `cmd:"" help:"Show an organization."`
	Policy OrgPolicyCmd `cmd:"" help:"Change the token policy, now or at a date."`
	Usage  OrgUsageCmd  `cmd:"" help:"Show how its tokens are used, all together."`
	Set    OrgSetCmd    `cmd:"" help:"Change settings."`
	Rename OrgRenameCmd `cmd:"" help:"Give an organization another name."`
	Delete OrgDeleteCmd `cmd:"" help:"Delete an organization that has no members."`
}

// OrgCreateCmd creates an organization.
type OrgCreateCmd struct {
	Name        string `arg:"" help:"Name: a-z, 0-9, '.', '_', '-'."`
	TokenPolicy string `help:"One of \"patrol policy list\"; default allow_user_access_tokens." placeholder:"POLICY"`
	Observe     bool   `help:"Only observe: count what would be refused, and refuse nothing."`
}

// Help gives an example.
func (*OrgCreateCmd) Help() string {
	return example("patrol org create acme --token-policy require_administrator_approval")
}

// Run creates it.
func (c *OrgCreateCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	in := admin.NewOrganization{Name: c.Name, TokenPolicy: c.TokenPolicy}
	if c.Observe {
		in.Enforcement = authz.Observe
	}
	row, err := cl.CreateOrganization(ctx, in)
	return show(cli, row, err, showOrganization)
}

// OrgListCmd lists organizations.
type OrgListCmd struct{}

// Help gives an example.
func (*OrgListCmd) Help() string { return example("patrol org list -o json") }

// Run lists them.
func (*OrgListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.Organizations(ctx)
	return list(cli, rows, err, "No organization yet: patrol org create NAME", organizations)
}

// OrgShowCmd shows an organization.
type OrgShowCmd struct {
	Name string `arg:"" help:"The organization."`
}

// Help gives an example.
func (*OrgShowCmd) Help() string { return example("patrol org show acme") }

// Run shows it.
func (c *OrgShowCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	row, err := cl.Organization(ctx, c.Name)
	return show(cli, row, err, showOrganization)
}

// OrgDeleteCmd deletes an organization.
type OrgDeleteCmd struct {
	Name string `arg:"" help:"The organization."`
}

// Help gives an example.
func (*OrgDeleteCmd) Help() string {
	return "The last administrator is removed by patrol member remove acme alice --force.\n\n" + example("patrol org delete acme")
}

// Run deletes it.
func (c *OrgDeleteCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.done(cl.DeleteOrganization(ctx, c.Name, 0), "deleted "+c.Name)
}

// OrgPolicyCmd changes an organization's token policy.
type OrgPolicyCmd struct {
	Name      string `arg:"" help:"The organization."`
	Policy    string `arg:"" optional:"" help:"One of \"patrol policy list\"."`
	EnforceAt string `help:"Bring it into force then: a date or a span (30d), at most 90 days ahead; until then the present one decides and the new one warns." placeholder:"DATE"`
	ClearNext bool   `help:"Take a dated change back."`
	Observe   bool   `help:"Only observe: count what would be refused, and refuse nothing." xor:"mode"`
	Enforce   bool   `help:"Enforce." xor:"mode"`
	Version   int64  `help:"The version that you looked at; refused if the organization changed since. Default: not checked." placeholder:"N"`

	Existing      string `help:"What becomes of the tokens that are there, with a policy that asks for approvals: ask (a request for each, now) or approve_used_within. By default each asks at its next use." placeholder:"MODE"`
	UsedWithin    string `help:"With --existing approve_used_within: how long ago they may last have been used." placeholder:"SPAN"`
	ExistingUntil string `help:"With --existing approve_used_within: until when they are approved." placeholder:"END"`

	PreviewFlags
}

// Help gives examples.
func (*OrgPolicyCmd) Help() string {
	return example(
		"patrol org policy acme require_administrator_approval --preview",
		"patrol org policy acme require_administrator_approval --enforce-at 30d",
		"patrol org policy acme require_administrator_approval --existing approve_used_within --used-within 30d --existing-until 90d",
		"patrol org policy acme --observe",
		"patrol org policy acme --clear-next",
	)
}

// Run changes the policy.
func (c *OrgPolicyCmd) Run(ctx context.Context, cli *CLI) error {
	at, err := endOf("--enforce-at", c.EnforceAt)
	if err != nil {
		return err
	}
	in := admin.PolicyChange{TokenPolicy: c.Policy, EnforceAt: at, ClearNext: c.ClearNext}
	if c.Observe {
		in.Enforcement = authz.Observe
	}
	if c.Enforce {
		in.Enforcement = authz.Enforce
	}
	if in.ExistingTokens, err = c.existing(); err != nil {
		return err
	}
	if c.Preview {
		return c.preview(ctx, cli, in)
	}
	if c.PreviewFlags.given() {
		return usagef("--set, --days and --outcome go with --preview")
	}
	if in == (admin.PolicyChange{}) {
		return usagef("there is nothing to change: name a POLICY, --observe, --enforce or --clear-next")
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	row, err := cl.SetTokenPolicy(ctx, c.Name, in, c.Version)
	return show(cli, row, err, showOrganization)
}

func (c *OrgPolicyCmd) existing() (*admin.ExistingTokens, error) {
	if c.Existing == "" {
		if c.UsedWithin != "" || c.ExistingUntil != "" {
			return nil, usagef("--used-within and --existing-until go with --existing approve_used_within")
		}
		return nil, nil
	}
	span, err := spanOf("--used-within", c.UsedWithin)
	if err != nil {
		return nil, err
	}
	until, err := endOf("--existing-until", c.ExistingUntil)
	if err != nil {
		return nil, err
	}
	return &admin.ExistingTokens{Mode: c.Existing, Days: int(span / (24 * time.Hour)), Until: until}, nil
}

func organizations(t *table, rows []inventory.OrganizationRow) {
	t.row("NAME", "TOKEN POLICY", "ENFORCEMENT", "NEXT", "FROM")
	for _, r := range rows {
		t.row(r.Name, r.TokenPolicy, r.Enforcement, dash(r.NextTokenPolicy), relative(r.EnforceAt))
	}
}

func showOrganization(t *table, r *inventory.OrganizationRow) {
	t.row("name", r.Name)
	t.row("token policy", r.TokenPolicy)
	if r.NextTokenPolicy != "" {
		t.row("next", r.NextTokenPolicy+" from "+moment(r.EnforceAt))
	}
	t.row("enforcement", r.Enforcement)
	if len(r.Aliases) > 0 {
		t.row("before", strings.Join(r.Aliases, ", "))
	}
	if len(r.Settings) > 0 {
		text, _ := json.Marshal(r.Settings) // it came as JSON
		t.row("settings", string(text))
	}
	if len(r.UnreadSettings) > 0 {
		t.row("read by nobody", strings.Join(r.UnreadSettings, ", ")+": neither patrol nor a rule of the active bundle reads it by name")
	}
	t.row("created", moment(&r.CreatedAt))
	t.row("version", r.Version)
}
