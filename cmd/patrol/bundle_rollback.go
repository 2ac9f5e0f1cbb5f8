package main

import (
	"context"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
)

// BundleRollbackCmd goes back to an earlier version.
type BundleRollbackCmd struct {
	To      string `arg:"" optional:"" name:"version" help:"The revision or digest to go back to; by default the one before the active."`
	Bundle  string `help:"Which bundle, by its name in the status, where there are several." placeholder:"NAME"`
	Release bool   `help:"Go back to the source: what it has is active again, if the gate takes it."`
	DryRun  bool   `name:"dry-run" help:"Only show what would come of it."`
}

// Help gives examples.
func (*BundleRollbackCmd) Help() string {
	return "Makes an earlier version of the history active, through the gate, on the server that is asked; where the gate refuses it nothing is changed. " +
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
	var out *authz.BundleChange
	if c.Release {
		out, err = cl.ReleaseBundle(ctx, c.Bundle, c.DryRun, tag)
	} else {
		out, err = cl.RollBackBundle(ctx, admin.BundleRollback{Bundle: c.Bundle, To: c.To}, c.DryRun, tag)
	}
	return show(cli, out, err, showBundleChange)
}

func showBundleChange(t *table, c *authz.BundleChange) {
	is, was := "active", "before"
	if c.DryRun {
		is, was = "would be active", "active"
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
		t.row("source", "counts")
	default:
		t.row("source", "is passed over until it changes; patrol bundle rollback --release goes back to it")
	}
}
