package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// ApprovalCmd holds the commands on approval requests.
type ApprovalCmd struct {
	List         ApprovalListCmd         `cmd:"" help:"List approval requests, oldest first."`
	Show         ApprovalShowCmd         `cmd:"" help:"Show the latest request on a token, with what was said about it."`
	Groups       ApprovalGroupsCmd       `cmd:"" help:"Group the open requests by what they ask for."`
	Approve      ApprovalApproveCmd      `cmd:"" help:"Approve a token as you reviewed it."`
	Deny         ApprovalDenyCmd         `cmd:"" help:"Deny a token, or take an approval back."`
	ApproveGroup ApprovalApproveGroupCmd `cmd:"" help:"Approve the requests of a group."`
	DenyGroup    ApprovalDenyGroupCmd    `cmd:"" help:"Deny the requests of a group."`
	Comment      ApprovalCommentCmd      `cmd:"" help:"Comment on an open request."`
	Question     ApprovalQuestionCmd     `cmd:"" help:"Ask the owner something about an open request."`
	Assign       ApprovalAssignCmd       `cmd:"" help:"Say who is to decide an open request."`
	Remind       ApprovalRemindCmd       `cmd:"" help:"Remind whoever is to decide an open request."`
	Escalate     ApprovalEscalateCmd     `cmd:"" help:"Leave an open request to administrators."`
	Ask          ApprovalAskCmd          `cmd:"" help:"Ask for an approval with a purpose: for the owner."`
	Withdraw     ApprovalWithdrawCmd     `cmd:"" help:"Take an open request back: for the owner."`
	Wait         ApprovalWaitCmd         `cmd:"" help:"Wait until a request is decided: for scripts."`
}

// ApprovalListCmd lists approval requests.
type ApprovalListCmd struct {
	Organization string `arg:"" help:"The organization."`
	Status       string `help:"open, decided, withdrawn or all." enum:"open,decided,withdrawn,all" default:"open"`
	Owner        string `help:"Only on this user's tokens." placeholder:"USER"`
	Assignee     string `help:"Only those that this user is to decide; - for nobody." placeholder:"USER"`
	Group        string `help:"Only those of a group." placeholder:"GROUP"`
	Recommended  string `help:"Only what the review rules say this of: approve, deny or escalate." placeholder:"ACTION"`
	Sort         string `help:"oldest, or risk: what the review rules would deny first, what they would approve last." enum:"oldest,risk" default:"oldest" placeholder:"ORDER"`
}

// Help gives examples.
func (*ApprovalListCmd) Help() string {
	return example("patrol approval list acme", "patrol approval list acme --sort risk")
}

// Run lists them.
func (c *ApprovalListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.FindApprovals(ctx, c.Organization, inventory.ApprovalFilter{
		Status: c.Status, Owner: c.Owner, Assignee: c.Assignee, Group: c.Group, Recommendation: c.Recommended, Sort: c.Sort,
	})
	return list(cli, rows, err, "Nothing waits for a decision.", func(t *table, rows []inventory.ApprovalRow) {
		t.row("TOKEN", "VERSION", "NAME", "OWNER", "STATE", "OPENED", "RECOMMENDED", "ASKS FOR", "PURPOSE")
		for _, r := range rows {
			recommended := ""
			if r.Recommendation != nil {
				recommended = r.Recommendation.Action
			}
			t.row(r.Token, r.Version, r.DisplayName, r.Owner, stateOf(&r), relative(&r.OpenedAt), dash(recommended), dash(permissions(r.Grants)), dash(r.Purpose))
		}
	})
}

// ApprovalApproveCmd approves a token.
type ApprovalApproveCmd struct {
	organizationToken
	Grant      []string `sep:"none" help:"Approve only this part: TYPE:NAME=PERMISSION,…; may be given more than once." placeholder:"GRANT"`
	Until      string   `help:"A span (30d), a date or a time; by default for good." placeholder:"END"`
	Version    int64    `help:"The version that you reviewed; refused if the token changed since." xor:"version" placeholder:"N"`
	AnyVersion bool     `help:"Approve it as it is now, whatever that is." xor:"version"`
}

// Help gives examples.
func (*ApprovalApproveCmd) Help() string {
	return "An approval is for what was reviewed. On a terminal the token is shown, and you are asked; a script says which version it reviewed, by --version (VERSION of patrol approval list), or --any-version.\n\n" +
		example(
			"patrol approval approve acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --version 1",
			"patrol approval approve acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --any-version --grant organization:acme=repo.content.read --until 30d",
		)
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
	cl, err := cli.client()
	if err != nil {
		return err
	}
	version := c.Version
	if version == 0 {
		if version, err = c.review(ctx, cl); err != nil {
			return err
		}
	}
	row, err := cl.Approve(ctx, c.Organization, c.ID, admin.Approval{Version: version, Grants: grants, Until: until, Comment: c.Comment})
	return show(cli, row, err, showToken)
}

// review finds the version to approve: of what is shown now and agreed to, or
// whichever is present.
func (c *ApprovalApproveCmd) review(ctx context.Context, cl *client.Client) (int64, error) {
	row, err := cl.Token(ctx, c.Organization, c.ID)
	if err != nil {
		return 0, err
	}
	if c.AnyVersion {
		return row.Version, nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return 0, usagef("say which version of the token you reviewed: --version N, as patrol approval list %s shows it (%d is present), or --any-version", c.Organization, row.Version)
	}
	yes, err := agreesTo(func(t *table) { c.showAsked(t, row) }, fmt.Sprintf("Approve it in %s?", c.Organization))
	if err == nil && !yes {
		err = errors.New("nothing was approved")
	}
	return row.Version, err
}

// showAsked shows what an approval would be for: who asks, for what, what holds
// already, and what would hold then.
func (c *ApprovalApproveCmd) showAsked(t *table, row *inventory.TokenRow) {
	t.row("token", row.DisplayName+" (…"+row.Last4+")")
	t.row("owner", row.Owner)
	t.row("purpose", dash(row.Purpose))
	t.row("created", moment(&row.CreatedAt))
	t.row("expires", moment(row.ExpiresAt))
	if a := row.Authorization; a != nil {
		t.row("is", a.Status)
		if q := a.Request; q != nil && q.State == authz.RequestOpen {
			t.row("asked", moment(&q.OpenedAt))
		}
		if len(a.Grants) > 0 {
			t.row("approved until now", permissions(a.Grants))
		}
		if a.Comment != "" {
			t.row("last comment", a.Comment)
		}
	}
	for _, g := range row.Grants {
		t.row("asks for", permissions([]authz.Grant{g}))
	}
	for _, g := range c.Grant {
		t.row("you approve only", g)
	}
	t.row("until", dash(c.Until))
}

// ApprovalDenyCmd denies a token.
type ApprovalDenyCmd struct {
	Organization string `arg:"" help:"The organization."`
	ID           string `arg:"" help:"The token's id."`
	Reason       string `required:"" help:"What the owner is told." placeholder:"TEXT"`
	Version      int64  `help:"The version that you reviewed; refused if the token changed since. Default: the present one." placeholder:"N"`
}

// Help gives an example.
func (*ApprovalDenyCmd) Help() string {
	return example(`patrol approval deny acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --reason "use the shared token"`)
}

// Run denies it.
func (c *ApprovalDenyCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	version := c.Version
	if version == 0 {
		row, err := cl.Token(ctx, c.Organization, c.ID)
		if err != nil {
			return err
		}
		version = row.Version
	}
	row, err := cl.Deny(ctx, c.Organization, c.ID, admin.Denial{Version: version, Reason: c.Reason})
	return show(cli, row, err, showToken)
}
