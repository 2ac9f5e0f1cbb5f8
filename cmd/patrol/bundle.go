package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/bundles"
)

// BundleCmd holds the commands on bundles.
type BundleCmd struct {
	Status  BundleStatusCmd  `cmd:"" help:"Show what is active, and why what is not."`
	Build   BundleBuildCmd   `cmd:"" help:"Pack a bundle as a tarball, signed or not."`
	Inspect BundleInspectCmd `cmd:"" help:"Show what a bundle holds."`
	Diff    BundleDiffCmd    `cmd:"" help:"Show what two bundles have otherwise."`
	Verify  BundleVerifyCmd  `cmd:"" help:"Say whether a tarball is signed by a key."`

	History  BundleHistoryCmd  `cmd:"" help:"List the versions that were active."`
	Rollback BundleRollbackCmd `cmd:"" help:"Make an earlier version active, or go back to the source."`
	Shadow   BundleShadowCmd   `cmd:"" help:"Evaluate a bundle beside the active one, or show what came of it."`
	Promote  BundlePromoteCmd  `cmd:"" help:"Make the shadow active."`
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
			t.row(r.Name, r.Source, dash(r.Revision), relative(r.LastSuccess), dash(bundleNote(&r)))
			for _, w := range r.Warnings {
				t.row("", "", "", "", "warning: "+w)
			}
		}
	})
}

// bundleNote says what is to be known of a source, "" where all is well.
func bundleNote(s *bundles.Status) string {
	var notes []string
	if s.LastGood {
		notes = append(notes, "the last good one serves")
	}
	if h := s.Held; h != nil {
		notes = append(notes, heldNote(h))
	}
	if s.HistoryError != "" {
		notes = append(notes, "not in the history: "+s.HistoryError)
	}
	if s.ReplacedBy != "" {
		notes = append(notes, "replaced by "+s.ReplacedBy)
	}
	if s.Error != "" {
		notes = append(notes, s.Error)
	}
	return strings.Join(notes, "; ")
}

// heldNote says what a source is held at, by whom, and what it has.
func heldNote(h *authz.BundleHold) string {
	note := "rolled back"
	if h.How == authz.BundlePromoted {
		note = "promoted"
	}
	note += fmt.Sprintf(" by %s %s", h.By, relative(&h.Since))
	if h.SourceDigest != "" {
		note += "; the source's " + versionName(h.SourceRevision, h.SourceDigest) + " is passed over until it changes"
	}
	if h.NotKept != "" {
		note += "; this does not last over a restart: " + h.NotKept
	}
	return note
}

// versionName names content by its revision and, where that is another, its digest.
func versionName(revision, digest string) string {
	if revision == digest || digest == "" {
		return dash(revision)
	}
	return revision + " (" + digest + ")"
}
