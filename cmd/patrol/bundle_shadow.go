package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/bundles"
)

// BundleShadowCmd evaluates a bundle beside the active one.
type BundleShadowCmd struct {
	Path    string  `arg:"" optional:"" type:"path" help:"A folder or a tarball; without it, what came of the shadow so far is shown."`
	Sample  float64 `help:"On what part of the requests it is evaluated: more than 0, 1 at most." default:"0.1" placeholder:"PART"`
	Bundle  string  `help:"In the place of which bundle, by its name in the status, where there are several." placeholder:"NAME"`
	Off     bool    `help:"End it."`
	Replace bool    `help:"Take the place of the shadow that is there."`
	DryRun  bool    `name:"dry-run" help:"Only send it through the gate."`
}

// Help gives examples.
func (*BundleShadowCmd) Help() string {
	return "Sends a bundle to the server that is asked, which evaluates it beside the active one after requests are answered: its answers are only counted and compared. " +
		"It goes through the gate, and has to be signed where the bundles of its source have to be. No answer is changed or delayed by it; what is too much at once is left out, and counted. " +
		"Allows count as alike whatever their reason. A restart keeps the shadow, and counts begin anew then, and when what is active changes. patrol bundle promote makes it active.\n\n" +
		example("patrol bundle shadow ./policy --sample 0.5", "patrol bundle shadow", "patrol bundle shadow ./policy --replace", "patrol bundle shadow --off")
}

// Run shows, sets or ends it.
func (c *BundleShadowCmd) Run(ctx context.Context, cli *CLI) error {
	switch {
	case c.Off && c.Path != "":
		return usagef("--off ends the shadow: leave out %s", c.Path)
	case c.Off && (c.DryRun || c.Bundle != "" || c.Replace):
		return usagef("--off ends the shadow, whichever it is: leave out the other flags")
	case !(c.Sample > 0 && c.Sample <= 1):
		return usagef("--sample %v: write more than 0, and 1 at most", c.Sample)
	}
	cl, err := cli.client()
	if err != nil {
		return err
	}
	there, tag, err := cl.ShadowBundle(ctx)
	if err != nil && !noShadow(err) {
		return err
	}
	switch {
	case c.Path == "" && there == nil && !c.Off:
		return cli.nothing("No bundle is shadowed.")
	case c.Path == "" && !c.Off:
		return show(cli, there, nil, showShadow)
	case c.Off && there == nil:
		return err
	case c.Off:
		return cli.done(cl.EndShadowBundle(ctx, tag), "The bundle is shadowed no more.")
	case there != nil && !c.Replace && !c.DryRun:
		return fmt.Errorf("%s is shadowed since %s, by %s: --replace takes its place", versionName(there.Revision, there.Digest), moment(&there.Since), plain(there.By))
	}
	packed, err := bundles.Tarball(c.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Path, err)
	}
	out, err := cl.SetShadowBundle(ctx, packed, c.Bundle, c.Sample, c.DryRun, tag)
	return show(cli, out, err, showShadow)
}

// noShadow says whether the answer is that there is none.
func noShadow(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code == "not_found"
}

func showShadow(t *table, s *authz.Shadow) {
	if s.Bundle != "" {
		t.row("bundle", s.Bundle)
	}
	name := versionName(s.Revision, s.Digest)
	for _, w := range s.Warnings {
		t.row("warning", w)
	}
	if s.DryRun {
		t.row("shadow", "would be "+name)
		return
	}
	t.row("shadow", name)
	t.row("digest", s.Digest)
	t.row("since", fmt.Sprintf("%s, by %s", moment(&s.Since), s.By))
	t.row("sample", s.Sample)
	if s.Error != "" {
		t.row("not evaluated", s.Error)
	}
	if s.CountedSince == nil {
		return
	}
	t.row("counted since", moment(s.CountedSince))
	t.row("evaluated", s.Evaluated)
	t.row("different", s.Different)
	t.amount("left out", int(s.Dropped), "of the sample")
	if len(s.Differences) == 0 {
		return
	}
	t.row()
	t.row("FROM", "TO", "REQUESTS", "FOR EXAMPLE")
	for _, d := range s.Differences {
		var examples []string
		for _, e := range d.Examples {
			one := e.RequestID
			if e.Organization != "" {
				one += " (" + e.Organization + ")"
			}
			examples = append(examples, one)
		}
		t.row(d.From, d.To, d.Requests, strings.Join(examples, ", "))
	}
}
