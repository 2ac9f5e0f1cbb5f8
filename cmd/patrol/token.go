package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
)

// TokenCmd holds the commands on tokens.
type TokenCmd struct {
	Issue      TokenIssueCmd      `cmd:"" help:"Issue a token; its secret is shown once."`
	List       TokenListCmd       `cmd:"" help:"List the tokens that reach an organization, or all."`
	Show       TokenShowCmd       `cmd:"" help:"Show a token."`
	Import     TokenImportCmd     `cmd:"" help:"Import tokens by the SHA-256 of their secrets, all or none."`
	Update     TokenUpdateCmd     `cmd:"" help:"Change what a token is."`
	Rotate     TokenRotateCmd     `cmd:"" help:"Give a token another secret under the same id."`
	Revoke     TokenRevokeCmd     `cmd:"" help:"End a token's access to an organization for ever."`
	Suspend    TokenSuspendCmd    `cmd:"" help:"Stop a token's access to an organization until it is resumed."`
	Resume     TokenResumeCmd     `cmd:"" help:"Let a suspended token go on."`
	Disable    TokenDisableCmd    `cmd:"" help:"Stop a token everywhere."`
	Enable     TokenEnableCmd     `cmd:"" help:"Let a disabled token go on."`
	Delete     TokenDeleteCmd     `cmd:"" help:"Delete a token; what was decided on it is kept."`
	Usage      TokenUsageCmd      `cmd:"" help:"Show how a token is used."`
	Timeline   TokenTimelineCmd   `cmd:"" help:"Tell what happened to a token."`
	Refusals   TokenRefusalsCmd   `cmd:"" help:"List the last requests with a token that were refused."`
	Discovered TokenDiscoveredCmd `cmd:"" help:"List unknown tokens that were seen while an organization observed."`
	Find       TokenFindCmd       `cmd:"" help:"Say which token a secret is, without sending the secret."`
	Scan       TokenScanCmd       `cmd:"" help:"Find issued secrets in files, without a server."`
}

// TokenIssueCmd issues a token.
type TokenIssueCmd struct {
	Owner     string   `required:"" help:"The user to whom it belongs; a member of some organization." placeholder:"USER"`
	Name      string   `help:"What people call it; by default its purpose, or its owner." placeholder:"NAME"`
	Kind      string   `help:"read, write or fine-grained." default:"fine-grained" enum:"read,write,fine-grained"`
	Grant     []string `sep:"none" help:"TYPE:NAME=PERMISSION,…; may be given more than once." placeholder:"GRANT"`
	Global    []string `help:"A permission that belongs to no organization; may be given more than once." placeholder:"PERMISSION"`
	ExpiresIn string   `help:"A span (90d), a date or a time; by default never." placeholder:"END"`
	Purpose   string   `help:"What it is for; administrators read it." placeholder:"TEXT"`
	Contact   string   `help:"Whom to ask about it." placeholder:"TEXT"`
}

// Help gives examples.
func (*TokenIssueCmd) Help() string {
	return example(
		`patrol token issue --owner bob --grant organization:acme=repo.content.read,repo.write --expires-in 90d --purpose "nightly builds"`,
		"patrol token issue --owner bob --grant model:acme/m=repo.write -o json | jq -r .token > token.txt",
	)
}

// Run issues it.
func (c *TokenIssueCmd) Run(ctx context.Context, cli *CLI) error {
	grants, err := grantsOf(c.Grant)
	if err != nil {
		return err
	}
	end, err := endOf("--expires-in", c.ExpiresIn)
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		name = firstLine(c.Purpose)
	}
	if name == "" {
		name = c.Owner + "'s token"
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	out, err := cl.IssueToken(ctx, admin.NewToken{
		Owner: c.Owner, DisplayName: name, Kind: c.Kind, Grants: grants, Global: c.Global, ExpiresAt: end, Purpose: c.Purpose, Contact: c.Contact,
	})
	return show(cli, out, err, func(t *table, out *admin.IssuedToken) {
		t.row("id", out.ID)
		t.row("name", out.DisplayName)
		t.row("owner", out.Owner)
		t.row("kind", out.Kind)
		showGrants(t, &out.TokenRow)
		if len(out.Global) > 0 {
			t.row("may everywhere", strings.Join(out.Global, ", "))
		}
		t.row("expires", moment(out.ExpiresAt))
		t.row("token", out.Secret)
		t.row("", "Keep it now: it cannot be shown again.")
	})
}

