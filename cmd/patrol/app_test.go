package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
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
func startApp(t testing.TB, change func(*Config)) *world {
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

// populate carries the commands of a file out.
func (w *world) populate(t testing.TB, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Steps []json.RawMessage `json:"steps"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for i, raw := range doc.Steps {
		if err := w.step(t, raw); err != nil {
			t.Fatalf("%s: step %d: %v", file, i, err)
		}
	}
}

func (w *world) step(t testing.TB, raw json.RawMessage) error {
	var s struct {
		Do, Secret, Token           string
		EnforceIn, ExpiresIn, Until string
		Grants                      []authz.Grant
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	var span time.Duration
	for _, text := range []string{s.EnforceIn, s.ExpiresIn, s.Until} {
		if text != "" {
			var err error
			if span, err = time.ParseDuration(text); err != nil {
				return err
			}
		}
	}
	var end time.Time
	if span > 0 {
		end = w.Clock().Add(span)
	}
	fill := func(c any) error {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return err
		}
		for _, k := range []string{"do", "secret", "Token", "EnforceIn", "ExpiresIn", "Until"} {
			delete(members, k)
		}
		b, err := json.Marshal(members)
		if err != nil {
			return err
		}
		dec := json.NewDecoder(strings.NewReader(string(b)))
		dec.DisallowUnknownFields()
		return dec.Decode(c)
	}
	id := w.ids[s.Token]
	switch s.Do {
	case "organization.create":
		var c inventory.CreateOrganization
		if err := fill(&c); err != nil {
			return err
		}
		w.do(t, c)
	case "organization.policy":
		var c inventory.SetPolicy
		if err := fill(&c); err != nil {
			return err
		}
		c.EnforceAt = end
		w.do(t, c)
	case "member.add":
		var c inventory.AddMember
		if err := fill(&c); err != nil {
			return err
		}
		w.do(t, c)
	case "token.issue":
		var c inventory.IssueToken
		if err := fill(&c); err != nil {
			return err
		}
		secret := credential.Generate()
		c.Digest, c.Last4, c.ExpiresAt = w.digester.Secret(secret), secret.Last4(), end
		w.secrets[s.Secret], w.issued[s.Secret] = secret, c
		w.ids[s.Secret] = w.do(t, c).Token.ID
	case "approval.approve":
		var c inventory.Approve
		if err := fill(&c); err != nil {
			return err
		}
		c.Token, c.Until = id, end
		w.do(t, c)
	case "approval.deny":
		var c inventory.Deny
		if err := fill(&c); err != nil {
			return err
		}
		c.Token = id
		w.do(t, c)
	case "token.revoke":
		var c inventory.RevokeToken
		if err := fill(&c); err != nil {
			return err
		}
		c.Token = id
		w.do(t, c)
	case "token.suspend":
		var c inventory.SuspendToken
		if err := fill(&c); err != nil {
			return err
		}
		c.Token = id
		w.do(t, c)
	case "token.disable":
		w.do(t, inventory.DisableToken{Token: id})
	default:
		t.Fatalf("there is no step %q", s.Do)
	}
	return nil
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
