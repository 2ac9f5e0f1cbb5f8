package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
)

// TestMailsSurviveKill kills the binary at random moments between decisions and
// their mails: each acknowledged decision's mail arrives. What was handed over
// and not yet noted when it was killed arrives again, and nothing else does.
func TestMailsSurviveKill(t *testing.T) {
	rounds := 8
	if os.Getenv("PATROL_SOAK") != "" {
		rounds = 100
	}
	server := &mailServer{}
	port, _ := server.start(t, "127.0.0.1:0")
	dir, binary := builtHere(t)
	data, config := filepath.Join(dir, "data"), filepath.Join(dir, "config.yaml")
	write(t, config, fmt.Sprintf("mail:\n  from: patrol@example.com\n  per_minute: 100000\n  smtp: {host: 127.0.0.1, port: %d, tls: none}\n", port))
	ctx := context.Background()
	s := startServer(t, binary, data, "--config", config)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.api.Do(ctx, "POST", "/api/organizations", admin.NewOrganization{Name: "acme", TokenPolicy: "require_administrator_approval"}, nil))
	must(s.api.Do(ctx, "PUT", "/api/organizations/acme/members/bob", admin.NewMember{Role: "write", Email: "bob@example.com", Confirmed: true}, nil))
	grants := []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write"}}}
	acknowledged := map[string]bool{}
	for round := range rounds {
		stop, done, ended := make(chan struct{}), make(chan struct{}, 1000), sync.WaitGroup{}
		ended.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				var issued admin.IssuedToken
				name := fmt.Sprintf("job %d-%d", round, n)
				if s.api.Do(ctx, "POST", "/api/tokens", admin.NewToken{Owner: "bob", DisplayName: name, Kind: "fine-grained", Grants: grants}, &issued) != nil {
					return
				}
				if s.api.Do(ctx, "POST", "/api/organizations/acme/settings/tokens/"+issued.ID+"/approve", admin.Approval{Version: 1}, nil) != nil {
					return
				}
				acknowledged[name] = true
				done <- struct{}{}
			}
		})
		<-done
		<-done
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond) //nolint:gosec // a moment, not a secret
		s.kill()
		close(stop)
		ended.Wait()
		s = startServer(t, binary, data, "--config", config)
	}
	s.kill()
	w := startApp(t, func(c *Config) {
		c.DataDir = data
		c.Mail = MailConfig{From: "patrol@example.com", PerMinute: 100_000, SMTP: SMTPConfig{Host: "127.0.0.1", Port: port, TLS: "none"}}
	})
	w.offset.Add(int64(10 * time.Minute)) // past the leases of those that were killed
	arrived := func() map[string]int {
		out := map[string]int{}
		for subject, n := range server.subjects(t, 0) {
			if name, ok := strings.CutPrefix(subject, "bob@example.com: Approved for acme: "); ok {
				out[name] = n
			}
		}
		return out
	}
	waitFor(t, "all mails arrive", func() bool {
		must(w.Notify.Step(ctx))
		got := arrived()
		for name := range acknowledged {
			if got[name] == 0 {
				return false
			}
		}
		return true
	})
	again := 0
	for name, n := range arrived() {
		again += n - 1
		if n > rounds+1 {
			t.Errorf("%s was mailed %d times", name, n)
		}
	}
	count(t, "%d decisions acknowledged in %d rounds, each mailed; %d mails came again", len(acknowledged), rounds, again)
	if len(acknowledged) < 2*rounds {
		t.Errorf("only %d decisions were acknowledged", len(acknowledged))
	}
}