// TokenListCmd lists tokens.
type TokenListCmd struct {
	Organization string `arg:"" optional:"" help:"By default all tokens, as the operator sees them."`
	Status       string `help:"all, none, pending, pending_frozen, approved, approval_ended, denied, suspended or revoked. Revoked ones are hidden unless asked for." enum:",all,none,pending,pending_frozen,approved,approval_ended,denied,suspended,revoked" default:"" placeholder:"STATUS"`
	Kind         string `help:"read, write or fine-grained." enum:",read,write,fine-grained" default:"" placeholder:"KIND"`
	Owner        string `help:"Only this user's." placeholder:"USER"`
	Search       string `help:"Part of the name." placeholder:"TEXT"`
	Finding      string `help:"Only those of which this was found, such as unused; see patrol finding list." placeholder:"NAME"`
	Severity     string `help:"Only those of which something of this severity, or graver, was found: low, medium or high." enum:",low,medium,high" default:"" placeholder:"SEVERITY"`
	Sort         string `help:"name, owner, created, last_used or severity (of findings), with a - before it for the other way round. By default the newest first." enum:",name,-name,owner,-owner,created,-created,last_used,-last_used,severity,-severity" default:"" placeholder:"ORDER"`
}

// Help gives examples.
func (*TokenListCmd) Help() string {
	return example("patrol token list acme --status pending", "patrol token list acme --severity high", "patrol token list acme --sort=-severity")
}

