package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/redact"
	"github.com/patrol-authz/patrol/authz/routing"
	"github.com/patrol-authz/patrol/bundles"
)

// RouteCoverageCmd says which routes requests take.
type RouteCoverageCmd struct {
	File   string   `arg:"" type:"path" help:"A file with a request a line; - for standard input."`
	Bundle []string `placeholder:"PATH" type:"path" help:"A folder or tarball with routes of its own; may be given more than once."`
	All    bool     `help:"Show the routes that no request takes, too."`
}

// Help gives examples.
func (*RouteCoverageCmd) Help() string {
	return "Each line is METHOD PATH, METHOD URL, or a JSON object: one with method, path and host, one that has such an object under request, as patrol why -o json prints it, or an event of OPA's decision log. " +
		"Says how many requests each route serves, by the base and the bundles named, and which requests none serves. Paths are shown without their query. " +
		"Exit 1: a request has no route, or is malformed.\n\n" +
		example("patrol route coverage requests.txt --bundle ./policy", `jq -r '"\(.method) \(.path)"' access.log | patrol route coverage -`)
}

// routeCoverage is which routes were taken.
type routeCoverage struct {
	Requests int            `json:"requests"`
	Routes   []coveredRoute `json:"routes"`
	// ByRule are the requests for which a rule of the bundle names the route.
	ByRule    int             `json:"by_rule"`
	Unrouted  []uncoveredPath `json:"unrouted"`
	Malformed []uncoveredPath `json:"malformed"`
	// Further requests are without a route, or malformed, and are not listed.
	Further int `json:"further,omitempty"`
}

// coveredRoute is an entry of the route table, with how often it was taken.
type coveredRoute struct {
	Requests int `json:"requests"`
	*routing.Entry
}

// uncoveredPath is what no route serves.
type uncoveredPath struct {
	Requests int    `json:"requests"`
	Method   string `json:"method"`
	Path     string `json:"path"`
	Problem  string `json:"problem,omitempty"`
}

// mostUncovered bounds how many different paths without a route are listed.
const mostUncovered = 1000

// Run tells.
func (c *RouteCoverageCmd) Run(ctx context.Context, cli *CLI) error {
	report, err := bundles.Check(ctx, gateOptions(PolicyConfig{}, nil), c.Bundle...)
	if err != nil {
		return err
	}
	tally, err := newTally(report.Ruleset.Router)
	if err != nil {
		return err
	}
	name, in := "standard input", io.Reader(os.Stdin)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		name, in = c.File, f
	}
	if err := eachRequest(in, func(line int, r *asked, err error) error {
		if err == nil {
			err = tally.add(r)
		}
		if err != nil {
			return usagef("%s:%d: %w", name, line, err)
		}
		return nil
	}); err != nil {
		return err
	}
	out := tally.coverage()
	if out.Requests == 0 {
		return usagef("%s: there is no request in it", name)
	}
	if err := cli.print(out, func(t *table) { out.show(t, c.All) }); err != nil {
		return err
	}
	if missed := out.missed(); missed > 0 {
		return fmt.Errorf("%d of %d requests have no route", missed, out.Requests)
	}
	return nil
}

// missed are the requests without a route.
func (c *routeCoverage) missed() int {
	n := c.Further
	for _, u := range append(slices.Clone(c.Unrouted), c.Malformed...) {
		n += u.Requests
	}
	return n
}

func (c *routeCoverage) show(t *table, all bool) {
	t.row("REQUESTS", "METHODS", "PATTERN", "QUERY")
	hidden := 0
	for _, r := range c.Routes {
		if r.Requests == 0 && !all {
			hidden++
			continue
		}
		t.row(r.Requests, methodsOf(r.Entry), r.Pattern, queryOf(r.Entry))
	}
	if c.ByRule > 0 {
		t.row(c.ByRule, "", "data.local.routing.route", "-")
	}
	for _, u := range append(slices.Clone(c.Unrouted), c.Malformed...) {
		t.row(u.Requests, u.Method, u.Path, cmp.Or(u.Problem, "no route"))
	}
	if c.Further > 0 {
		t.row(c.Further, "", "further requests without a route", "")
	}
	if hidden > 0 {
		t.row(fmt.Sprintf("%d of %d routes are taken by none: --all", hidden, len(c.Routes)))
	}
}

