package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// Each denial is one line of the log, whatever its reason, and an allow is none;
// a flood is no more lines than the configured rate.
func TestADenialIsOneLineAndAFloodIsNoFlood(t *testing.T) {
	ask := func(w *world, c *testCase) (reason string) {
		r, err := authv3.NewAuthorizationClient(w.client(t)).Check(context.Background(), c.checkRequest(w))
		if err != nil {
			t.Fatal(err)
		}
		return r.GetDynamicMetadata().GetFields()["reason"].GetStringValue()
	}
	lines := func(w *world) (n int) {
		text, err := os.ReadFile(w.logs)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "msg=denied ")
	}
	w := startApp(t, func(c *Config) { c.Log.Denials = 1_000_000 })
	w.populate(t, filepath.Join(casesDir, "world.json"))
	denied := 0
	for _, c := range loadCases(t) {
		if c.span() > 0 || c.Omit["server"] != "" {
			continue
		}
		reason, before := ask(w, c), lines(w)
		if entry := w.Bundles.Ruleset().Catalogue.Get(reason); entry == nil || !entry.Allow {
			denied++
		}
		if before != denied {
			t.Fatalf("%s (%s): %d lines after %d denials", c.id, reason, before, denied)
		}
	}
	if denied < 80 {
		t.Errorf("only %d denials", denied)
	}
	slow := startApp(t, func(c *Config) { c.Log.Denials = 1 })
	for range 300 {
		ask(slow, get("/api/models/acme/model"))
	}
	if n := lines(slow); n == 0 || n > 150 {
		t.Errorf("%d lines of 300 denials at one a second", n)
	}
}
