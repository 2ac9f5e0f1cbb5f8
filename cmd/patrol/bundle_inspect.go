package main

import (
	"fmt"

	"github.com/patrol-authz/patrol/bundles"
)

// BundleInspectCmd shows what a bundle holds.
type BundleInspectCmd struct {
	Path string `arg:"" type:"path" help:"A folder or a tarball."`
}

// Help gives an example.
func (*BundleInspectCmd) Help() string {
	return "It only reads: patrol policy check says whether the gate takes it, patrol bundle verify who signed it.\n\n" + example("patrol bundle inspect bundle.tar.gz")
}

// Run shows it.
func (c *BundleInspectCmd) Run(cli *CLI) error {
	b, err := bundles.Inspect(c.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Path, err)
	}
	return cli.print(b, func(t *table) {
		t.row("root", b.Root)
		t.row("revision", dash(b.Revision))
		signature := "none"
		if b.Signed {
			signature = "there, not verified"
		}
		t.row("signature", signature)
		for _, m := range b.Modules {
			t.row("module", m.Path, m.Package, m.Title)
		}
		for _, d := range b.Data {
			t.row("data", d)
		}
	})
}

// BundleDiffCmd shows what two bundles have otherwise.
type BundleDiffCmd struct {
	Before string `arg:"" type:"path" help:"A folder or a tarball."`
	After  string `arg:"" type:"path" help:"What is compared with it."`
}

// Help gives an example.
func (*BundleDiffCmd) Help() string {
	return "Lists the modules and data that were added, removed or changed; how Rego is formatted does not count.\n\n" + example("patrol bundle diff policy-7.tar.gz ./policy")
}

// Run shows it.
func (c *BundleDiffCmd) Run(cli *CLI) error {
	rows, err := bundles.Diff(c.Before, c.After)
	return list(cli, rows, err, "They hold the same.", func(t *table, rows []bundles.Difference) {
		for _, r := range rows {
			t.row(r.Change, r.What)
		}
	})
}
