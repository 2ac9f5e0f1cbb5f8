package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

// TestEveryClientMeetsEveryCell asks, with real clients through the real Envoy,
// for each cell of the policy table and for each other reason that a client can
// meet. What the client shows must hold the sentence of the reason, and Envoy's
// access log the reason itself.

// cell is one question. Its repository has a name of its own for each client, by
// which the access log's line is found.
type cell struct {
	organization, token string // token "" asks without
	want                string
	write, unrouted     bool
	after               time.Duration
}

// tableCells are the cases table-*.json: policies × kinds × states.
func tableCells(t *testing.T) []cell {
	t.Helper()
	path := regexp.MustCompile(`^/api/models/([^/]+)/model$`)
	bearer := regexp.MustCompile(`^Bearer \{?([^{}]+)\}?$`)
	var cells []cell
	for _, c := range loadCases(t) {
		if !strings.HasPrefix(c.id, "table-") {
			continue
		}
		m := path.FindStringSubmatch(c.Request.Path)
		if m == nil || c.Request.Method != "GET" {
			t.Fatalf("%s is no cell: %+v", c.id, c.Request)
		}
		one := cell{organization: m[1], want: c.Want.Reason}
		for _, h := range c.Request.Headers {
			one.token = bearer.FindStringSubmatch(h[1])[1]
		}
		cells = append(cells, one)
	}
	return cells
}

// otherCells are the reasons that the table does not hold.
var otherCells = []cell{
	{organization: "nowhere", token: "bob_read", want: "organization_unknown"},
	{organization: "open-lab", token: "bob_fine", want: "route_unknown", unrouted: true},
	{organization: "limits-gmbh", token: "bob_fine", want: "lifetime_exceeded"},
	{organization: "open-lab", token: "carol_write", want: "insufficient_permission", write: true},
	{organization: "open-lab", token: "bob_write", want: "allowed", write: true},
	{organization: "open-lab", token: "bob_read,", want: "credential_malformed"},
	{organization: "watch-inc", token: "bob_fine", want: "observed"},
	{organization: "soon-ltd", token: "bob_write", want: "grace_period"},
	{organization: "vetoed", token: "bob_write", want: "policy_denied"},
	{organization: "acme", token: "bob_until", want: "approval_pending", after: 49 * time.Hour},
	{organization: "open-lab", token: "bob_expiring", want: "token_expired", after: 50 * time.Hour},
	{organization: "soon-ltd", token: "bob_write", want: "token_type_not_allowed", after: 721 * time.Hour},
}

// tableOverlay has a route for gRPC, where the base has none, and an operator's
// rule.
var tableOverlay = map[string]string{
	"local/deny.rego": "package local\n\ndeny if input.organization.name == \"vetoed\"\n",
	"local/routes/data.json": `[{"pattern": "/hub.v1.Read/{method}", "methods": ["POST"], "permission": "repo.content.read", "organizations": {"from": "header", "name": "x-organization"}},
		{"pattern": "/hub.v1.Write/{method}", "methods": ["POST"], "permission": "repo.write", "organizations": {"from": "header", "name": "x-organization"}}]`,
}

// showing is what a client came to: whether it was let through, and all that it
// showed.
type showing struct {
	through bool
	shown   string
}

type tableClient struct {
	name string
	// silent gives reasons whose sentence this client never shows.
	silent map[string]bool
	// omit gives reasons that this client cannot meet, and why.
	omit map[string]string
	ask  func(t *testing.T, e *tableEdge, c cell, name string) showing
}

type tableEdge struct {
	*world
	*envoy.Process
	hub *hubServer
	git string // a clone, for git-lfs
	oid string // of the object in it
	hf  *huggingface
}

func (e *tableEdge) raw(token string) string {
	secret, known := e.secrets[strings.TrimSuffix(token, ",")]
	if !known {
		return token
	}
	return secret.Reveal() + strings.Repeat(",", strings.Count(token, ","))
}

