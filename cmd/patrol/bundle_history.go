package main

import (
	"context"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/patrol-authz/patrol/authz"
)

// BundleHistoryCmd lists versions.
type BundleHistoryCmd struct {
	Bundle string `help:"Only this bundle's, by its name in the status." placeholder:"NAME"`
}

// Help gives an example.
func (*BundleHistoryCmd) Help() string {
	return "Lists what was active on the server that is asked, the oldest first. What is marked with * is active. " +
		"A version that its source brings again goes to the end; one that was rolled back to stays where it is, so that one can go back further.\n\n" +
		example("patrol bundle history")
}

// Run lists them.
func (c *BundleHistoryCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, _, err := cl.BundleHistory(ctx)
	if c.Bundle != "" {
		rows = only(rows, c.Bundle)
	}
	return list(cli, rows, err, "Nothing is kept yet: the embedded base has no history.", func(t *table, rows []authz.BundleVersion) {
		t.row("", "BUNDLE", "NUMBER", "REVISION", "DIGEST", "ACTIVATED", "HOW", "BY", "SIZE", "SIGNED")
		for i := range rows {
			v := &rows[i]
			mark, signed := "", "no"
			if v.Active {
				mark = "*"
			}
			if v.Signed {
				signed = "yes"
			}
			t.row(mark, v.Bundle, v.Number, v.Revision, v.Digest, relative(&v.ActivatedAt), strings.ReplaceAll(v.How, "_", " "), dash(v.By), humanize.IBytes(uint64(max(v.Bytes, 0))), signed)
		}
	})
}

// only are the versions of one bundle.
func only(rows []authz.BundleVersion, name string) []authz.BundleVersion {
	out := []authz.BundleVersion{}
	for _, v := range rows {
		if v.Bundle == name {
			out = append(out, v)
		}
	}
	return out
}
