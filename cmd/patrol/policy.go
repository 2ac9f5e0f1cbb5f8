package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/routing"
	"github.com/patrol-authz/patrol/authz/sources"
	"github.com/patrol-authz/patrol/bundles"
	"github.com/patrol-authz/patrol/rego"
)

// PolicyCmd holds the commands on token policies.
type PolicyCmd struct {
	List  PolicyListCmd  `cmd:"" help:"List the token policies of the active bundle."`
	Test  PolicyTestCmd  `cmd:"" help:"Run the Rego tests of a bundle, over the base."`
	Check PolicyCheckCmd `cmd:"" help:"Send a bundle through the gate without activating it."`
	Eval  PolicyEvalCmd  `cmd:"" help:"Evaluate a Rego query against a bundle, with an input."`
	Fmt   PolicyFmtCmd   `cmd:"" help:"Format Rego files."`
	New   PolicyNewCmd   `cmd:"" help:"Begin a token policy, with its test beside it."`
}

// askedOften are entries that requests, or each token of many, ask.
var askedOften = []string{sources.Entry(authz.SourceJWT), sources.Entry(authz.SourceIntrospection), hygiene.Entry, reviewEntry}

// gateOptions are the gate's options, the same for the server and for checks,
// which watch nothing.
func gateOptions(p PolicyConfig, w *engine.Watch) bundles.Options {
	return bundles.Options{
		Base: rego.Base(), Schema: rego.Schema(),
		Build: func(ctx context.Context, c bundles.Compiled) (authz.Evaluator, error) {
			return engine.New(ctx, engine.Options{
				Compiler: c.Compiler, Store: c.Store, Decisions: p.Decisions, Mode: p.Evaluator, Schema: rego.Schema(), Watch: w,
				ExposeCredential: p.ExposeCredential, CredentialHeaders: p.CredentialHeaders,
			})
		},
		Asker: func(ctx context.Context, c bundles.Compiled, e authz.Evaluator) authz.Asker {
			return engine.NewAsker(ctx, engine.Options{Compiler: c.Compiler, Store: c.Store, Watch: w, Entries: askedOften}, e)
		},
		Router:  func(data map[string]any) (authz.Router, error) { return routing.FromData(data) },
		Sources: routeSources(p.ContextExtensions, p.ExposeCredential, p.CredentialHeaders),
	}
}

// routeSources puts an overlay's rule before the route table, and keys of
// context_extensions behind it.
func routeSources(extensions []string, expose bool, headers []string) func(context.Context, bundles.Compiled, authz.Router) (authz.Router, error) {
	return func(ctx context.Context, c bundles.Compiled, table authz.Router) (authz.Router, error) {
		rule, err := engine.NewRoutes(ctx, engine.Options{Compiler: c.Compiler, Store: c.Store, ExposeCredential: expose, CredentialHeaders: headers})
		if err != nil {
			return nil, err
		}
		entries, isTable := table.(*routing.Router)
		if !isTable || rule == nil && len(extensions) == 0 {
			return table, nil
		}
		s := &routing.Sources{Router: entries, Extensions: extensions}
		if rule != nil {
			s.Rule = rule.Route
		}
		return s, nil
	}
}

// PolicyListCmd lists token policies.
type PolicyListCmd struct{}

// Help gives an example.
func (*PolicyListCmd) Help() string { return example("patrol policy list") }

// Run lists them.
func (*PolicyListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.Policies(ctx)
	return list(cli, rows, err, "No policy.", func(t *table, rows []authz.TokenPolicy) {
		t.row("POLICY", "READ, WRITE TOKENS", "FINE-GRAINED TOKENS", "TITLE")
		for _, r := range rows {
			t.row(r.Name, dash(r.Unscoped), dash(r.FineGrained), r.Title)
		}
	})
}

// PolicyTestCmd runs Rego tests.
type PolicyTestCmd struct {
	Paths []string `arg:"" optional:"" type:"path" help:"Folders or tarballs; by default the base bundle."`
}

// Help gives an example.
func (*PolicyTestCmd) Help() string { return example("patrol policy test ./policy") }

// Run runs them.
func (c *PolicyTestCmd) Run(ctx context.Context, cli *CLI) error {
	report, err := bundles.Test(ctx, gateOptions(PolicyConfig{}, nil), c.Paths...)
	if err != nil {
		return err
	}
	err = cli.print(report, func(t *table) {
		for _, f := range report.Failed {
			t.row("FAILED", f)
		}
		t.row(fmt.Sprintf("%d passed, %d failed, coverage %.1f %%", report.Passed, len(report.Failed), report.Coverage))
		for _, n := range report.NotCovered {
			t.row("not covered: " + n)
		}
	})
	if err == nil && (len(report.Failed) > 0 || report.Passed == 0) {
		err = refused{errors.New("tests failed")}
		if report.Passed == 0 && len(report.Failed) == 0 {
			err = errors.New("no test was found: name rules test_… in files …_test.rego")
		}
	}
	return err
}

// PolicyCheckCmd checks a bundle.
type PolicyCheckCmd struct {
	Paths []string `arg:"" optional:"" type:"path" help:"Folders or tarballs; by default the base bundle alone."`
}

// Help gives an example.
func (*PolicyCheckCmd) Help() string { return example("patrol policy check ./policy") }

// Run checks it.
func (c *PolicyCheckCmd) Run(ctx context.Context, cli *CLI) error {
	report, err := bundles.Check(ctx, gateOptions(PolicyConfig{}, nil), c.Paths...)
	if err != nil {
		return err
	}
	r := report.Ruleset
	why := bundles.EvaluatorWhy(r)
	return cli.print(map[string]any{
		"revision": r.Revision, "policies": r.Policies, "warnings": report.Warnings, "evaluator": r.Evaluator.Name(), "evaluator_why": why,
	}, func(t *table) {
		t.row("ok", "revision "+r.Revision+", evaluated by "+r.Evaluator.Name())
		if why != "" {
			t.row("not compiled", why)
		}
		for _, p := range r.Policies {
			t.row("policy", p.Name)
		}
		for _, w := range report.Warnings {
			t.row("warning", w)
		}
	})
}
