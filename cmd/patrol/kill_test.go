package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/test/canary"
	"github.com/patrol-authz/patrol/test/freeaddr"
	postgrestest "github.com/patrol-authz/patrol/test/postgres"
)

// server is the real binary, as a process of its own.
type server struct {
	cmd         *exec.Cmd
	data        string
	api         *client.Client
	addr        string
	diagnostics string
	log         *strings.Builder
	killed      bool
}

func startServer(t testing.TB, binary, dataDir string, more ...string) *server {
	t.Helper()
	s := &server{addr: freeaddr.For(t), data: dataDir, diagnostics: freeaddr.For(t), log: &strings.Builder{}}
	s.cmd = exec.Command(binary, append([]string{"serve", "--data-dir", dataDir, "--ext-authz", s.addr, "--diagnostics", s.diagnostics}, more...)...)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !s.killed {
			searchMetrics(t, s.diagnostics)
		}
		s.kill()
		canary.Folder(t, dataDir)
		canary.Text(t, "the log", []byte(s.log.String()))
	})
	s.api, _ = client.New("unix:" + filepath.Join(dataDir, "admin.sock"))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var who admin.Whoami
		if s.api.Do(context.Background(), "GET", "/api/whoami-v2", nil, &who) == nil {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server did not answer:\n%s", s.log)
		}
	}
}

// command is another command of the binary, of this server.
func (s *server) command(binary string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "PATROL_DATA_DIR="+s.data)
	return cmd
}

func (s *server) kill() {
	s.killed = true
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// TestWhatWasAcknowledgedSurvivesKill kills the server at random moments while
// administrators decide, and holds what was acknowledged against what is there.
func TestWhatWasAcknowledgedSurvivesKill(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { survivesKill(t) })
	t.Run("PostgreSQL", func(t *testing.T) {
		config := filepath.Join(t.TempDir(), "config.yaml")
		write(t, config, "inventory:\n  database: "+postgrestest.Start(t).Database(t)+"\n")
		survivesKill(t, "--config", config)
	})
}

