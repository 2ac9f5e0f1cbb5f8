// Package envoytest runs a real Envoy in a test: a test that needs one fails
// where there is none, it never skips.
package envoytest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/deploy/envoy"
	"github.com/patrol-authz/patrol/test/canary"
)

// Parts of our configurations that a test takes out, to see what Envoy does
// without them, or what patrol alone refuses.
const (
	// Mutations are the rules of what an answer may change of a request.
	Mutations = "              decoder_header_mutation_rules:\n                disallow_all: true\n" +
		"                allow_expression: {regex: \"x-patrol-.*|authorization|x-api-key|x-auth-token|private-token\"}\n"
	// Validation refuses answers whose headers are no HTTP.
	Validation = "              validate_mutations: true\n"
	// StatusOnError is what clients get where there is no answer.
	StatusOnError = "              status_on_error: {code: ServiceUnavailable}\n"
)

// Start runs Envoy with a configuration on free ports until the test ends. Texts
// of it may be replaced, in pairs of old and new; each old one must be there once.
func Start(t testing.TB, c envoy.Config, replace ...string) *envoy.Process {
	t.Helper()
	c.Listen, c.Admin = "127.0.0.1:0", "127.0.0.1:0"
	yaml, err := c.Render()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(replace); i += 2 {
		if strings.Count(yaml, replace[i]) != 1 {
			t.Fatalf("the configuration %s does not have %q once", c.File, replace[i])
		}
		yaml = strings.Replace(yaml, replace[i], replace[i+1], 1)
	}
	return StartYAML(t, yaml)
}

// StartYAML runs Envoy with a configuration of the test's own.
func StartYAML(t testing.TB, yaml string) *envoy.Process {
	t.Helper()
	dir := t.TempDir()
	p, err := envoy.Start(t.Context(), envoy.Options{YAML: yaml, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop()
		for _, line := range p.AccessLog() {
			canary.Text(t, "Envoy's access log", line)
		}
		canary.Text(t, "Envoy's log", []byte(p.Log()))
		if t.Failed() {
			if log, err := os.ReadFile(p.LogFile); err == nil && len(log) > 0 {
				t.Logf("envoy's log:\n%s", log)
			}
		}
	})
	return p
}

// Access returns the access log's line of a request.
func Access(t testing.TB, p *envoy.Process, requestID string) envoy.AccessLine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	line, err := p.WaitRequest(ctx, requestID)
	if err != nil {
		t.Fatal(err)
	}
	return line
}
