package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/decide"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/bundles"
)

// PolicySimulateCmd judges recorded decisions by another bundle.
type PolicySimulateCmd struct {
	Bundle []string `arg:"" type:"path" help:"Folders or tarballs, over the base bundle."`
	recordsFlag
}

// Help gives examples.
func (*PolicySimulateCmd) Help() string {
	return "Judges each recorded decision again, on the facts that it was made on and at its time, by the base and the bundles named, and says what would come out otherwise: by organization, from which reason to which, with ids of requests. " +
		"A record is a line as patrol why -o json prints it, as the server keeps refusals in its data directory's folder refusals, or a case of patrol policy record, which has allows too. " +
		"Of a request its method, path, host, names of the query's parameters and a few headers are kept: where rules read more, or routes ask for facts that were not gathered, the record cannot be judged, which is never an allow. Rules reach no network. " +
		"Exit 0: nothing changes; 1: something does; 2: it failed, or a record could not be judged.\n\n" +
		example("patrol policy simulate ./policy", "patrol policy record --for 10m > cases.jsonl", "patrol policy simulate ./policy --records cases.jsonl")
}

// Run judges them.
func (c *PolicySimulateCmd) Run(ctx context.Context, cli *CLI) error {
	out, err := c.simulate(ctx, cli)
	if err != nil {
		return usage{err} // as diff has it: 1 says that there is a difference
	}
	if out.Records == 0 {
		return usagef("there is no record to judge")
	}
	if err := cli.print(out, func(t *table) { showSimulation(t, out) }); err != nil {
		return usage{err}
	}
	switch {
	case out.Unjudged > 0:
		return usagef("%d of %s could not be judged", out.Unjudged, counted(out.Records, "record"))
	case out.Changed > 0:
		return refused{errors.New("something changes")}
	}
	return nil
}

func (c *PolicySimulateCmd) simulate(ctx context.Context, cli *CLI) (*preview.Simulation, error) {
	report, err := bundles.Check(ctx, gateOptions(PolicyConfig{}, nil), c.Bundle...)
	if err != nil {
		return nil, err
	}
	readsQuery := readsQuery(report.Ruleset.Evaluator)
	out := preview.NewSimulation(report.Ruleset, again)
	var told progress
	defer told.end()
	err = c.each(ctx, cli, func(place string, text []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := readRecord(text)
		var one *preview.Recorded
		if err == nil {
			one, err = r.recorded(readsQuery)
		}
		if err != nil {
			out.Fail(err, place)
		} else {
			out.Add(ctx, one, place)
		}
		told.show("judged", out.Records)
		return nil
	})
	out.Finish()
	return out, err
}

// again decides on recorded facts by other rules.
func again(ctx context.Context, rules *authz.Ruleset, f *authz.Facts) (authz.Decision, error) {
	q, ok := f.Request.(decide.Replayed)
	if !ok {
		return authz.Decision{}, errors.New("the request is no recorded one")
	}
	return decide.Again(ctx, rules, f, q)
}

// readsQuery says whether a policy can read a request's query, of which records
// hold the names alone.
func readsQuery(e authz.Evaluator) bool {
	policy, ok := e.(interface{ Fields() *input.Fields })
	if !ok {
		return true
	}
	f := policy.Fields()
	return f.At("parsed_query") != nil || f.At("attributes", "request", "http", "path") != nil
}

func showSimulation(t *table, s *preview.Simulation) {
	t.row("bundle", s.Revision)
	t.row("records", strings.TrimSpace(fmt.Sprintf("%d %s", s.Records, fromTo(s.Since, s.Until))))
	t.row("judged", s.Judged)
	t.row("would change", s.Changed)
	for _, n := range []struct {
		name string
		n    int
		what string
	}{
		{"breaks", s.Breaks, "allowed, and would be refused"},
		{"starts", s.Starts, "refused, and would be allowed"},
		{"other reason", s.Reworded, "as before, for another reason"},
		{"before the policy", s.BeforePolicy, "refused before a policy is asked"},
		{"not judged", s.Unjudged, ""},
	} {
		t.amount(n.name, n.n, n.what)
	}
	if len(s.Changes) > 0 {
		t.row()
		t.row("ORGANIZATION", "OUTCOME", "FROM", "TO", "REQUESTS", "FOR EXAMPLE")
	}
	for _, c := range s.Changes {
		t.row(dash(c.Organization), c.Outcome, c.From, c.To, c.Requests, strings.Join(c.Examples, ", "))
	}
	if len(s.Errors) > 0 {
		t.row()
		t.row("RECORDS", "NOT JUDGED BECAUSE", "FOR EXAMPLE")
	}
	for _, e := range s.Errors {
		t.row(e.Records, e.Error, strings.Join(e.Places, ", "))
	}
}
