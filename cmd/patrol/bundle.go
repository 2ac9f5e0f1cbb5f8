package main

import (
	"context"

	"github.com/patrol-authz/patrol/bundles"
)

// BundleCmd holds the commands on bundles.
type BundleCmd struct {
	Status BundleStatusCmd `cmd:"" help:"Show what is active, and why what is not."`
}

// BundleStatusCmd shows the status of bundles.
type BundleStatusCmd struct{}

// Help gives an example.
func (*BundleStatusCmd) Help() string { return example("patrol bundle status") }

// Run shows it.
func (*BundleStatusCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	var rows []bundles.Status
	if err := cl.Bundles(ctx, &rows); err != nil {
		return err
	}
	return cli.print(rows, func(t *table) {
		t.row("BUNDLE", "SOURCE", "REVISION", "ACTIVE SINCE", "NOTE")
		for _, r := range rows {
			note := r.Error
			if r.LastGood {
				note = "the last good one serves; " + note
			}
			t.row(r.Name, r.Source, dash(r.Revision), relative(r.LastSuccess), dash(note))
			for _, w := range r.Warnings {
				t.row("", "", "", "", "warning: "+w)
			}
		}
	})
}
