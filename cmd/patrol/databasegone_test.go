package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	postgrestest "github.com/patrol-authz/patrol/test/postgres"
)

// TestWithoutItsDatabaseDecisionsGoOnWhileFactsAreFresh: the decision path never
// reads the database. Without it nothing is acknowledged, decisions are as before
// until the facts are older than max_staleness (60 s), and then all is refused;
// when it is back, so are they.
func TestWithoutItsDatabaseDecisionsGoOnWhileFactsAreFresh(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		w := startApp(t, nil)
		file := filepath.Join(w.Config.DataDir, "patrol.db")
		withoutDatabase(t, w, "was removed or replaced", func() {
			if err := os.Link(file, file+".kept"); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}, func() {
			if err := os.Rename(file+".kept", file); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := postgrestest.Start(t)
		url := server.Database(t)
		w := startApp(t, func(c *Config) { c.Inventory.Database = url })
		withoutDatabase(t, w, "", func() { server.Stop(t) }, func() { server.Resume(t) })
	})
}

func withoutDatabase(t *testing.T, w *world, says string, remove, bring func()) {
	t.Helper()
	w.populate(t, filepath.Join(casesDir, "world.json"))
	ask := serverTier(t, w)
	secret := func(token string) string {
		if token == "" {
			return "of-nobody"
		}
		return w.secrets[token].Reveal()
	}
	decided := func(when string, want map[string]wanted) {
		t.Helper()
		for token, want := range want {
			if got := ask(t, get("/api/models/acme/model", [2]string{"authorization", "Bearer " + secret(token)})); got != want {
				t.Errorf("%s, %s: %+v, want %+v", when, token, got, want)
			}
		}
	}
	asBefore := map[string]wanted{
		"bob_approved": {"approved", 200}, "alice_fine": {"admin_created", 200}, "bob_denied": {"approval_denied", 403}, "bob_write": {"token_type_not_allowed", 403},
		"bob_revoked": {"token_revoked", 403}, "": {"token_unknown", 401},
	}
	closed := map[string]wanted{}
	for token := range asBefore {
		closed[token] = wanted{"inventory_unavailable", 503}
	}
	revoke := func() error {
		_, err := (&commands{w.App}).Do(context.Background(), operator, inventory.RevokeToken{Organization: "acme", Token: w.ids["bob_approved"]})
		return err
	}
	ready := func() int {
		resp, err := http.Get("http://" + w.Config.Diagnostics.Listen + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	decided("with the database", asBefore)

	remove()
	waitFor(t, "the follower notices", func() bool { return w.Follower.CatchUp(context.Background()) != nil })
	if err := revoke(); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("a change was acknowledged without a database, or says %v", err)
	}
	decided("just without it", asBefore)
	w.offset.Store(int64(40 * time.Second))
	decided("40 s without it", asBefore)
	if ready() != 200 {
		t.Error("it is not ready while its facts are fresh")
	}
	w.offset.Store(int64(61 * time.Second))
	decided("after max_staleness", closed)
	if ready() != 503 {
		t.Error("it calls itself ready on stale facts")
	}

	bring()
	waitFor(t, "the follower reads again", func() bool { return w.Follower.CatchUp(context.Background()) == nil })
	decided("with the database again", asBefore)
	if err := revoke(); err != nil {
		t.Errorf("a change with the database again: %v", err)
	}
	decided("after it", map[string]wanted{"bob_approved": {"token_revoked", 403}})
}
