package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin/client"
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
	return "Says on standard error what it waits for, and why it gave up. Where no request is open yet, it waits for one: the token asks when it is used.\n\n" +
		"Exit 0: the token was approved, or no approval is asked for: by the organization, or of a token that an administrator made. " +
		"1: it was denied, revoked, suspended or disabled; the request was taken back, or the approval has ended; no approval is given to a token like it " +
		"(of another kind, or without permissions there); the time ran out; or the server failed. 2: wrong usage.\n\n" +
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
		row, err := cl.Token(ctx, c.Organization, c.ID)
		if err != nil {
			return err
		}
		on, gaveUp, err := c.outlook(ctx, cl, row)
		if err != nil {
			return err
		}
		if on == "" {
			if err := show(cli, row, nil, showToken); err != nil {
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
func (c *ApprovalWaitCmd) outlook(ctx context.Context, cl *client.Client, row *inventory.TokenRow) (on string, gaveUp, err error) {
	a := row.Authorization
	if a == nil {
		return "", fmt.Errorf("the token has nothing to do with %s", c.Organization), nil
	}
	name := fmt.Sprintf("%s of %s", row.DisplayName, row.Owner)
	switch {
	case row.Disabled:
		return "", errors.New("the token is disabled everywhere"), nil
	case a.Status == "revoked", a.Status == "suspended":
		return "", fmt.Errorf("the token is %s%s", a.Status, because(a.Comment)), nil
	case a.Request != nil && a.Request.State == authz.RequestOpen:
		return fmt.Sprintf("somebody at %s is to decide on %s: %s", c.Organization, name, permissions(a.Request.Grants)), nil, nil
	case a.Status == "denied":
		return "", fmt.Errorf("the token is denied%s", because(a.Comment)), nil
	case a.Status == "approval_ended":
		return "", errors.New("the approval has ended, and no other is asked for until the token is used"), nil
	case a.State == authz.StateNone && a.Request != nil && a.Request.State == authz.RequestWithdrawn:
		return "", errors.New("the request was taken back"), nil
	case a.Status == "approved":
		return "", nil, nil
	}
	asked, none, err := c.asked(ctx, cl, row)
	if err != nil || !asked {
		return "", none, err
	}
	return fmt.Sprintf("no request of %s is open at %s yet: it asks when it is used", name, c.Organization), nil, nil
}

// asked says whether an approval will be asked for; none, why the token will not
// have one though the organization asks for it.
func (c *ApprovalWaitCmd) asked(ctx context.Context, cl *client.Client, row *inventory.TokenRow) (asked bool, none, err error) {
	o, err := cl.Organization(ctx, c.Organization)
	var said *client.Error
	if errors.As(err, &said) && said.Status == http.StatusForbidden {
		return true, nil, nil // who may not read the policy cannot tell: the end of --timeout tells
	}
	if err != nil {
		return false, nil, err
	}
	policies, err := cl.Policies(ctx)
	if err != nil {
		return false, nil, err
	}
	asks := slices.ContainsFunc(policies, func(p authz.TokenPolicy) bool {
		return p.RequiresApproval && (p.Name == o.TokenPolicy || p.Name == o.NextTokenPolicy)
	})
	fourEyes, _ := o.Settings[inventory.SettingFourEyes].(bool)
	switch {
	case o.Type != authz.TypeOrganization || !asks:
		return false, nil, nil
	case row.Kind != authz.KindFineGrained:
		return false, fmt.Errorf("%s approves fine-grained tokens only, and this is a %s token", c.Organization, row.Kind), nil
	case row.Authorization.AdminCreated && !fourEyes:
		return false, nil, nil
	case len(row.Grants) == 0:
		return false, fmt.Errorf("the token has no permission on %s that could be approved", c.Organization), nil
	}
	return true, nil, nil
}

func because(comment string) string {
	if comment == "" {
		return ""
	}
	return ": " + comment
}
