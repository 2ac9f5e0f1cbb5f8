package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// requestOf are the arguments of what is said or done about a token's request.
type requestOf struct {
	Organization string `arg:"" help:"The organization."`
	ID           string `arg:"" help:"The token's id."`
}

func (r requestOf) do(ctx context.Context, cli *CLI, action string, in any) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	row, err := cl.OnRequest(ctx, r.Organization, r.ID, action, in)
	return show(cli, row, err, showApproval)
}

// ApprovalShowCmd shows the latest request on a token.
type ApprovalShowCmd struct{ requestOf }

// Help gives an example.
func (*ApprovalShowCmd) Help() string {
	return example("patrol approval show acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3")
}

// Run shows it.
func (c *ApprovalShowCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	row, err := cl.Token(ctx, c.Organization, c.ID)
	if err != nil {
		return err
	}
	if row.Authorization == nil || row.Authorization.Request == nil {
		return fmt.Errorf("nothing was ever asked for the token %s", c.ID)
	}
	return show(cli, row.Authorization.Request, nil, showApproval)
}

// ApprovalCommentCmd comments on a request.
type ApprovalCommentCmd struct {
	requestOf
	Text string `arg:"" help:"What to say; administrators and the owner read it."`
}

// Help gives an example.
func (*ApprovalCommentCmd) Help() string {
	return example(`patrol approval comment acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 "same as last quarter"`)
}

// Run comments on it.
func (c *ApprovalCommentCmd) Run(ctx context.Context, cli *CLI) error {
	return c.do(ctx, cli, "comment", admin.Text{Text: c.Text})
}

// ApprovalQuestionCmd asks the owner.
type ApprovalQuestionCmd struct {
	requestOf
	Text string `arg:"" help:"What the owner is asked, by mail too."`
}

// Help gives an example.
func (*ApprovalQuestionCmd) Help() string {
	return example(`patrol approval question acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 "which pipeline uses it?"`)
}

// Run asks.
func (c *ApprovalQuestionCmd) Run(ctx context.Context, cli *CLI) error {
	return c.do(ctx, cli, "question", admin.Text{Text: c.Text})
}

// ApprovalAskCmd asks for an approval as the owner.
type ApprovalAskCmd struct {
	requestOf
	Purpose string `required:"" help:"What the token is for." placeholder:"TEXT"`
}

// Help gives an example.
func (*ApprovalAskCmd) Help() string {
	return "For the owner: gives an open request its purpose, or asks once more. After a denial that takes a while (request_cooldown_hours, by default a day).\n\n" +
		example(`patrol approval ask acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --purpose "nightly builds"`)
}

// Run asks.
func (c *ApprovalAskCmd) Run(ctx context.Context, cli *CLI) error {
	return c.do(ctx, cli, "ask", admin.Purpose{Purpose: c.Purpose})
}

// ApprovalAssignCmd says who is to decide.
type ApprovalAssignCmd struct {
	requestOf
	User string `arg:"" optional:"" help:"An administrator or reviewer; nobody takes it back."`
}

// Help gives an example.
func (*ApprovalAssignCmd) Help() string {
	return example("patrol approval assign acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 rita")
}

// Run assigns it.
func (c *ApprovalAssignCmd) Run(ctx context.Context, cli *CLI) error {
	return c.do(ctx, cli, "assign", admin.Assignment{Assignee: c.User})
}

// ApprovalRemindCmd reminds whoever is to decide.
type ApprovalRemindCmd struct{ requestOf }

// Help gives an example.
func (*ApprovalRemindCmd) Help() string {
	return example("patrol approval remind acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3")
}

// Run reminds them.
func (c *ApprovalRemindCmd) Run(ctx context.Context, cli *CLI) error {
	return c.do(ctx, cli, "remind", admin.Comment{})
}

// ApprovalEscalateCmd leaves a request to administrators.
type ApprovalEscalateCmd struct {
	requestOf
	Comment string `help:"Why." placeholder:"TEXT"`
}

// Help gives an example.
func (*ApprovalEscalateCmd) Help() string {
	return "Reviewers decide an escalated request no more.\n\n" +
		example("patrol approval escalate acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --comment unusual")
}

// Run escalates it.
func (c *ApprovalEscalateCmd) Run(ctx context.Context, cli *CLI) error {
	return c.do(ctx, cli, "escalate", admin.Comment{Comment: c.Comment})
}

// ApprovalWithdrawCmd takes a request back.
type ApprovalWithdrawCmd struct {
	requestOf
	Comment string `help:"Why." placeholder:"TEXT"`
}

// Help gives an example.
func (*ApprovalWithdrawCmd) Help() string {
	return example("patrol approval withdraw acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3")
}

// Run withdraws it.
func (c *ApprovalWithdrawCmd) Run(ctx context.Context, cli *CLI) error {
	return c.do(ctx, cli, "withdraw", admin.Comment{Comment: c.Comment})
}

func showApproval(t *table, r *inventory.ApprovalRow) {
	t.row("request", r.ID)
	t.row("token", r.DisplayName+" ("+r.Token+")")
	t.row("owner", r.Owner)
	t.row("state", stateOf(r))
	t.row("opened", moment(&r.OpenedAt)+" by "+r.OpenedBy)
	t.row("asks for", dash(permissions(r.Grants)))
	t.row("purpose", dash(r.Purpose))
	t.row("group", r.Group)
	if r.DecidedBy != "" {
		t.row("decided by", r.DecidedBy+" "+moment(r.DecidedAt))
	}
	if r.Assignee != "" {
		t.row("assigned to", r.Assignee)
	}
	if r.Recommendation != nil {
		t.row("recommended", r.Recommendation.Action)
		for _, reason := range r.Recommendation.Reasons {
			t.row("", reason.Why+" ("+reason.Rule+")")
		}
	}
	for _, v := range r.Votes {
		t.row("approved by", v.Name+" "+relative(&v.At))
	}
	if r.Needs > 1 {
		t.row("needs", fmt.Sprintf("%d people", r.Needs))
	}
	for _, n := range r.Notes {
		t.row(n.Kind, strings.TrimSpace(n.By+" "+relative(&n.At)+": "+n.Text))
	}
}

// stateOf says how a request stands.
func stateOf(r *inventory.ApprovalRow) string {
	state := r.State
	if r.Decision != "" {
		state = r.Decision
	}
	if r.Escalated {
		state += ", escalated"
	}
	if r.WaitsForOwner {
		state += ", waits for the owner"
	}
	return state
}