// Run lists them.
func (c *TokenListCmd) Run(ctx context.Context, cli *CLI) error {
	if c.Organization == "" && c.Status != "" {
		return usagef("--status is what holds between a token and an organization: name one, for example patrol token list acme --status %s", c.Status)
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	if c.Organization == "" && c.Finding != "" {
		return usagef("--finding is what was found at an organization: name one, for example patrol token list acme --finding %s", c.Finding)
	}
	if c.Organization == "" && c.Severity != "" {
		return usagef("--severity is of what was found at an organization: name one, for example patrol token list acme --severity %s", c.Severity)
	}
	if by := strings.TrimPrefix(c.Sort, "-"); c.Organization == "" && (by == inventory.SortLastUsed || by == inventory.SortSeverity) {
		return usagef("--sort %s is of an organization's tokens: name one, for example patrol token list acme --sort=%s", c.Sort, c.Sort)
	}
	f := inventory.TokenFilter{Status: c.Status, Kind: c.Kind, Owner: c.Owner, Query: c.Search, Finding: c.Finding, Severity: c.Severity, Sort: c.Sort}
	if c.Organization == "" {
		rows, err := cl.Tokens(ctx, f)
		return list(cli, rows, err, "No token.", allTokens)
	}
	rows, err := cl.OrganizationTokens(ctx, c.Organization, f)
	return list(cli, rows, err, "No token.", organizationTokens)
}

func allTokens(t *table, rows []inventory.TokenRow) {
	t.row("ID", "NAME", "OWNER", "KIND", "LAST4", "CREATED", "EXPIRES", "STATUS")
	for _, r := range rows {
		status := "-"
		if r.Disabled {
			status = "disabled"
		}
		t.row(r.ID, r.DisplayName, r.Owner, r.Kind, dash(r.Last4), relative(&r.CreatedAt), relative(r.ExpiresAt), status)
	}
}

func organizationTokens(t *table, rows []admin.Listed) {
	t.row("ID", "NAME", "OWNER", "KIND", "LAST4", "CREATED", "EXPIRES", "STATUS")
	for _, r := range rows {
		status := "-"
		if r.Authorization != nil {
			status = r.Authorization.Status
		}
		t.row(r.ID, r.DisplayName, r.Owner, kindOf(r.Role), dash(r.Last4), relative(&r.CreatedAt), relative(r.ExpiresAt), status)
	}
}

// TokenShowCmd shows a token.
type TokenShowCmd struct {
	ID           string `arg:"" help:"The token's id."`
	Organization string `help:"As this organization sees it." placeholder:"NAME"`
}

// Help gives an example.
func (*TokenShowCmd) Help() string {
	return example("patrol token show 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --organization acme")
}

// Run shows it.
func (c *TokenShowCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	if c.Organization != "" {
		row, err := cl.OrganizationToken(ctx, c.Organization, c.ID)
		return show(cli, row, err, showOrganizationToken)
	}
	row, err := cl.Token(ctx, "", c.ID)
	return show(cli, row, err, showToken)
}

// showOrganizationToken shows also how a token stands.
func showOrganizationToken(t *table, row *admin.OrganizationToken) {
	showToken(t, &row.TokenRow)
	s := row.Standing
	if s == nil {
		return
	}
	stands := func(j *preview.Judged) string {
		text := "refused (" + j.Reason + ")"
		if j.Allowed {
			text = "allowed (" + j.Reason + ")"
		}
		if j.Allowed && len(j.Reasons) > 0 {
			text += ", in spite of " + strings.Join(j.Reasons, ", ")
		}
		if len(j.Next) > 0 {
			text += ", by the next policy refused (" + strings.Join(j.Next, ", ") + ")"
		}
		return text
	}
	t.row("at present", stands(&s.Judged))
	for i := range s.Others {
		j := &s.Others[i]
		t.row("", fmt.Sprintf("%s on %s: %s", j.Permission, cmp.Or(j.On, "organization "+row.Organization), stands(j)))
	}
	if s.Message != "" && !s.Allowed {
		t.row("told", s.Message)
	}
	if s.Error != "" {
		t.row("error", s.Error)
	}
}

func showToken(t *table, row *inventory.TokenRow) {
	t.row("id", row.ID)
	t.row("name", row.DisplayName)
	t.row("last four", dash(row.Last4))
	t.row("owner", row.Owner)
	if len(row.Responsible) > 0 {
		t.row("responsible", strings.Join(row.Responsible, ", "))
	}
	t.row("kind", row.Kind)
	t.row("source", row.Source)
	t.row("created", moment(&row.CreatedAt))
	t.row("expires", moment(row.ExpiresAt))
	t.row("version", row.Version)
	if row.Disabled {
		t.row("disabled", "everywhere")
	}
	if row.Purpose != "" {
		t.row("purpose", row.Purpose)
	}
	if row.Contact != "" {
		t.row("contact", row.Contact)
	}
	if row.RotatedAt != nil {
		t.row("rotated", moment(row.RotatedAt))
	}
	if row.OldSecretUntil != nil {
		t.row("old secret until", moment(row.OldSecretUntil))
	}
	if row.ReusedAt != nil {
		t.row("old secret used", moment(row.ReusedAt))
	}
	showGrants(t, row)
	if len(row.Global) > 0 {
		t.row("may everywhere", strings.Join(row.Global, ", "))
	}
	if a := row.Authorization; a != nil {
		t.row("in "+row.Organization, a.Status)
		if len(a.Grants) > 0 {
			t.row("approved", permissions(a.Grants))
		}
		if a.ExpiresAt != nil {
			t.row("until", moment(a.ExpiresAt))
		}
		if a.Comment != "" {
			t.row("comment", a.Comment)
		}
	}
}

// showGrants marks permissions that the policy does not know.
func showGrants(t *table, row *inventory.TokenRow) {
	for _, g := range row.Grants {
		may := make([]string, len(g.Permissions))
		for i, p := range g.Permissions {
			if may[i] = p; slices.Contains(row.UnknownPermissions, p) {
				may[i] += " (unknown: grants nothing)"
			}
		}
		t.row("may", strings.Join(may, ", ")+" on "+g.Entity.Type+" "+g.Entity.Name)
	}
}

// firstLine is a text's first line, short enough for a name.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(line); len(runes) > 60 {
		line = string(runes[:59]) + "…"
	}
	return line
}

// organizationToken are the arguments of an action on a token.
type organizationToken struct {
	Organization string `arg:"" help:"The organization."`
	ID           string `arg:"" help:"The token's id."`
	Comment      string `help:"A word to the owner, and for the audit log." placeholder:"TEXT"`
}

// onToken asks for an action on a token, and shows it as it is then.
func (c *CLI) onToken(ctx context.Context, organization, id, comment string, act func(ctx context.Context, organization, id, comment string) (*inventory.TokenRow, error)) error {
	row, err := act(ctx, organization, id, comment)
	if err != nil {
		return fmt.Errorf("token %s: %w", id, err)
	}
	return show(c, row, nil, showToken)
}
