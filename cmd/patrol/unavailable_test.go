package main

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

// The reasons before Rego that tell of a failure reach the client as 503 with
// the code, the sentence, and when to try again; Envoy's access log has them too.
func TestFailuresAreToldBehindEnvoy(t *testing.T) {
	broken := overlay(t, map[string]string{"local/a.rego": "nonsense"})
	for reason, c := range map[string]struct {
		config func(*Config)
		breaks func(*world)
	}{
		"policy_error":          {func(c *Config) { c.Policy.Bundles = []string{broken} }, func(*world) {}},
		"overloaded":            {nil, func(w *world) { w.Server.MaxInFlight = -1 }},
		"inventory_unavailable": {nil, func(w *world) { w.Follower.Close(); w.offset.Store(int64(2 * time.Minute)) }},
	} {
		t.Run(reason, func(t *testing.T) {
			w := startApp(t, c.config)
			if c.config == nil {
				w.populate(t, filepath.Join(casesDir, "world.json"))
			}
			c.breaks(w)
			hub := startHub(t)
			p := envoytest.Start(t, envoy.Config{File: envoy.Strict, Patrol: w.listeners[0].Addr().String(), Upstream: hub.address()})
			status, header, body := send(t, p.Address, get("/api/models/acme/model", [2]string{"authorization", "Bearer x"}), w, reason)
			if status != 503 || header.Get("x-error-code") != reason || header.Get("retry-after") == "" {
				t.Errorf("%d %v", status, header)
			}
			if message, _ := url.PathUnescape(header.Get("x-error-message")); message == "" || !strings.Contains(body, message) {
				t.Errorf("the body does not tell %q: %s", message, body)
			}
			line, err := p.WaitAccess(t.Context(), func(l envoy.AccessLine) bool { return l.Path == "/api/models/acme/model" })
			if err != nil || line.AuthzReason != reason || line.Upstream != "" || line.Status != 503 {
				t.Errorf("the access log: %+v %v", line, err)
			}
		})
	}
}
