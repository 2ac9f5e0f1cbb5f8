package main

import (
	"context"
	"fmt"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// ApprovalWaitCmd waits for a decision.
type ApprovalWaitCmd struct {
	Organization string `arg:"" help:"The organization."`
	ID           string `arg:"" help:"The token's id."`
	Timeout      string `help:"Wait no longer than this span (90d, 12h)." default:"24h" placeholder:"SPAN"`
	Every        string `help:"Look again after this span." default:"5s" placeholder:"SPAN"`
}

// Help gives an example.
func (*ApprovalWaitCmd) Help() string {
	return "Exit 0: nothing waits for an approval: the token was approved, or none is asked for any more. 1: it was denied or revoked, it was suspended, the request was taken back, or the time ran out.\n\n" +
		example("patrol approval wait acme 01a20daf-8d3a-7c75-94a4-182374a6e5b3 --timeout 1h")
}

// Run waits.
func (c *ApprovalWaitCmd) Run(ctx context.Context, cli *CLI) error {
	timeout, err := spanOf("--timeout", c.Timeout)
	if err != nil {
		return err
	}
	every, err := spanOf("--every", c.Every)
	if err != nil {
		return err
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	every = max(every, 100*time.Millisecond)
	for {
		row, err := cl.Token(ctx, c.Organization, c.ID)
		if err != nil {
			return err
		}
		if !waits(row.Authorization) {
			return c.tell(cli, row)
		}
		select {
		case <-wait.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return refused{fmt.Errorf("nothing was decided within %s", c.Timeout)}
		case <-time.After(every):
		}
	}
}

// waits says whether somebody is to decide yet. A request that is frozen, since no
// approval is asked for now, is no reason to wait.
func waits(a *inventory.AuthorizationRow) bool {
	return a != nil && a.Request != nil && a.Request.State == authz.RequestOpen && a.Status != "revoked" && a.Status != "suspended"
}

// tell shows how it came out.
func (c *ApprovalWaitCmd) tell(cli *CLI, row *inventory.TokenRow) error {
	if err := show(cli, row, nil, showToken); err != nil {
		return err
	}
	a := row.Authorization
	if a == nil {
		return nil
	}
	withdrawn := a.State == authz.StateNone && a.Request != nil && a.Request.State == authz.RequestWithdrawn
	switch {
	case withdrawn:
		return refused{fmt.Errorf("the request was taken back")}
	case a.Status == "denied", a.Status == "revoked", a.Status == "suspended":
		return refused{fmt.Errorf("the token is %s", a.Status)}
	case a.Status == "approval_ended":
		return refused{fmt.Errorf("the approval has ended")}
	}
	return nil
}