func TestEveryClientMeetsEveryCell(t *testing.T) {
	dir := overlay(t, tableOverlay)
	w := startApp(t, func(c *Config) { c.Policy.Bundles = []string{dir} })
	w.populate(t, filepath.Join(casesDir, "world.json"))
	for _, step := range []string{
		`{"do": "organization.create", "Name": "vetoed", "TokenPolicy": "allow_user_access_tokens"}`,
		`{"do": "member.add", "Organization": "vetoed", "User": "bob", "Role": "write"}`,
	} {
		if err := w.step(t, json.RawMessage(step)); err != nil {
			t.Fatal(err)
		}
	}
	hub := startHub(t)
	e := &tableEdge{world: w, hub: hub, Process: envoytest.Start(t, envoy.Config{File: envoy.Strict, Patrol: w.listeners[0].Addr().String(), Upstream: hub.address()})}
	hub.edge = e.Address
	e.prepareGit(t)
	e.hf = startHuggingface(t, e.Address)
	counts, reasons := map[string]int{}, map[string]map[string]bool{}
	for i, c := range append(tableCells(t), otherCells...) {
		e.after(t, c.after)
		for _, client := range tableClients {
			if client.omit[c.want] != "" {
				continue
			}
			name := fmt.Sprintf("m%d-%s", i, client.name)
			e.hold(t, client, c, name)
			counts[client.name]++
			if reasons[client.name] == nil {
				reasons[client.name] = map[string]bool{}
			}
			reasons[client.name][c.want] = true
		}
	}
	for _, client := range tableClients {
		count(t, "%s: %d cells, %d reasons", client.name, counts[client.name], len(reasons[client.name]))
		for code, r := range w.Bundles.Ruleset().Catalogue {
			if !r.Allow && !reasons[client.name][code] && client.omit[code] == "" {
				t.Errorf("%s never met %s", client.name, code)
			}
		}
		if counts[client.name] < 75 {
			t.Errorf("%s showing %d cells; at least 75 are wanted", client.name, counts[client.name])
		}
	}
}

// hold asks and compares: the client's own word, the sentence, the access log.
func (e *tableEdge) hold(t *testing.T, client tableClient, c cell, name string) {
	t.Helper()
	got := client.ask(t, e, c, name)
	what := fmt.Sprintf("%s, %s on %s, %s", client.name, c.token, c.organization, c.want)
	entry := e.Bundles.Ruleset().Catalogue.Get(c.want)
	if got.through != entry.Allow {
		t.Errorf("%s: let through %t, and shows:\n%s", what, got.through, got.shown)
	}
	if sentence := e.sentence(c, name); !entry.Allow && !client.silent[c.want] && !strings.Contains(flat(got.shown), flat(sentence)) {
		t.Errorf("%s does not show %q, but:\n%s", what, sentence, got.shown)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	line, err := e.WaitAccess(ctx, func(l envoy.AccessLine) bool { return strings.Contains(l.Path, name) && l.AuthzReason == c.want })
	if err != nil {
		t.Errorf("%s: the access log tells no %s: %v", what, c.want, err)
	}
	if entry.Allow && line.Upstream == "" {
		t.Errorf("%s: allowed, and never sent on: %+v", what, line)
	}
}

// flat takes line breaks, and the marks that git sets at each, out of a text.
func flat(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "remote:", " ")), " ")
}

// sentence is what the catalogue says of a cell, up to what depends on the time.
func (e *tableEdge) sentence(c cell, name string) string {
	entry := e.Bundles.Ruleset().Catalogue.Get(c.want)
	text := entry.Sentence
	for _, end := range []string{" {method}", "{since}", "{asked}", "{expires_at}", "{detail}", " on {resource}"} {
		text, _, _ = strings.Cut(text, end)
	}
	permission := "repo.content.read"
	if c.write {
		permission = "repo.write"
	}
	token := e.issued[c.token]
	display := fmt.Sprintf("%q (...%s)", token.DisplayName, token.Last4)
	return strings.NewReplacer("{token}", display, "{organization}", c.organization, "{asked_organization}", c.organization, "{kind}", token.Kind, "{permission}", permission,
		"{resource}", "model "+c.organization+"/"+name).Replace(text)
}
