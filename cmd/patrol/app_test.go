package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/telemetry"
	"github.com/patrol-authz/patrol/test/canary"
)

// world is an App on the inventory of testdata/cases/world.json, with a clock
// that can be moved.
type world struct {
	*App
	offset  atomic.Int64
	secrets map[string]credential.Secret
	ids     map[string]string
	issued  map[string]inventory.IssueToken
	logs    string
	stopped bool // by the test: there are no metrics to search
}

var operator = inventory.Actor{Kind: "socket", Name: "uid:0"}

// startApp starts an App on a fresh data directory and free ports.
func startApp(t testing.TB, change func(*Config), more ...func(*App)) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "patrol") // short: socket paths end at 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{secrets: map[string]credential.Secret{}, ids: map[string]string{}, issued: map[string]inventory.IssueToken{}, logs: filepath.Join(dir, "patrol.log")}
	log, err := os.Create(w.logs)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{DataDir: filepath.Join(dir, "data")}
	config.ExtAuthz.Listen = []string{"127.0.0.1:0", "unix:" + filepath.Join(dir, "ext_authz.sock")}
	config.Diagnostics.Listen = "127.0.0.1:0"
	config.Admin.Listen = "off"
	if change != nil {
		change(&config)
	}
	w.App = &App{
		Config: config, Log: slog.New(telemetry.Guard(slog.NewTextHandler(log, nil))),
		Clock: func() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) },
	}
	for _, f := range more {
		f(w.App)
	}
	if err := w.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !w.stopped {
			searchMetrics(t, w.Config.Diagnostics.Listen)
		}
		w.Close()
		log.Close()
		canary.Folder(t, dir)
	})
	return w
}

// searchMetrics searches what the metrics of a running server show for secrets.
func searchMetrics(t testing.TB, address string) {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Errorf("the metrics were not searched: %v", err)
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), "patrol_build_info") {
		t.Errorf("the metrics were not searched: %d bytes, %v", len(text), err)
	}
	canary.Text(t, "the metrics", text)
}

// after moves the clock to a span behind now.
func (w *world) after(t testing.TB, span time.Duration) {
	t.Helper()
	w.offset.Store(int64(span))
	if err := w.Follower.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) do(t testing.TB, c inventory.Command) inventory.Result {
	t.Helper()
	r, err := (&commands{w.App}).Do(context.Background(), operator, c)
	if err != nil {
		t.Fatalf("%s %+v: %v", c.Action(), c, err)
	}
	return r
}

func approveOf(id string) inventory.Command {
	return inventory.Approve{Organization: "acme", Token: id, Version: 1}
}

func denyOf(id string) inventory.Command {
	return inventory.Deny{Organization: "acme", Token: id, Version: 1, Reason: "not needed"}
}

func suspendOf(id string) inventory.Command {
	return inventory.SuspendToken{Organization: "acme", Token: id}
}

func resumeOf(id string) inventory.Command {
	return inventory.ResumeToken{Organization: "acme", Token: id}
}
func disableOf(id string) inventory.Command { return inventory.DisableToken{Token: id} }
func enableOf(id string) inventory.Command  { return inventory.EnableToken{Token: id} }
func revokeOf(id string) inventory.Command {
	return inventory.RevokeToken{Organization: "acme", Token: id}
}
