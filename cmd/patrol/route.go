package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/routing"
	"github.com/patrol-authz/patrol/bundles"
)

// RouteCmd holds the commands on the route table.
type RouteCmd struct {
	List     RouteListCmd     `cmd:"" help:"List the route table in the order in which it is tried."`
	Test     RouteTestCmd     `cmd:"" help:"Say which route a request takes, by the base and the bundles named."`
	Coverage RouteCoverageCmd `cmd:"" help:"Say which routes the requests of a file take, and which requests take none."`
}

// RouteListCmd lists routes.
type RouteListCmd struct{}

// Help gives an example.
func (*RouteListCmd) Help() string { return example("patrol route list") }

// Run lists them.
func (*RouteListCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	var rows []routing.Entry
	if err := cl.Routes(ctx, &rows); err != nil {
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
			t.row(methodsOf(&r), r.Pattern, queryOf(&r), r.Access, permission)
		}
	})
}

func methodsOf(e *routing.Entry) string {
	if len(e.Methods) == 0 {
		return "all"
	}
	return strings.Join(e.Methods, ", ")
}

func queryOf(e *routing.Entry) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(e.Query)) {
		list = append(list, k+"="+e.Query[k])
	}
	return dash(strings.Join(list, "&"))
}

// RouteTestCmd routes a request.
type RouteTestCmd struct {
	Method string   `arg:"" help:"The request's method."`
	Path   string   `arg:"" help:"Its path, with its query."`
	Bundle []string `placeholder:"PATH" type:"path" help:"A folder or tarball with routes of its own; may be given more than once."`
	Host   string   `help:"The request's host."`
}

// Help gives an example.
func (*RouteTestCmd) Help() string {
	return example("patrol route test GET /api/models/acme/model", "patrol route test GET /tools/acme --bundle ./policy")
}

// Run routes it.
func (c *RouteTestCmd) Run(ctx context.Context, cli *CLI) error {
	report, err := bundles.Check(ctx, gateOptions(PolicyConfig{}, nil), c.Bundle...)
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
		t.row("organizations", dash(strings.Join(route.Organizations, ", ")))
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
