package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
)

// BundlePromoteCmd makes the shadow active.
type BundlePromoteCmd struct {
	Digest         string `help:"The digest of the shadow that you looked at, as patrol bundle shadow shows it; in a script it is needed." placeholder:"DIGEST"`
	IfEvaluated    int64  `help:"Only if it was evaluated on so many requests." placeholder:"N"`
	MaxDifferences *int64 `help:"Only if it would answer at most so many of them otherwise." placeholder:"N"`
	DryRun         bool   `name:"dry-run" help:"Only show what would come of it."`
}

// Help gives examples.
func (*BundlePromoteCmd) Help() string {
	return "Makes the bundle that is evaluated beside the active one active, through the gate, on the server that is asked. It shows what was counted and asks you; in a script name the digest that you looked at. " +
		"What the bundle's source has is passed over from then on, as after patrol bundle rollback: put the rules there too.\n\n" +
		example("patrol bundle promote", "patrol bundle promote --digest 524cc94544b5 --if-evaluated 10000 --max-differences 0")
}

// Run promotes it.
func (c *BundlePromoteCmd) Run(ctx context.Context, cli *CLI) error {
	if c.IfEvaluated < 0 || c.MaxDifferences != nil && *c.MaxDifferences < 0 {
		return usagef("--if-evaluated and --max-differences are numbers from 0 on")
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	s, tag, err := cl.ShadowBundle(ctx)
	if err != nil {
		return err
	}
	if err := c.agreed(s); err != nil {
		return err
	}
	out, err := cl.PromoteShadowBundle(ctx, admin.BundlePromotion{IfEvaluated: c.IfEvaluated, MaxDifferences: c.MaxDifferences}, c.DryRun, tag)
	return show(cli, out, err, showBundleChange)
}

// agreed says whether the shadow is the one that somebody looked at.
func (c *BundlePromoteCmd) agreed(s *authz.Shadow) error {
	switch {
	case c.Digest == s.Digest || c.DryRun && c.Digest == "":
		return nil
	case c.Digest != "":
		return fmt.Errorf("the shadow is %s, and not %s: look at it again (patrol bundle shadow)", s.Digest, c.Digest)
	case !term.IsTerminal(int(os.Stdin.Fd())):
		return usagef("say which shadow you looked at: --digest DIGEST, as patrol bundle shadow shows it (%s is there)", s.Digest)
	}
	yes, err := agreesTo(func(t *table) { showShadow(t, s) }, "Make it active?")
	if err == nil && !yes {
		err = errors.New("nothing was promoted")
	}
	return err
}
