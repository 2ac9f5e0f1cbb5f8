package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/preview"
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
	return "Says on standard error what it waits for, and why it gave up. Where no request is open yet, it waits for one: the token asks when it is used.\n\n" +
		"Exit 0: the token was approved, or is let in without an approval. " +
		"1: it was denied, revoked, suspended or disabled; the request was taken back, or the approval has ended; it is refused for what no approval changes " +
		"(its kind, its age, no permissions there, an owner who is no member); the time ran out; or the server failed. 2: wrong usage.\n\n" +
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
	for said := ""; ; {
		row, err := cl.OrganizationToken(ctx, c.Organization, c.ID)
		if err != nil {
			return err
		}
		on, gaveUp := c.outlook(row)
		if on == "" {
			if err := show(cli, row, nil, showOrganizationToken); err != nil {
				return err
			}
			return gaveUp
		}
		if on != said {
			fmt.Fprintln(os.Stderr, plain("patrol: waiting: "+on))
			said = on
		}
		select {
		case <-wait.Done():
			if ctx.Err() != nil {
				return fmt.Errorf("waiting was broken off: %s", on)
			}
			return fmt.Errorf("nothing was decided within %s: %s", c.Timeout, on)
		case <-time.After(every):
		}
	}
}

// outlook says what is waited for. Where that is nothing, gaveUp says why there
// will be no approval, or is nil where the token has it or needs none.
func (c *ApprovalWaitCmd) outlook(row *admin.OrganizationToken) (on string, gaveUp error) {
	a := row.Authorization
	if a == nil {
		return "", fmt.Errorf("the token has nothing to do with %s", c.Organization)
	}
	name := fmt.Sprintf("%s of %s", row.DisplayName, row.Owner)
	switch {
	case row.Disabled:
		return "", errors.New("the token is disabled everywhere")
	case a.Status == "revoked", a.Status == "suspended":
		return "", fmt.Errorf("the token is %s%s", a.Status, because(a.Comment))
	case a.Request != nil && a.Request.State == authz.RequestOpen:
		return fmt.Sprintf("somebody at %s is to decide on %s: %s", c.Organization, name, permissions(a.Request.Grants)), nil
	case a.Status == "denied":
		return "", fmt.Errorf("the token is denied%s", because(a.Comment))
	case a.Status == "approval_ended":
		return "", errors.New("the approval has ended, and no other is asked for until the token is used")
	case a.State == authz.StateNone && a.Request != nil && a.Request.State == authz.RequestWithdrawn:
		return "", errors.New("the request was taken back")
	case a.Status == "approved":
		return "", nil
	}
	return c.unasked(&row.TokenRow, row.Standing)
}

// unasked says what is waited for of a token that nobody was asked for.
func (c *ApprovalWaitCmd) unasked(row *inventory.TokenRow, s *preview.Standing) (on string, gaveUp error) {
	switch {
	case s == nil || s.Asks:
		return fmt.Sprintf("no request of %s of %s is open at %s yet: it asks when it is used", row.DisplayName, row.Owner, c.Organization), nil
	case s.Error != "":
		return "", fmt.Errorf("whether it needs an approval cannot be judged: %s", s.Error)
	case s.Allowed:
		return "", nil
	}
	return "", fmt.Errorf("no approval is asked for that would let it in: %s", cmp.Or(s.Message, s.Reason))
}

func because(comment string) string {
	if comment == "" {
		return ""
	}
	return ": " + comment
}
