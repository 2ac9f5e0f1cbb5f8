package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/routing"
	"github.com/patrol-authz/patrol/bundles"
	"github.com/patrol-authz/patrol/rego"
)

// PolicyCmd holds the commands on token policies.
type PolicyCmd struct {
	List  PolicyListCmd  `cmd:"" help:"List the token policies of the active bundle. Example: patrol policy list"`
	Test  PolicyTestCmd  `cmd:"" help:"Run the Rego tests of a bundle, over the base. Example: patrol policy test ./policy"`
	Check PolicyCheckCmd `cmd:"" help:"Send a bundle through the gate without activating it. Example: patrol policy check ./policy"`
}

// gateOptions are the gate's options, the same for the server and for checks.
func gateOptions(decisions []string, expose bool, headers []string) bundles.Options {
	return bundles.Options{
		Base: rego.Base(), Schema: rego.Schema(),
		Build: func(ctx context.Context, c bundles.Compiled) (authz.Evaluator, error) {
			return engine.NewTopdown(ctx, engine.Options{
				Compiler: c.Compiler, Store: c.Store, Decisions: decisions, ExposeCredential: expose, CredentialHeaders: headers,
			})
		},
		Router: func(data map[string]any) (authz.Router, error) { return routing.FromData(data) },
	}
}

// PolicyListCmd lists token policies.
type PolicyListCmd struct{}

// Run lists them.
func (*PolicyListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	var rows []authz.TokenPolicy
	if err := cl.Do(ctx, "GET", "/api/policies", nil, &rows); err != nil {
		return err
	}
	return cli.print(rows, func(t *table) {
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

// Run runs them.
func (c *PolicyTestCmd) Run(ctx context.Context, cli *CLI) error {
	report, err := bundles.Test(ctx, gateOptions(nil, false, nil), c.Paths...)
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

// Run checks it.
func (c *PolicyCheckCmd) Run(ctx context.Context, cli *CLI) error {
	report, err := bundles.Check(ctx, gateOptions(nil, false, nil), c.Paths...)
	if err != nil {
		return err
	}
	r := report.Ruleset
	return cli.print(map[string]any{"revision": r.Revision, "policies": r.Policies, "warnings": report.Warnings, "evaluator": r.Evaluator.Name()}, func(t *table) {
		t.row("ok", "revision "+r.Revision+", evaluated by "+r.Evaluator.Name())
		for _, p := range r.Policies {
			t.row("policy", p.Name)
		}
		for _, w := range report.Warnings {
			t.row("warning", w)
		}
	})
}

// BundleCmd holds the commands on bundles.
type BundleCmd struct {
	Status BundleStatusCmd `cmd:"" help:"Show what is active, and why what is not. Example: patrol bundle status"`
}

// BundleStatusCmd shows the status of bundles.
type BundleStatusCmd struct{}

// Run shows it.
func (*BundleStatusCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	var rows []bundles.Status
	if err := cl.Do(ctx, "GET", "/api/bundles", nil, &rows); err != nil {
		return err
	}
	return cli.print(rows, func(t *table) {
		t.row("BUNDLE", "SOURCE", "REVISION", "ACTIVE SINCE", "NOTE")
		for _, r := range rows {
			note := r.Error
			if r.LastGood {
				note = "the last good one serves; " + note
			}
			t.row(r.Name, r.Source, dash(r.Revision), day(r.LastSuccess), dash(note))
			for _, w := range r.Warnings {
				t.row("", "", "", "", "warning: "+w)
			}
		}
	})
}

// RouteCmd holds the commands on the route table.
type RouteCmd struct {
	List RouteListCmd `cmd:"" help:"List the route table in the order in which it is tried. Example: patrol route list"`
	Test RouteTestCmd `cmd:"" help:"Say which route a request takes, by the base and the bundles named. Example: patrol route test GET /api/models/acme/model"`
}

// RouteListCmd lists routes.
type RouteListCmd struct{}

// Run lists them.
func (*RouteListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	var rows []routing.Entry
	if err := cl.Do(ctx, "GET", "/api/routes", nil, &rows); err != nil {
		return err
	}
	return cli.print(rows, func(t *table) {
		t.row("METHODS", "PATTERN", "QUERY", "ACCESS", "PERMISSION")
		for _, r := range rows {
			permission := "-"
			if r.Permission != nil {
				permission = r.Permission.Value
				if permission == "" {
					permission = "from " + r.Permission.From + " " + r.Permission.Name
				}
			}
			query := ""
			for k, v := range r.Query {
				query += k + "=" + v
			}
			methods := fmt.Sprint(r.Methods)
			if len(r.Methods) == 0 {
				methods = "all"
			}
			t.row(methods, r.Pattern, dash(query), r.Access, permission)
		}
	})
}

// RouteTestCmd routes a request.
type RouteTestCmd struct {
	Method string   `arg:""`
	Path   string   `arg:""`
	Bundle []string `type:"path" help:"A folder or tarball with routes of its own; may be given more than once."`
	Host   string   `help:"The request's host."`
}

// Run routes it.
func (c *RouteTestCmd) Run(ctx context.Context, cli *CLI) error {
	report, err := bundles.Check(ctx, gateOptions(nil, false, nil), c.Bundle...)
	if err != nil {
		return err
	}
	route, err := report.Ruleset.Router.Route(&asked{method: c.Method, path: c.Path, host: c.Host})
	if err != nil {
		return err
	}
	if route == nil {
		return errors.New("no route matches: route_unknown")
	}
	return cli.print(route, func(t *table) {
		t.row("pattern", route.Pattern)
		t.row("access", route.Access)
		t.row("permission", dash(route.Permission))
		t.row("organizations", fmt.Sprint(route.Organizations))
		if route.Resource != nil {
			t.row("resource", route.Resource.Type+" "+route.Resource.Name)
		}
	})
}

// asked is a request of which only the first line matters.
type asked struct{ method, path, host string }

func (a *asked) Method() string                     { return a.method }
func (a *asked) Path() string                       { return a.path }
func (a *asked) Host() string                       { return a.host }
func (*asked) Scheme() string                       { return "" }
func (*asked) Protocol() string                     { return "" }
func (*asked) ID() string                           { return "" }
func (*asked) Header(string) (string, int)          { return "", 0 }
func (*asked) EachHeader(func(string, string) bool) {}
func (*asked) Body() authz.Body                     { return authz.Body{} }
func (*asked) Extension(string) (string, bool)      { return "", false }
func (*asked) Source() authz.Peer                   { return authz.Peer{} }
func (*asked) Destination() authz.Peer              { return authz.Peer{} }
func (*asked) Attributes() (map[string]any, error)  { return nil, nil }
