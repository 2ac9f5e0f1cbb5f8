package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

// mount is a bundle's folder as Kubernetes mounts it, swapped as a whole.
type mount struct {
	dir   string
	count int
}

// swap puts the next revision there: of even ones the rule gives the first
// reason, of odd ones the second. It returns the revision.
func (m *mount) swap(t *testing.T) string {
	t.Helper()
	revision := fmt.Sprintf("%s-%d", twoReasons[m.count%2], m.count)
	next := filepath.Join(m.dir, fmt.Sprintf("..v%d", m.count))
	m.count++
	for name, text := range map[string]string{
		".manifest":                 `{"revision": "` + revision + `", "roots": ["local"]}`,
		"local/checks/x/check.rego": "package local.checks.x\n\nreasons contains \"" + twoReasons[(m.count-1)%2] + "\" if data.local.which\n",
		"local/which/data.json":     `true`,
	} {
		path := filepath.Join(next, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(m.dir, "..new")
	if err := os.Symlink(filepath.Base(next), link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(m.dir, "..data")); err != nil {
		t.Fatal(err)
	}
	return revision
}

var twoReasons = []string{"policy_denied", "lifetime_exceeded"}

// fits says whether an answer is that of the revision it names.
func fits(reason, revision string) bool {
	return reason != "" && strings.Contains(revision, "+"+reason+"-")
}

// Two bundles that answer differently are swapped while requests flow, over
// gRPC and through the real Envoy. Each answer is that of the revision in its
// metadata, and none is lost.
func TestSwappingBundlesUnderLoadMixesAndLosesNothing(t *testing.T) {
	const swaps = 50
	m := &mount{dir: t.TempDir()}
	m.swap(t)
	w := startApp(t, func(c *Config) { c.Policy.Bundles = []string{m.dir} })
	w.populate(t, filepath.Join(casesDir, "world.json"))
	hub := startHub(t)
	p := envoytest.Start(t, envoy.Config{File: envoy.Strict, Patrol: w.listeners[0].Addr().String(), Upstream: hub.address()})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wait sync.WaitGroup
	var overGRPC, wrong, lost, throughEnvoy atomic.Int64
	seen := sync.Map{}
	worker := func(ask func() error) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for ctx.Err() == nil {
				if err := ask(); err != nil {
					lost.Add(1)
					t.Error(err)
					return
				}
			}
		}()
	}
	client := authv3.NewAuthorizationClient(w.client(t))
	request := get("/api/models/acme/model", [2]string{"authorization", "Bearer {bob_approved}"}).checkRequest(w)
	for range 3 {
		worker(func() error {
			r, err := client.Check(context.Background(), request)
			if err != nil {
				return err
			}
			overGRPC.Add(1)
			fields := r.GetDynamicMetadata().GetFields()
			reason, revision := fields["reason"].GetStringValue(), fields["revision"].GetStringValue()
			seen.Store(revision, true)
			if !fits(reason, revision) || r.GetStatus().GetCode() != 7 {
				wrong.Add(1)
			}
			return nil
		})
	}
	bearer := "Bearer " + w.secrets["bob_approved"].Reveal()
	worker(func() error {
		r, err := http.NewRequest(http.MethodGet, "http://"+p.Address+"/api/models/acme/model", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", bearer)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		throughEnvoy.Add(1)
		if resp.StatusCode != 403 || resp.Header.Get("X-Error-Code") == "" {
			wrong.Add(1)
		}
		return nil
	})
	for range swaps {
		revision := m.swap(t)
		for deadline := time.Now().Add(10 * time.Second); w.Bundles.Ruleset().Roots["local"] != revision; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s never became active: %+v", revision, w.Bundles.Status())
			}
		}
	}
	stop()
	wait.Wait()
	logged := accessLines(t, p, int(throughEnvoy.Load()))
	for _, line := range logged {
		if revision, _ := line.Authz["revision"].(string); !fits(line.AuthzReason, revision) || line.Status != 403 {
			t.Errorf("the access log: %+v", line)
		}
	}
	revisions := 0
	seen.Range(func(any, any) bool { revisions++; return true })
	count(t, "%d swaps: %d answers over gRPC (of %d revisions), %d through Envoy, %d wrong, %d lost", swaps, overGRPC.Load(), revisions, throughEnvoy.Load(), wrong.Load(), lost.Load())
	if wrong.Load() > 0 || lost.Load() > 0 || overGRPC.Load() < 1000 || throughEnvoy.Load() < 200 || revisions < swaps/2 {
		t.Error("that is not how it should be")
	}
}

// accessLines waits for as many lines as there were requests.
func accessLines(t *testing.T, p *envoy.Process, want int) []envoy.AccessLine {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); len(p.AccessLog()) < want && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	raw := p.AccessLog()
	if len(raw) != want {
		t.Errorf("%d lines in the access log of %d requests", len(raw), want)
	}
	lines := make([]envoy.AccessLine, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &lines[i]); err != nil {
			t.Fatal(err)
		}
	}
	return lines
}
