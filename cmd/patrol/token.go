package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TokenCmd holds the commands on tokens.
type TokenCmd struct {
	Issue   TokenIssueCmd   `cmd:"" help:"Issue a token; its secret is shown once. Example: patrol token issue --owner bob --name ci --kind fine-grained --grant organization:acme=repo.content.read,repo.write --expires-in 90d --purpose \"nightly builds\""`
	List    TokenListCmd    `cmd:"" help:"List the tokens that reach an organization. Example: patrol token list acme --status pending"`
	Show    TokenShowCmd    `cmd:"" help:"Show a token. Example: patrol token show ID --organization acme"`
	Import  TokenImportCmd  `cmd:"" help:"Import tokens by the SHA-256 of their secrets: a JSON object a line, all or none. Example: patrol token import tokens.jsonl"`
	Revoke  TokenRevokeCmd  `cmd:"" help:"End a token's access to an organization for ever. Example: patrol token revoke acme ID --comment leaked"`
	Suspend TokenSuspendCmd `cmd:"" help:"Stop a token's access to an organization until it is resumed. Example: patrol token suspend acme ID"`
	Resume  TokenResumeCmd  `cmd:"" help:"Let a suspended token go on. Example: patrol token resume acme ID"`
	Disable TokenDisableCmd `cmd:"" help:"Stop a token everywhere. Example: patrol token disable ID"`
	Enable  TokenEnableCmd  `cmd:"" help:"Let a disabled token go on. Example: patrol token enable ID"`
	Delete  TokenDeleteCmd  `cmd:"" help:"Delete a token; what was decided on it is kept. Example: patrol token delete ID"`
}

func tokenPath(organization, id string) string {
	if organization == "" {
		return "/api/tokens/" + url.PathEscape(id)
	}
	return organizationPath(organization) + "/settings/tokens/" + url.PathEscape(id)
}

// TokenIssueCmd issues a token.
type TokenIssueCmd struct {
	Owner     string   `required:"" help:"The user to whom it belongs; a member of some organization."`
	Name      string   `required:"" help:"What people call it."`
	Kind      string   `help:"read, write or fine-grained." default:"fine-grained" enum:"read,write,fine-grained"`
	Grant     []string `sep:"none" help:"TYPE:NAME=PERMISSION,…; may be given more than once." placeholder:"GRANT"`
	ExpiresIn string   `help:"A span (90d), a date or a time." placeholder:"END"`
	Purpose   string   `help:"What it is for; administrators read it."`
	Contact   string   `help:"Whom to ask about it."`
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
	cl, err := cli.client()
	if err != nil {
		return err
	}
	in := admin.NewToken{Owner: c.Owner, DisplayName: c.Name, Kind: c.Kind, Grants: grants, ExpiresAt: end, Purpose: c.Purpose, Contact: c.Contact}
	var out admin.IssuedToken
	if err := cl.Do(ctx, "POST", "/api/tokens", in, &out); err != nil {
		return err
	}
	return cli.print(out, func(t *table) {
		t.row("id", out.ID)
		t.row("name", out.DisplayName)
		t.row("kind", out.Kind)
		t.row("grants", dash(permissions(out.Grants)))
		t.row("expires", day(out.ExpiresAt))
		t.row("token", out.Secret)
		t.row("", "Keep it now: it cannot be shown again.")
	})
}

// TokenListCmd lists tokens.
type TokenListCmd struct {
	Organization string `arg:"" optional:"" help:"By default all tokens, as the operator sees them."`
	Status       string `help:"all, none, pending, pending_frozen, approved, approval_ended, denied, suspended, revoked. Revoked ones are hidden unless asked for."`
	Kind         string `help:"read, write or fine-grained."`
	Owner        string `help:"Only this user's."`
	Search       string `help:"Part of the name."`
}

// Run lists them.
func (c *TokenListCmd) Run(ctx context.Context, cli *CLI) error {
	q := url.Values{}
	for k, v := range map[string]string{"status": c.Status, "kind": c.Kind, "owner": c.Owner, "q": c.Search} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if c.Organization == "" {
		return list(ctx, cli, "/api/tokens", q, func(t *table, rows []inventory.TokenRow) {
			t.row("ID", "NAME", "OWNER", "KIND", "LAST4", "CREATED", "EXPIRES", "STATUS")
			for _, r := range rows {
				status := "-"
				if r.Disabled {
					status = "disabled"
				}
				t.row(r.ID, r.DisplayName, r.Owner, r.Kind, dash(r.Last4), day(&r.CreatedAt), day(r.ExpiresAt), status)
			}
		})
	}
	return list(ctx, cli, organizationPath(c.Organization)+"/settings/tokens", q, func(t *table, rows []admin.Listed) {
		t.row("ID", "NAME", "OWNER", "KIND", "LAST4", "CREATED", "EXPIRES", "STATUS")
		for _, r := range rows {
			status := "-"
			if r.Authorization != nil {
				status = r.Authorization.Status
			}
			t.row(r.ID, r.DisplayName, r.Owner, r.Role, dash(r.Last4), day(&r.CreatedAt), day(r.ExpiresAt), status)
		}
	})
}

