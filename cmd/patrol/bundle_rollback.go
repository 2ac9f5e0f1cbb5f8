package main

import (
	"context"
	"errors"
	"os"

	"golang.org/x/term"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
)

// BundleRollbackCmd goes back to an earlier version.
type BundleRollbackCmd struct {
	To      string `arg:"" optional:"" name:"version" help:"The revision or digest to go back to; without it you are shown the one before the active, and asked. In a script it is needed."`
	Bundle  string `help:"Which bundle, by its name in the status, where there are several." placeholder:"NAME"`
	Release bool   `help:"Go back to the source: what it has is active again, if the gate takes it."`
	DryRun  bool   `name:"dry-run" help:"Only show what would come of it."`
}

// Help gives examples.
func (*BundleRollbackCmd) Help() string {
	return "Makes an earlier version of the history active, through the gate, on the server that is asked; where the gate refuses it nothing is changed. What was rolled back from is skipped, unless it is named. " +
		"What the bundle's source has is passed over from then on, also after a restart, until it has something else, or --release goes back to it at once. patrol bundle status says so.\n\n" +
		example("patrol bundle rollback", "patrol bundle rollback 2026-11-24 --dry-run", "patrol bundle rollback --release")
}

// Run goes back.
func (c *BundleRollbackCmd) Run(ctx context.Context, cli *CLI) error {
	if c.Release && c.To != "" {
		return usagef("--release goes back to the source: leave out %s", c.To)
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	_, tag, err := cl.BundleHistory(ctx)
	if err != nil {
		return err
	}
	act := func(dry bool) (*authz.BundleChange, error) {
		if c.Release {
			return cl.ReleaseBundle(ctx, c.Bundle, dry, tag)
		}
		return cl.RollBackBundle(ctx, admin.BundleRollback{Bundle: c.Bundle, To: c.To}, dry, tag)
	}
	if !c.Release && c.To == "" && !c.DryRun {
		would, err := act(true)
		if err != nil {
			return err
		}
		if err := c.agreed(would); err != nil {
			return err
		}
	}
	out, err := act(c.DryRun)
	return show(cli, out, err, showBundleChange)
}

// agreed says whether somebody wants to go back to what was not named.
func (c *BundleRollbackCmd) agreed(would *authz.BundleChange) error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return usagef("say which version to go back to, as patrol bundle history shows them (%s is the one before)", versionName(would.Revision, would.Digest))
	}
	yes, err := agreesTo(func(t *table) { showBundleChange(t, would) }, "Go back?")
	if err == nil && !yes {
		err = errors.New("nothing was changed")
	}
	return err
}

func showBundleChange(t *table, c *authz.BundleChange) {
	is, was, counts, passed := "active", "before", "counts", "is passed over until it changes; patrol bundle rollback --release goes back to it"
	if c.DryRun {
		is, was, counts, passed = "would be active", "active", "would count", "would be passed over until it changes"
	}
	t.row("bundle", c.Bundle)
	if c.Digest != "" {
		t.row(is, versionName(c.Revision, c.Digest))
	}
	if c.FromDigest != "" {
		t.row(was, versionName(c.FromRevision, c.FromDigest))
	}
	for _, w := range c.Warnings {
		t.row("warning", w)
	}
	switch {
	case c.NotKept != "":
		t.row("note", "this does not last over a restart: "+c.NotKept)
	case c.How == authz.BundleFromSource && c.Digest == "":
		t.row("source", "has not answered yet: it counts as soon as it does")
	case c.How == authz.BundleFromSource:
		t.row("source", counts)
	default:
		t.row("source", passed)
	}
}