// tally counts requests by the route that serves them.
type tally struct {
	table     *routing.Router
	rule      func(authz.Request) (*authz.Route, error) // nil: none
	out       routeCoverage
	taken     map[*routing.Entry]int
	uncovered map[uncoveredPath]int
}

func newTally(r authz.Router) (*tally, error) {
	t := &tally{taken: map[*routing.Entry]int{}, uncovered: map[uncoveredPath]int{}}
	switch r := r.(type) {
	case *routing.Router:
		t.table = r
	case *routing.Sources:
		t.table, t.rule = r.Router, r.Rule
	default:
		return nil, errors.New("the bundle has no route table")
	}
	return t, nil
}

// add counts a request. Which route serves it does not need its body or headers.
func (t *tally) add(r *asked) error {
	t.out.Requests++
	entry, err := t.table.Entry(r)
	var malformed *authz.Refusal
	switch {
	case errors.As(err, &malformed):
		t.miss(r, malformed.Detail)
		return nil
	case err != nil:
		return err
	}
	if t.rule != nil {
		route, err := t.rule(r)
		if err != nil {
			return fmt.Errorf("data.local.routing.route: %w", err)
		}
		if route != nil {
			t.out.ByRule++
			return nil
		}
	}
	if entry == nil {
		t.miss(r, "")
		return nil
	}
	t.taken[entry]++
	return nil
}

// miss notes what no route serves: without the query, which may hold anything.
func (t *tally) miss(r *asked, problem string) {
	path, _, _ := strings.Cut(r.path, "?")
	u := uncoveredPath{Method: redact.Text(r.method), Path: redact.Text(path), Problem: problem}
	if _, known := t.uncovered[u]; !known && len(t.uncovered) == mostUncovered {
		t.out.Further++
		return
	}
	t.uncovered[u]++
}

func (t *tally) coverage() *routeCoverage {
	out := &t.out
	out.Routes, out.Unrouted, out.Malformed = []coveredRoute{}, []uncoveredPath{}, []uncoveredPath{}
	for e := range t.table.Each {
		out.Routes = append(out.Routes, coveredRoute{t.taken[e], e})
	}
	for u, n := range t.uncovered {
		u.Requests = n
		if u.Problem == "" {
			out.Unrouted = append(out.Unrouted, u)
		} else {
			out.Malformed = append(out.Malformed, u)
		}
	}
	for _, list := range [][]uncoveredPath{out.Unrouted, out.Malformed} {
		slices.SortFunc(list, func(a, b uncoveredPath) int {
			return cmp.Or(b.Requests-a.Requests, cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
	}
	return out
}

// eachRequest hands on the requests of some lines; empty ones, and those that
// begin with #, are none.
func eachRequest(in io.Reader, f func(line int, r *asked, err error) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	n := 0
	for lines.Scan() {
		n++
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		r, err := askedIn(text)
		if err := f(n, r, err); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return f(n+1, nil, fmt.Errorf("cannot be read: %w", err))
	}
	return nil
}

// request is one of a JSON line.
type request struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Host   string `json:"host"`
}

// askedIn reads a line's request.
func askedIn(line string) (*asked, error) {
	if strings.HasPrefix(line, "{") {
		var l struct {
			request
			Request request `json:"request"`
			Input   struct {
				Attributes struct {
					Request struct {
						HTTP request `json:"http"`
					} `json:"request"`
				} `json:"attributes"`
			} `json:"input"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return nil, fmt.Errorf("is no JSON object of a request: %w", err)
		}
		for _, r := range []request{l.request, l.Request, l.Input.Attributes.Request.HTTP} {
			if r.Method != "" && r.Path != "" {
				return &asked{method: r.Method, path: r.Path, host: r.Host}, nil
			}
		}
		return nil, errors.New("has no method and path: {\"method\": …, \"path\": …}, under request, or an event of OPA's decision log")
	}
	method, path, ok := strings.Cut(line, " ")
	path = strings.TrimSpace(path)
	if !ok || path == "" || strings.ContainsAny(path, " \t") {
		return nil, errors.New("is neither METHOD PATH nor a JSON object")
	}
	if strings.HasPrefix(path, "/") {
		return &asked{method: method, path: path}, nil
	}
	scheme, rest, ok := strings.Cut(path, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return nil, errors.New("names no path that begins with / and no URL")
	}
	host, path, found := strings.Cut(rest, "/")
	if host == "" {
		return nil, errors.New("names no host in its URL")
	}
	if !found {
		path = ""
	}
	return &asked{method: method, path: "/" + path, host: host}, nil
}