// TokenShowCmd shows a token.
type TokenShowCmd struct {
	ID           string `arg:""`
	Organization string `help:"As this organization sees it."`
}

// Run shows it.
func (c *TokenShowCmd) Run(ctx context.Context, cli *CLI) error {
	return cli.token(ctx, "GET", tokenPath(c.Organization, c.ID), nil)
}

func (c *CLI) token(ctx context.Context, method, path string, in any) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	var row inventory.TokenRow
	if err := cl.Do(ctx, method, path, in, &row); err != nil {
		return err
	}
	return c.print(row, func(t *table) { showToken(t, &row) })
}

func showToken(t *table, row *inventory.TokenRow) {
	t.row("id", row.ID)
	t.row("name", row.DisplayName)
	t.row("last four", dash(row.Last4))
	t.row("owner", row.Owner)
	t.row("kind", row.Kind)
	t.row("source", row.Source)
	t.row("created", day(&row.CreatedAt))
	t.row("expires", day(row.ExpiresAt))
	t.row("version", row.Version)
	if row.Disabled {
		t.row("disabled", "everywhere")
	}
	if row.Purpose != "" {
		t.row("purpose", row.Purpose)
	}
	for _, g := range row.Grants {
		t.row("may", strings.Join(g.Permissions, ", ")+" on "+g.Entity.Type+" "+g.Entity.Name)
	}
	if a := row.Authorization; a != nil {
		t.row(row.Organization, a.Status)
		if len(a.Grants) > 0 {
			t.row("approved", permissions(a.Grants))
		}
		if a.ExpiresAt != nil {
			t.row("until", day(a.ExpiresAt))
		}
		if a.Comment != "" {
			t.row("comment", a.Comment)
		}
	}
}

// TokenImportCmd imports tokens.
type TokenImportCmd struct {
	File string `arg:"" help:"A file, or - for standard input."`
}

// Run imports them.
func (c *TokenImportCmd) Run(ctx context.Context, cli *CLI) error {
	var r io.Reader = os.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return usage{err}
		}
		defer f.Close()
		r = f
	}
	tokens, err := readImport(r)
	if err != nil {
		return usage{fmt.Errorf("%s: %w; nothing was imported", c.File, err)}
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	var out admin.Imported
	if err := cl.Do(ctx, "POST", "/api/tokens/import", map[string]any{"tokens": tokens}, &out); err != nil {
		return fmt.Errorf("nothing was imported: %w (tokens[0] is the first line that is not empty)", err)
	}
	return cli.print(out, func(t *table) { t.row("imported", out.Imported) })
}

// readImport reads JSON lines and names every bad one.
func readImport(r io.Reader) ([]admin.ImportedToken, error) {
	var out []admin.ImportedToken
	var errs []error
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		var t admin.ImportedToken
		if err := dec.Decode(&t); err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			if len(errs) == 20 {
				break
			}
			continue
		}
		out = append(out, t)
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, err)
	}
	if len(out) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("holds no line"))
	}
	return out, errors.Join(errs...)
}

// organizationToken are the arguments of an action on a token.
type organizationToken struct {
	Organization string `arg:""`
	ID           string `arg:""`
	Comment      string `help:"A word to the owner, and for the audit log."`
}

func (o *organizationToken) act(ctx context.Context, cli *CLI, action string) error {
	return cli.token(ctx, "POST", tokenPath(o.Organization, o.ID)+"/"+action, admin.Comment{Comment: o.Comment})
}

// TokenRevokeCmd revokes a token.
type TokenRevokeCmd struct{ organizationToken }

// Run revokes it.
func (c *TokenRevokeCmd) Run(ctx context.Context, cli *CLI) error { return c.act(ctx, cli, "revoke") }

// TokenSuspendCmd suspends a token.
type TokenSuspendCmd struct{ organizationToken }

// Run suspends it.
func (c *TokenSuspendCmd) Run(ctx context.Context, cli *CLI) error { return c.act(ctx, cli, "suspend") }

// TokenResumeCmd resumes a token.
type TokenResumeCmd struct{ organizationToken }

// Run resumes it.
func (c *TokenResumeCmd) Run(ctx context.Context, cli *CLI) error { return c.act(ctx, cli, "resume") }

// TokenDisableCmd disables a token.
type TokenDisableCmd struct {
	ID      string `arg:""`
	Comment string
}

// Run disables it.
func (c *TokenDisableCmd) Run(ctx context.Context, cli *CLI) error {
	return cli.token(ctx, "POST", tokenPath("", c.ID)+"/disable", admin.Comment{Comment: c.Comment})
}

// TokenEnableCmd enables a token.
type TokenEnableCmd struct {
	ID      string `arg:""`
	Comment string
}

// Run enables it.
func (c *TokenEnableCmd) Run(ctx context.Context, cli *CLI) error {
	return cli.token(ctx, "POST", tokenPath("", c.ID)+"/enable", admin.Comment{Comment: c.Comment})
}

// TokenDeleteCmd deletes a token.
type TokenDeleteCmd struct {
	ID string `arg:""`
}

// Run deletes it.
func (c *TokenDeleteCmd) Run(ctx context.Context, cli *CLI) error {
	return cli.send(ctx, "DELETE", tokenPath("", c.ID), nil, "deleted "+c.ID)
}