func survivesKill(t *testing.T, args ...string) {
	rounds := 20
	if os.Getenv("PATROL_SOAK") != "" {
		rounds = 500
	}
	dir, binary := builtHere(t)
	data := filepath.Join(dir, "data")
	ctx := context.Background()
	s := startServer(t, binary, data, args...)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.api.Do(ctx, "POST", "/api/organizations", admin.NewOrganization{Name: "acme", TokenPolicy: "require_administrator_approval"}, nil))
	// Each round leaves up to three requests undecided: of owners enough, so that
	// none has as many open as one may have.
	owner := func(round int) string { return fmt.Sprintf("owner-%d", 4*round/inventory.MaxOpenPerOwner) }
	for round := range rounds {
		if round == 0 || owner(round) != owner(round-1) {
			must(s.api.Do(ctx, "PUT", "/api/organizations/acme/members/"+owner(round), admin.NewMember{Role: "write"}, nil))
		}
	}
	grants := []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write"}}}
	late := lateTokens(t, s, 6*rounds)
	acknowledged := map[string]string{} // token -> the status last acknowledged
	var mu sync.Mutex
	total, hits := 0, 0
	for round := range rounds {
		var wait sync.WaitGroup
		stop := make(chan struct{})
		before, beforeHits := total, hits // nobody writes them yet
		wait.Go(func() {                  // requests that are opened by a first hit
			for _, one := range late[6*round : 6*round+6] {
				select {
				case <-stop:
					return
				default:
				}
				opened := false
				for !opened { // it may be told as "opening" first
					select {
					case <-stop:
						return
					default:
						opened = hitOpens(ctx, s, one)
					}
				}
				mu.Lock()
				acknowledged[one.ID] = "pending"
				hits++
				mu.Unlock()
			}
		})
		for worker := range 3 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					var issued admin.IssuedToken
					in := admin.NewToken{Owner: owner(round), DisplayName: fmt.Sprintf("%d-%d-%d", round, worker, n), Kind: "fine-grained", Grants: grants}
					if s.api.Do(ctx, "POST", "/api/tokens", in, &issued) != nil {
						return
					}
					note := func(status string) {
						mu.Lock()
						acknowledged[issued.ID] = status
						total++
						mu.Unlock()
					}
					note("pending") // the request was opened with it
					act := []struct {
						action, status string
						body           any
					}{
						{"approve", "approved", admin.Approval{Version: 1}},
						{"deny", "denied", admin.Denial{Version: 1, Reason: "no"}},
						{"revoke", "revoked", admin.Comment{}},
						{"suspend", "suspended", admin.Comment{}},
					}[rand.IntN(4)]
					mu.Lock()
					acknowledged[issued.ID] = "pending|" + act.status // while it is under way, either is right
					mu.Unlock()
					if s.api.Do(ctx, "POST", "/api/organizations/acme/settings/tokens/"+issued.ID+"/"+act.action, act.body, nil) != nil {
						return
					}
					note(act.status)
				}
			}()
		}
		waitFor(t, "a first acknowledgement", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return total > before && hits > beforeHits
		})
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
		s.kill()
		close(stop)
		wait.Wait()
		s = startServer(t, binary, data, args...)
	}
	present := map[string]string{}
	for _, organization := range []string{"acme", "late"} {
		rows, err := client.List[admin.Listed](ctx, s.api, "/api/organizations/"+organization+"/settings/tokens", map[string][]string{"status": {"all"}}, 0)
		must(err)
		for _, r := range rows {
			if _, told := acknowledged[r.ID]; told {
				present[r.ID] = r.Authorization.Status
			}
			if request := r.Authorization.Request; organization == "late" && acknowledged[r.ID] != "" && (request == nil || request.State != "open") {
				t.Errorf("token %s: its request was told to be open, and is %+v", r.ID, request)
			}
		}
	}
	missing := 0
	for id, status := range acknowledged {
		if got := present[id]; got == "" || !strings.Contains(status, got) {
			missing++
			t.Errorf("token %s: acknowledged as %s, present as %q", id, status, got)
		}
	}
	// The audit has no hole, and says what was done.
	verify := append([]string{"audit", "verify", "--offline"}, args...)
	patrolBinary{binary, data}.expect(t, 0, "each as it was written", verify...)
	count(t, "%d kills: %d acknowledgements of %d tokens and %d requests opened by a hit; acknowledged %d, present %d, missing %d", rounds, total, len(acknowledged)-hits, hits, len(acknowledged), len(present), missing)
	if hits < rounds {
		t.Errorf("only %d requests were opened by a hit in %d rounds", hits, rounds)
	}
	if total < rounds {
		t.Errorf("only %d acknowledgements came in %d rounds", total, rounds)
	}
}

// lateTokens are issued before their organization asks for approvals: their
// requests open at the first hit.
func lateTokens(t *testing.T, s *server, n int) []admin.IssuedToken {
	t.Helper()
	ctx := t.Context()
	do := func(method, path string, in, out any) {
		t.Helper()
		if err := s.api.Do(ctx, method, path, in, out); err != nil {
			t.Fatal(err)
		}
	}
	do("POST", "/api/organizations", admin.NewOrganization{Name: "late"}, nil)
	grants := []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "late"}, Permissions: []string{"repo.content.read"}}}
	out := make([]admin.IssuedToken, n)
	for i := range out {
		owner := fmt.Sprintf("late-%d", i/inventory.MaxOpenPerOwner)
		if i%inventory.MaxOpenPerOwner == 0 {
			do("PUT", "/api/organizations/late/members/"+owner, admin.NewMember{Role: "write"}, nil)
		}
		do("POST", "/api/tokens", admin.NewToken{Owner: owner, DisplayName: fmt.Sprintf("late %d", i), Kind: "fine-grained", Grants: grants}, &out[i])
	}
	do("PUT", "/api/organizations/late/settings/token-policy", admin.PolicyChange{TokenPolicy: "require_administrator_approval"}, nil)
	return out
}

// hitOpens sends a request with a token, and says whether the answer tells that
// its approval request is open.
func hitOpens(ctx context.Context, s *server, one admin.IssuedToken) bool {
	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return false
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := authv3.NewAuthorizationClient(conn).Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Path: "/api/models/late/model", Host: "hub.example", Headers: map[string]string{"authorization": "Bearer " + one.Secret},
		}},
	}})
	if err != nil {
		return false
	}
	var told struct{ Approval struct{ State string } }
	return json.Unmarshal([]byte(r.GetDeniedResponse().GetBody()), &told) == nil && told.Approval.State == "open"
}
