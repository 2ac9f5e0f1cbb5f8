package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/extauthz"
)

// TestTheFirstStartWithABadBundleServesAndDenies: the binary is up, answers
// policy_error, says that it is not ready, and becomes so when the bundle is
// mended, without another start.
func TestTheFirstStartWithABadBundleServesAndDenies(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "patrol")
	build(t, "cmd/patrol", binary)
	rule := filepath.Join(dir, "policy", "local", "checks", "own", "check.rego")
	write(t, rule, "package local.checks.own\n\nreasons contains \"policy_denied\" if {")
	s := startServer(t, binary, filepath.Join(dir, "data"), "--bundle", filepath.Join(dir, "policy"), "--admin", "off")
	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	health := healthpb.NewHealthClient(conn)
	serving := func() string {
		r, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: extauthz.Service})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus().String()
	}
	page := func(path string) (int, string) {
		resp, err := http.Get("http://" + s.diagnostics + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, readAll(t, resp.Body)
	}
	reason := func() (string, int32) {
		r := checkWith(t, conn, "/api/models/acme/model", credential.NewSecret("of-nobody"))
		return headerOf(r.GetDeniedResponse().GetHeaders(), "X-Error-Code"), int32(r.GetDeniedResponse().GetStatus().GetCode())
	}

	if got, status := reason(); got != "policy_error" || status != http.StatusServiceUnavailable {
		t.Errorf("it answers %s, %d", got, status)
	}
	if got := serving(); got != "NOT_SERVING" {
		t.Errorf("its health is %s", got)
	}
	if status, text := page("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "no policy bundle is active") {
		t.Errorf("/readyz: %d %s", status, text)
	}
	if status, _ := page("/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d", status)
	}
	out, err := s.command(binary, "bundle", "status").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "check.rego:3") {
		t.Errorf("bundle status does not name file and line: %v\n%s", err, out)
	}

	write(t, rule, "package local.checks.own\n\nreasons contains \"policy_denied\" if input.route.pattern == \"never\"\n")
	waitFor(t, "the mended bundle", func() bool {
		got, _ := reason()
		status, _ := page("/readyz")
		return got == "token_unknown" && serving() == "SERVING" && status == http.StatusOK
	})
}
