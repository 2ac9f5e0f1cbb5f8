package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/redact"
	"github.com/patrol-authz/patrol/authz/routing"
	"github.com/patrol-authz/patrol/bundles"
)

// RouteSuggestCmd proposes routes.
type RouteSuggestCmd struct {
	File string `arg:"" optional:"" type:"path" help:"The same as --records."`
	recordsFlag
	Bundle       []string `placeholder:"PATH" type:"path" help:"A folder or tarball with routes of its own; may be given more than once."`
	Organization []string `placeholder:"NAME" help:"An organization, to find it in paths; may be given more than once. Those that the records name are known."`
}

// Help gives examples.
func (*RouteSuggestCmd) Help() string {
	return "Proposes entries of the route table for requests that have no route by the base and the bundles named: of recorded decisions those that were refused as route_unknown, and lines as patrol route coverage reads them (METHOD PATH, access logs as JSON). " +
		"Entries are grouped by what paths have in common; who reads needs repo.content.read, who writes repo.write. They are data for local/routes/data.yaml of a bundle (-o json: data.json), to be read before they are used: name the resource where grants are on one, and look whether each organization stands where it should. " +
		"What names no organization is not proposed: whom it should be open to, its path does not say. Nothing is proposed that would take what a route serves. Exit 0: all have one; 1: some have none, and are listed.\n\n" +
		example("patrol route suggest > ./policy/local/routes/data.yaml", "patrol route suggest requests.txt --organization acme", "patrol route coverage requests.txt --bundle ./policy")
}

// unrouted gathers requests without a route.
type unrouted struct {
	router        authz.Router
	organizations map[string]bool
	asked         []routing.Asked
	at            map[routing.Asked]int // without their number
	further       int
	malformed     int
}

// Run proposes them.
func (c *RouteSuggestCmd) Run(ctx context.Context, cli *CLI) error {
	if c.File != "" {
		if c.Records != "" {
			return usagef("give %s or --records, not both", c.File)
		}
		c.Records = c.File
	}
	report, err := bundles.Check(ctx, gateOptions(PolicyConfig{}, nil), c.Bundle...)
	if err != nil {
		return err
	}
	tally, err := newTally(report.Ruleset.Router)
	if err != nil {
		return err
	}
	u := &unrouted{router: report.Ruleset.Router, organizations: map[string]bool{}, at: map[routing.Asked]int{}}
	for _, name := range c.Organization {
		u.organizations[inventory.Fold(name)] = true
	}
	if err := c.each(ctx, cli, func(place string, text []byte) error {
		if err := u.add(string(text)); err != nil {
			return usagef("%s: %w", place, err)
		}
		return nil
	}); err != nil {
		return err
	}
	found, left := tally.table.Suggest(u.asked, u.organizations)
	if err := printSuggestions(cli, found); err != nil {
		return err
	}
	return u.tell(found, left)
}

// add takes note of a line: of a request without a route, and of the organizations
// that others name.
func (u *unrouted) add(line string) error {
	q, err := askedIn(line)
	if err != nil {
		return err
	}
	reason := ""
	if strings.HasPrefix(line, "{") {
		reason = u.learn([]byte(line))
	}
	route, err := u.router.Route(q)
	var malformed *authz.Refusal
	switch {
	case errors.As(err, &malformed):
		if reason == "" {
			u.malformed++
		}
		return nil
	case err != nil:
		return err
	case route != nil:
		for _, name := range route.Organizations {
			u.organizations[inventory.Fold(name)] = true
		}
		return nil
	case reason != "" && reason != authz.ReasonRouteUnknown:
		return nil
	}
	path, _, _ := strings.Cut(q.path, "?")
	one := routing.Asked{Method: q.method, Path: path}
	at, known := u.at[one]
	switch {
	case known:
		u.asked[at].Requests++
	case len(u.asked) == mostUncovered:
		u.further++
	default:
		u.at[one] = len(u.asked)
		one.Requests = 1
		u.asked = append(u.asked, one)
	}
	return nil
}

// learn takes note of the organizations that a record names, and returns its reason.
func (u *unrouted) learn(line []byte) string {
	r, err := readRecord(line)
	if err != nil {
		return "" // a line of another log
	}
	var facts struct {
		Token struct {
			Grants []authz.Grant `json:"grants"`
		} `json:"token"`
	}
	_ = json.Unmarshal(r.Facts, &facts)
	names := []string{r.Organization}
	for _, g := range facts.Token.Grants {
		name, _, _ := strings.Cut(g.Entity.Name, "/")
		names = append(names, name)
	}
	for _, name := range names {
		if name != "" {
			u.organizations[inventory.Fold(name)] = true
		}
	}
	return r.Reason
}

// printSuggestions writes entries as the data of a bundle.
func printSuggestions(cli *CLI, found []routing.Suggestion) error {
	entries := make([]routing.Entry, len(found))
	for i := range found {
		entries[i] = found[i].Entry
		entries[i].Access = "" // the default
	}
	if cli.Output == "json" {
		return cli.print(entries, nil)
	}
	if len(entries) == 0 {
		fmt.Println("[]")
		return nil
	}
	for i := range entries {
		text, err := json.Marshal(entries[i : i+1])
		if err != nil {
			return err
		}
		lines, err := yaml.JSONToYAML(text)
		if err != nil {
			return err
		}
		shown := make([]string, len(found[i].Examples))
		for j, path := range found[i].Examples {
			shown[j] = redact.Text(path)
		}
		fmt.Printf("# %s, such as %s\n%s", counted(found[i].Requests, "request"), plain(strings.Join(shown, ", ")), lines)
	}
	return nil
}

// tell says on standard error what was proposed, and what has no entry.
func (u *unrouted) tell(found []routing.Suggestion, left []routing.Asked) error {
	without, all := u.further, u.further
	for _, a := range u.asked {
		all += a.Requests
	}
	for _, a := range left {
		without += a.Requests
	}
	fmt.Fprintf(os.Stderr, "%s without a route; %s proposed for %d\n", counted(all, "request"), entriesOf(len(found)), all-without)
	if u.malformed > 0 {
		fmt.Fprintf(os.Stderr, "%s malformed\n", counted(u.malformed, "request"))
	}
	if without == 0 {
		return nil
	}
	slices.SortStableFunc(left, func(a, b routing.Asked) int { return b.Requests - a.Requests })
	const shown = 20
	for _, a := range left[:min(len(left), shown)] {
		fmt.Fprintf(os.Stderr, "  %d %s %s\n", a.Requests, plain(redact.Text(a.Method)), plain(redact.Text(a.Path)))
	}
	return fmt.Errorf("%s without an entry: name the organizations in their paths by --organization, or write their entries", counted(without, "request"))
}

func entriesOf(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
