package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// CheckCmd explains how a request would be decided.
type CheckCmd struct {
	Method     string   `arg:""`
	Path       string   `arg:""`
	TokenStdin bool     `help:"Read the token from standard input."`
	Host       string   `help:"The request's host."`
	Header     []string `short:"H" sep:"none" help:"A header, NAME: VALUE; may be given more than once."`
	Body       string   `help:"The request's body."`
	Address    string   `help:"The client's address."`
}

// Help gives an example.
func (*CheckCmd) Help() string {
	return "Nothing is opened, counted or mailed. Exit 0: allowed; 1: refused.\n\nExample: patrol check GET /api/models/acme/model --token-stdin < token.txt"
}

// Run asks the server.
func (c *CheckCmd) Run(ctx context.Context, cli *CLI) error {
	in := admin.CheckRequest{Method: c.Method, Path: c.Path, Host: c.Host, Body: c.Body, Address: c.Address, Headers: map[string]string{}}
	for _, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return usage{fmt.Errorf("--header %q: write NAME: VALUE", name)}
		}
		in.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if c.TokenStdin {
		secret, err := secretFromStdin()
		if err != nil {
			return err
		}
		in.Token = secret
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	var out admin.Checked
	if err := cl.Do(ctx, "POST", "/api/check", in, &out); err != nil {
		return err
	}
	err = cli.print(out, func(t *table) {
		answer := "refused"
		if out.Allowed {
			answer = "allowed"
		}
		t.row("answer", answer)
		t.row("reason", out.Reason)
		if len(out.Reasons) > 0 {
			t.row("all reasons", strings.Join(out.Reasons, ", "))
		}
		if out.Message != "" {
			t.row("message", out.Message)
		}
		for _, w := range out.Warnings {
			t.row("warning", w.Text)
		}
		if out.Policy != "" {
			t.row("policy", out.Policy)
		}
		t.row("revision", dash(out.Revision))
		if out.Error != "" {
			t.row("error", out.Error)
		}
	})
	if err == nil && !out.Allowed {
		err = refused{errors.New(out.Reason)}
	}
	return err
}

// WhoamiCmd says who asks.
type WhoamiCmd struct{}

// Run asks the server.
func (*WhoamiCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	var out inventory.Actor
	if err := cl.Do(ctx, "GET", "/api/whoami-v2", nil, &out); err != nil {
		return err
	}
	return cli.print(out, func(t *table) { t.row(out.Kind, out.Name) })
}

// AuditCmd holds the commands on the audit log.
type AuditCmd struct {
	List AuditListCmd `cmd:"" help:"List the audit log, newest first. Example: patrol audit list --organization acme"`
}

// AuditListCmd lists the audit log.
type AuditListCmd struct {
	Organization string `help:"Only this organization's."`
}

// Run lists it.
func (c *AuditListCmd) Run(ctx context.Context, cli *CLI) error {
	q := map[string][]string{}
	if c.Organization != "" {
		q["organization"] = []string{c.Organization}
	}
	return list(ctx, cli, "/api/audit", q, func(t *table, rows []inventory.AuditRow) {
		t.row("SEQ", "TIME", "ACTOR", "ACTION", "ORGANIZATION", "TOKEN", "DETAILS")
		for _, r := range rows {
			details := ""
			for k, v := range r.Details {
				details += fmt.Sprintf("%s=%v ", k, v)
			}
			t.row(r.Seq, day(&r.Time), r.Actor.Name, r.Action, dash(r.Organization), dash(r.Token), details)
		}
	})
}

// VersionCmd prints the version.
type VersionCmd struct{}

// Run prints it.
func (*VersionCmd) Run(cli *CLI) error {
	return cli.print(map[string]string{"version": version}, func(t *table) { t.row("patrol", version) })
}

// CompletionCmd prints a completion script.
type CompletionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help gives an example.
func (*CompletionCmd) Help() string {
	return "Example: source <(patrol completion bash)"
}

// Run prints it.
func (c *CompletionCmd) Run(app *kong.Application) error {
	var words []string
	var walk func(n *kong.Node, prefix string)
	walk = func(n *kong.Node, prefix string) {
		var names []string
		for _, child := range n.Children {
			if child.Type == kong.CommandNode {
				names = append(names, child.Name)
				walk(child, strings.TrimSpace(prefix+" "+child.Name))
			}
		}
		for _, f := range n.Flags {
			names = append(names, "--"+f.Name)
		}
		words = append(words, fmt.Sprintf("    %q) words=%q ;;", prefix, strings.Join(names, " ")))
	}
	walk(app.Node, "")
	cases := strings.Join(words, "\n")
	switch c.Shell {
	case "fish":
		var lines []string
		for _, n := range app.Children {
			lines = append(lines, fmt.Sprintf("complete -c patrol -f -n __fish_use_subcommand -a %s -d %q", n.Name, n.Help))
			for _, sub := range n.Children {
				lines = append(lines, fmt.Sprintf("complete -c patrol -f -n '__fish_seen_subcommand_from %s' -a %s", n.Name, sub.Name))
			}
		}
		fmt.Println(strings.Join(lines, "\n"))
		return nil
	case "zsh":
		fmt.Println("autoload -U +X bashcompinit && bashcompinit")
	}
	fmt.Printf(`_patrol() {
  local words path="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in -*) ;; *) path="${path:+$path }${COMP_WORDS[i]}" ;; esac
  done
  case "$path" in
%s
  esac
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _patrol patrol
`, cases)
	return nil
}
