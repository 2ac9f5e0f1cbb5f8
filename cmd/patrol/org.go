package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

func organizationPath(name string) string { return "/api/organizations/" + url.PathEscape(name) }

// OrgCmd holds the commands on organizations.
type OrgCmd struct {
	Create OrgCreateCmd `cmd:"" help:"Create an organization. Example: patrol org create acme --token-policy require_administrator_approval"`
	List   OrgListCmd   `cmd:"" help:"List organizations. Example: patrol org list -o json"`
	Show   OrgShowCmd   `cmd:"" help:"Show an organization. Example: patrol org show acme"`
	Policy OrgPolicyCmd `cmd:"" help:"Change the token policy. Example: patrol org policy acme only_fine_grained_tokens --enforce-at 30d"`
	Delete OrgDeleteCmd `cmd:"" help:"Delete an organization that has no members. Example: patrol org delete acme"`
}

// OrgCreateCmd creates an organization.
type OrgCreateCmd struct {
	Name        string `arg:"" help:"Name: a-z, 0-9, '.', '_', '-'."`
	TokenPolicy string `help:"One of \"patrol policy list\"; default allow_user_access_tokens." placeholder:"POLICY"`
	Observe     bool   `help:"Only observe: count what would be refused, and refuse nothing."`
}

// Run creates it.
func (c *OrgCreateCmd) Run(ctx context.Context, cli *CLI) error {
	in := admin.NewOrganization{Name: c.Name, TokenPolicy: c.TokenPolicy}
	if c.Observe {
		in.Enforcement = "observe"
	}
	return cli.organization(ctx, "POST", "/api/organizations", in)
}

// OrgListCmd lists organizations.
type OrgListCmd struct{}

// Run lists them.
func (*OrgListCmd) Run(ctx context.Context, cli *CLI) error {
	return list(ctx, cli, "/api/organizations", nil, organizations)
}

// OrgShowCmd shows an organization.
type OrgShowCmd struct {
	Name string `arg:""`
}

// Run shows it.
func (c *OrgShowCmd) Run(ctx context.Context, cli *CLI) error {
	return cli.organization(ctx, "GET", organizationPath(c.Name), nil)
}

// OrgDeleteCmd deletes an organization.
type OrgDeleteCmd struct {
	Name string `arg:""`
}

// Run deletes it.
func (c *OrgDeleteCmd) Run(ctx context.Context, cli *CLI) error {
	return cli.send(ctx, "DELETE", organizationPath(c.Name), nil, "deleted "+c.Name)
}

// OrgPolicyCmd changes an organization's token policy.
type OrgPolicyCmd struct {
	Name      string `arg:""`
	Policy    string `arg:"" optional:"" help:"One of \"patrol policy list\"."`
	EnforceAt string `help:"Bring it into force then: a date or a span (30d); until then the present one decides." placeholder:"DATE"`
	ClearNext bool   `help:"Take a dated change back."`
	Observe   bool   `help:"Only observe." xor:"mode"`
	Enforce   bool   `help:"Enforce." xor:"mode"`
}

// Run changes the policy.
func (c *OrgPolicyCmd) Run(ctx context.Context, cli *CLI) error {
	at, err := endOf("--enforce-at", c.EnforceAt)
	if err != nil {
		return err
	}
	in := admin.PolicyChange{TokenPolicy: c.Policy, EnforceAt: at, ClearNext: c.ClearNext}
	if c.Observe {
		in.Enforcement = "observe"
	}
	if c.Enforce {
		in.Enforcement = "enforce"
	}
	return cli.organization(ctx, "PUT", organizationPath(c.Name)+"/settings/token-policy", in)
}

func (c *CLI) organization(ctx context.Context, method, path string, in any) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	var row inventory.OrganizationRow
	if err := cl.Do(ctx, method, path, in, &row); err != nil {
		return err
	}
	return c.print(row, func(t *table) { organizations(t, []inventory.OrganizationRow{row}) })
}

func organizations(t *table, rows []inventory.OrganizationRow) {
	t.row("NAME", "TOKEN POLICY", "ENFORCEMENT", "NEXT", "FROM")
	for _, r := range rows {
		t.row(r.Name, r.TokenPolicy, r.Enforcement, dash(r.NextTokenPolicy), day(r.EnforceAt))
	}
}

// list reads a listing whole and prints it.
func list[T any](ctx context.Context, cli *CLI, path string, query url.Values, fill func(*table, []T)) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := client.List[T](ctx, cl, path, query, 0)
	if err != nil {
		return err
	}
	return cli.print(rows, func(t *table) { fill(t, rows) })
}

// send asks for a change that has no answer worth a table.
func (c *CLI) send(ctx context.Context, method, path string, in any, done string) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.Do(ctx, method, path, in, nil); err != nil {
		return err
	}
	if c.Output == "table" {
		fmt.Println(done)
	}
	return nil
}
