package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
)

// CheckCmd explains how a request would be decided.
type CheckCmd struct {
	Method     string   `arg:"" help:"The request's method."`
	Path       string   `arg:"" help:"Its path, with its query."`
	TokenStdin bool     `help:"Read the token from standard input."`
	Host       string   `help:"The request's host." placeholder:"HOST"`
	Header     []string `short:"H" sep:"none" help:"A header, NAME: VALUE; may be given more than once. The token does not belong here: use --token-stdin." placeholder:"HEADER"`
	Body       string   `help:"The request's body; it is sent as application/json unless a header says otherwise." placeholder:"TEXT"`
	Address    string   `help:"The client's address." placeholder:"IP"`
	Wire       string   `help:"Really ask ext_authz at this address (host:port on this machine, or unix:PATH), as Envoy does: it is counted, and may open an approval request." placeholder:"ADDR"`
}

// Help gives an example.
func (*CheckCmd) Help() string {
	return "Nothing is opened, counted or mailed, unless it is asked by --wire. Exit 0: allowed; 1: refused.\n\n" +
		example("patrol check GET /api/models/acme/model --token-stdin < token.txt", "patrol check GET /api/models/acme/model --token-stdin --wire 127.0.0.1:9191 < token.txt")
}

// Run asks the server.
func (c *CheckCmd) Run(ctx context.Context, cli *CLI) error {
	in := admin.CheckRequest{Method: c.Method, Path: c.Path, Host: c.Host, Body: c.Body, Address: c.Address, Headers: map[string]string{}}
	for i, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return usagef("header %d of -H: write NAME: VALUE", i+1) // not repeated: it may be a secret
		}
		if strings.EqualFold(strings.TrimSpace(name), "authorization") {
			return usagef("a credential in an argument shows in process lists and shell histories: use --token-stdin")
		}
		in.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	in.SayJSON()
	if c.TokenStdin {
		secret, err := secretFromStdin()
		if err != nil {
			return err
		}
		in.Token = secret
	}
	if c.Wire != "" {
		out, err := askWire(ctx, c.Wire, &in)
		if err := show(cli, out, err, showWire); err != nil {
			return err
		}
		if !out.Allowed {
			return refused{fmt.Errorf("refused: %d", out.Status)}
		}
		return nil
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	out, err := cl.Check(ctx, in)
	if err != nil {
		return err
	}
	err = cli.print(out, func(t *table) { showChecked(t, out) })
	if err == nil && !out.Allowed {
		err = refused{errors.New(out.Reason)}
	}
	return err
}

func showChecked(t *table, out *admin.Checked) {
	answer := "refused"
	if out.Allowed {
		answer = "allowed"
	}
	t.row("answer", answer)
	t.row("reason", out.Reason)
	if len(out.Reasons) > 0 {
		t.row("all reasons", strings.Join(out.Reasons, ", "))
	}
	if len(out.Next) > 0 {
		t.row("by the next policy", strings.Join(out.Next, ", "))
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
}

// WhoamiCmd says who asks.
type WhoamiCmd struct {
	TokenStdin bool `help:"Ask as the holder of the token on standard input."`
}

// Help gives examples.
func (*WhoamiCmd) Help() string {
	return example("patrol whoami", "patrol whoami --token-stdin < token.txt")
}

// Run asks the server.
func (c *WhoamiCmd) Run(ctx context.Context, cli *CLI) error {
	connect := cli.client
	if c.TokenStdin {
		secret, err := secretFromStdin()
		if err != nil {
			return err
		}
		connect = func() (*client.Client, error) {
			cl, err := cli.unsigned()
			if err != nil {
				return nil, err
			}
			return cli.signed(cl, "standard input", secret)
		}
	}
	cl, err := connect()
	if err != nil {
		return err
	}
	who, err := cl.Whoami(ctx)
	return show(cli, who, err, showWhoami)
}

func showWhoami(t *table, who *admin.Whoami) {
	t.row(who.Type, who.Name)
	if a := who.Auth.AccessToken; a != nil {
		t.row("token", a.DisplayName)
		t.row("id", a.ID)
		t.row("kind", kindOf(a.Role))
		t.row("expires", moment(a.ExpiresAt))
		if f := a.FineGrained; f != nil {
			for _, g := range f.Scoped {
				t.row("may", strings.Join(g.Permissions, ", ")+" on "+g.Entity.Type+" "+g.Entity.Name)
			}
			if len(f.Global) > 0 {
				t.row("may everywhere", strings.Join(f.Global, ", "))
			}
		}
	}
	for _, o := range who.Orgs {
		state := o.RoleInOrg
		if o.Reason != "" {
			state += ", but the token is kept out: " + o.Reason
		}
		t.row("in "+o.Name, state)
	}
}

// kindOf is a token's kind as patrol spells it.
func kindOf(role string) string {
	if role == "fineGrained" {
		return authz.KindFineGrained
	}
	return role
}
