package main

import (
	"context"
	"errors"
	"strings"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// CheckCmd explains how a request would be decided.
type CheckCmd struct {
	Method     string   `arg:"" help:"The request's method."`
	Path       string   `arg:"" help:"Its path, with its query."`
	TokenStdin bool     `help:"Read the token from standard input."`
	Host       string   `help:"The request's host." placeholder:"HOST"`
	Header     []string `short:"H" sep:"none" help:"A header, NAME: VALUE; may be given more than once. The token does not belong here: use --token-stdin." placeholder:"HEADER"`
	Body       string   `help:"The request's body." placeholder:"TEXT"`
	Address    string   `help:"The client's address." placeholder:"IP"`
}

// Help gives an example.
func (*CheckCmd) Help() string {
	return "Nothing is opened, counted or mailed. Exit 0: allowed; 1: refused.\n\n" +
		example("patrol check GET /api/models/acme/model --token-stdin < token.txt")
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
type WhoamiCmd struct{}

// Help gives an example.
func (*WhoamiCmd) Help() string { return example("patrol whoami") }

// Run asks the server.
func (*WhoamiCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	who, err := cl.Whoami(ctx)
	return show(cli, who, err, func(t *table, who *inventory.Actor) { t.row(who.Kind, who.Name) })
}
