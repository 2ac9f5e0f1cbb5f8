package main

import (
	"context"
	"fmt"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// ApprovalGroupsCmd groups the open requests.
type ApprovalGroupsCmd struct {
	Organization string `arg:"" help:"The organization."`
}

// Help gives an example.
func (*ApprovalGroupsCmd) Help() string {
	return "Requests that ask for the same are one group: review it once, and decide on it with approve-group or deny-group.\n\n" +
		example("patrol approval groups acme")
}

// Run groups them.
func (c *ApprovalGroupsCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	groups, err := cl.ApprovalGroups(ctx, c.Organization)
	return list(cli, groups, err, "Nothing waits for a decision.", func(t *table, groups []inventory.ApprovalGroup) {
		t.row("GROUP", "REQUESTS", "OWNERS", "OLDEST", "RECOMMENDED", "ASKS FOR")
		for _, g := range groups {
			t.row(g.Group, g.Count, g.Owners, relative(&g.Oldest), dash(recommendations(g.Recommendations)), permissions(g.Grants))
		}
	})
}

func recommendations(counts map[string]int) string {
	text := ""
	for _, action := range []string{inventory.RecommendApprove, inventory.RecommendDeny, inventory.RecommendEscalate} {
		if n := counts[action]; n > 0 {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%d %s", n, action)
		}
	}
	return text
}

// groupOf are the arguments of a decision on a group.
type groupOf struct {
	Organization string `arg:"" help:"The organization."`
	Group        string `arg:"" help:"The group, as patrol approval groups shows it: it stands for what is asked."`
}

// tokens are those of the group, as they are now: at most 100.
func (g groupOf) tokens(ctx context.Context, cl *client.Client) ([]admin.Reviewed, error) {
	groups, err := cl.ApprovalGroups(ctx, g.Organization)
	if err != nil {
		return nil, err
	}
	for _, found := range groups {
		if found.Group != g.Group {
			continue
		}
		out := make([]admin.Reviewed, len(found.Requests))
		for i, r := range found.Requests {
			out[i] = admin.Reviewed{ID: r.Token, Version: r.Version, Request: r.Request}
		}
		return out, nil
	}
	return nil, fmt.Errorf("no open request of %s is in the group %s", g.Organization, g.Group)
}

// ApprovalApproveGroupCmd approves a group.
type ApprovalApproveGroupCmd struct {
	groupOf
	Until   string `help:"A span (30d), a date or a time; by default for good." placeholder:"END"`
	Comment string `help:"A word to the owners, and for the audit log." placeholder:"TEXT"`
}

// Help gives an example.
func (*ApprovalApproveGroupCmd) Help() string {
	return "Up to 100 at a time, the oldest first, each with its result.\n\n" + example("patrol approval approve-group acme 4d3f0c9a12b7e655 --until 90d")
}

// Run approves it.
func (c *ApprovalApproveGroupCmd) Run(ctx context.Context, cli *CLI) error {
	until, err := endOf("--until", c.Until)
	if err != nil {
		return err
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	tokens, err := c.tokens(ctx, cl)
	if err != nil {
		return err
	}
	out, err := cl.ApproveTokens(ctx, c.Organization, admin.BulkApproval{Tokens: tokens, Until: until, Comment: c.Comment})
	return showResults(cli, out, err)
}

// ApprovalDenyGroupCmd denies a group.
type ApprovalDenyGroupCmd struct {
	groupOf
	Reason string `required:"" help:"What the owners are told." placeholder:"TEXT"`
}

// Help gives an example.
func (*ApprovalDenyGroupCmd) Help() string {
	return "Up to 100 at a time, the oldest first, each with its result.\n\n" + example("patrol approval deny-group acme 4d3f0c9a12b7e655 --reason duplicates")
}

// Run denies it.
func (c *ApprovalDenyGroupCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	tokens, err := c.tokens(ctx, cl)
	if err != nil {
		return err
	}
	out, err := cl.DenyTokens(ctx, c.Organization, admin.BulkDenial{Tokens: tokens, Reason: c.Reason})
	return showResults(cli, out, err)
}

// showResults shows what came of each; where one failed, the command has.
func showResults(cli *CLI, out *admin.BulkResults, err error) error {
	if err := show(cli, out, err, func(t *table, out *admin.BulkResults) {
		t.row("TOKEN", "RESULT")
		for _, r := range out.Results {
			switch {
			case r.Problem != nil:
				t.row(r.ID, r.Problem.Detail)
			case r.Authorization != nil:
				t.row(r.ID, r.Authorization.Status)
			}
		}
	}); err != nil {
		return err
	}
	if out.Failed > 0 {
		return fmt.Errorf("%d of %d were refused", out.Failed, out.Failed+out.Succeeded)
	}
	return nil
}
