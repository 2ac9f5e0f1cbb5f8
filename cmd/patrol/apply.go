package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// ApplyCmd makes organizations what a file says.
type ApplyCmd struct {
	File   string `short:"f" required:"" help:"A YAML or JSON file, as patrol export writes it; - for standard input." placeholder:"FILE"`
	DryRun bool   `help:"Only show what would be changed."`
	Prune  bool   `help:"Also remove what the file does not have: organizations, and members, settings and dated policies of those it has."`
	Force  bool   `help:"Also where an organization has no administrator left."`
}

// Help gives examples.
func (*ApplyCmd) Help() string {
	return "The file declares organizations with their policies, thresholds (settings) and members; what it does not mention stays as it is. " +
		"Applying it again changes nothing. Members are looked at where an organization has the key members; the last administrator stays, unless --force is given. " +
		"What somebody else changed since it was read is not overwritten: apply says what was changed and by whom, stops there, and ends with exit 1.\n\n" +
		example("patrol apply -f organizations.yaml --dry-run", "patrol export > organizations.yaml")
}

// applied is what came of applying a file.
type applied struct {
	Changes []planned `json:"changes"`
	Applied int       `json:"applied"`
	DryRun  bool      `json:"dry_run,omitempty"`
}

// Run applies it.
func (c *ApplyCmd) Run(ctx context.Context, cli *CLI) error {
	name, text, err := c.read()
	if err != nil {
		return err
	}
	d, err := readDeclared(name, text, time.Now())
	if err != nil {
		return usage{err}
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	policies, err := cl.Policies(ctx)
	if err != nil {
		return err
	}
	if err := d.checkPolicies(policies); err != nil {
		return usage{fmt.Errorf("%s: %w", name, located(text, err))}
	}
	since, err := lastEntry(ctx, cl)
	if err != nil {
		return err
	}
	have, err := presentOrganizations(ctx, cl, nil)
	if err != nil {
		return err
	}
	for i, o := range d.Organizations {
		if row := have[o.Name].row; row != nil && o.ManagedBy != "" && o.ManagedBy != row.ManagedBy {
			return usage{fmt.Errorf("%s: %w", name, located(text, fmt.Errorf("organizations[%d].managed_by: %s is managed by %q, which does not change", i, o.Name, row.ManagedBy)))}
		}
	}
	if err := d.keepAdministrators(have, c.Prune); err != nil && !c.Force {
		return fmt.Errorf("%s: %w", name, located(text, err))
	}
	p := &planner{prune: c.Prune, force: c.Force}
	out := applied{Changes: append([]planned{}, p.plan(d, have)...), DryRun: c.DryRun}
	if err := out.carryOut(ctx, cli, cl, name, since); err != nil {
		return err
	}
	return cli.print(out, func(t *table) {
		switch {
		case len(out.Changes) == 0:
			t.row("Nothing to change.")
		case c.DryRun:
			t.row(fmt.Sprintf("%d changes would be made.", len(out.Changes)))
		default:
			t.row(fmt.Sprintf("%d changes were made.", out.Applied))
		}
	})
}

// carryOut makes the changes, one after the other, and shows them; since is the last
// entry of the audit log before they were planned.
func (out *applied) carryOut(ctx context.Context, cli *CLI, cl *client.Client, name string, since int64) error {
	for _, step := range out.Changes {
		if cli.Output == "table" {
			fmt.Println(plain(step.String()))
		}
		if out.DryRun {
			continue
		}
		if err := step.do(ctx, cl); err != nil {
			then := "apply the file again once it is right"
			var old *outdated
			if errors.As(err, &old) {
				old.findOut(ctx, cl, since)
				then = "nothing more was changed: look at it, and apply the file again"
			}
			return fmt.Errorf("%s: %s: %w (%d of %d changes were made; %s)", name, step.What, err, out.Applied, len(out.Changes), then)
		}
		out.Applied++
	}
	return nil
}

// lastEntry is the number of the audit log's last entry, 0 where there is none.
func lastEntry(ctx context.Context, cl *client.Client) (int64, error) {
	rows, err := cl.Audit(ctx, "", 1)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return rows[0].Seq, nil
}

func (c *ApplyCmd) read() (name string, text []byte, err error) {
	if c.File == "-" {
		text, err = io.ReadAll(os.Stdin)
		return "standard input", text, err
	}
	text, err = os.ReadFile(c.File)
	return c.File, text, err
}

// presentOrganizations reads organizations with their members: those of the
// names, or all.
func presentOrganizations(ctx context.Context, cl *client.Client, names []string) (map[string]present, error) {
	var rows []inventory.OrganizationRow
	if len(names) == 0 {
		all, err := cl.Organizations(ctx)
		if err != nil {
			return nil, err
		}
		rows = all
	}
	for _, name := range names {
		row, err := cl.Organization(ctx, name)
		if err != nil {
			return nil, err
		}
		rows = append(rows, *row)
	}
	out := map[string]present{}
	for i := range rows {
		members, err := cl.Members(ctx, rows[i].Name)
		if err != nil {
			return nil, err
		}
		out[rows[i].Name] = present{&rows[i], members}
	}
	return out, nil
}

// ExportCmd writes organizations as a file for apply.
type ExportCmd struct {
	Organizations []string `arg:"" optional:"" help:"By default all."`
}

// Help gives an example.
func (*ExportCmd) Help() string {
	return "Policies, settings and members; no tokens and no decisions on them.\n\n" + example("patrol export > organizations.yaml", "patrol export acme -o json")
}

// Run writes them.
func (c *ExportCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	have, err := presentOrganizations(ctx, cl, c.Organizations)
	if err != nil {
		return err
	}
	d := declared{Organizations: []declaredOrganization{}}
	for _, p := range have {
		d.Organizations = append(d.Organizations, declare(p))
	}
	slices.SortFunc(d.Organizations, func(a, b declaredOrganization) int { return strings.Compare(a.Name, b.Name) })
	if cli.Output == "json" {
		return cli.print(d, nil)
	}
	text, err := yaml.MarshalWithOptions(d, yaml.Indent(2), yaml.IndentSequence(true))
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

func declare(p present) declaredOrganization {
	o := declaredOrganization{
		Name: p.row.Name, TokenPolicy: p.row.TokenPolicy, NextTokenPolicy: p.row.NextTokenPolicy, Enforcement: p.row.Enforcement,
		ManagedBy: p.row.ManagedBy, Settings: p.row.Settings,
	}
	if p.row.EnforceAt != nil {
		o.EnforceAt = p.row.EnforceAt.UTC().Format(time.RFC3339)
	}
	for _, m := range p.members {
		member := declaredMember{User: m.User, Role: m.Role, Email: m.Email}
		if m.Type != "user" {
			member.Type = m.Type
		}
		if m.Email != "" && m.EmailConfirmedAt == nil {
			member.Confirmed = new(bool)
		}
		if len(m.Responsible) > 0 {
			member.Responsible = &m.Responsible
		}
		o.Members = append(o.Members, member)
	}
	slices.SortFunc(o.Members, func(a, b declaredMember) int { return strings.Compare(a.User, b.User) })
	return o
}
