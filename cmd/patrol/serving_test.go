package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// overSocket connects to the ext_authz server's Unix socket, as Envoy would.
func (w *world) overSocket(t *testing.T) *grpc.ClientConn {
	t.Helper()
	var address string
	for _, a := range w.Config.ExtAuthz.Listen {
		if strings.HasPrefix(a, "unix:") {
			address = a
		}
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func checkWith(t *testing.T, conn *grpc.ClientConn, path string, secret credential.Secret) *authv3.CheckResponse {
	t.Helper()
	r, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Path: path, Host: "hub.example", Headers: map[string]string{"authorization": "Bearer " + secret.Reveal()},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func headerOf(list []*corev3.HeaderValueOption, name string) string {
	for _, h := range list {
		if strings.EqualFold(h.GetHeader().GetKey(), name) {
			return h.GetHeader().GetValue()
		}
	}
	return ""
}

// fineToken issues a token of bob's on acme.
func (w *world) fineToken(t *testing.T, kind string, expires time.Duration) (id string, secret credential.Secret) {
	t.Helper()
	secret = credential.Generate()
	c := inventory.IssueToken{Owner: "bob", DisplayName: "ci", Kind: kind, Digest: w.digester.Secret(secret), Last4: secret.Last4()}
	if kind == authz.KindFineGrained {
		c.Grants = []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.content.read"}}}
	}
	if expires > 0 {
		c.ExpiresAt = w.Clock().Add(expires)
	}
	return w.do(t, c).Token.ID, secret
}

func TestAFirstHitOpensARequestDurably(t *testing.T) {
	w := startApp(t, nil)
	w.people(t)
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "allow_user_access_tokens"})
	id, secret := w.fineToken(t, authz.KindFineGrained, 0)
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "require_administrator_approval"})
	if row, err := w.Store.Token(t.Context(), "acme", id); err != nil || row.Authorization.Request != nil {
		t.Fatalf("before the first hit there is a request: %+v, %v", row.Authorization, err)
	}
	conn := w.overSocket(t)
	r := checkWith(t, conn, "/api/models/acme/m", secret)
	if got := headerOf(r.GetDeniedResponse().GetHeaders(), "x-error-code"); got != "approval_pending" {
		t.Fatalf("the first hit answers %q", got)
	}
	row, err := w.Store.Token(t.Context(), "acme", id)
	if err != nil || row.Authorization.Request == nil || row.Authorization.Request.State != "open" || row.Authorization.Request.OpenedBy != "hit" {
		t.Fatalf("after the first hit the database has %+v, %v", row.Authorization, err)
	}
	checkWith(t, conn, "/api/models/acme/m", secret)
	again, err := w.Store.Token(t.Context(), "acme", id)
	if err != nil || again.Authorization.Request.ID != row.Authorization.Request.ID {
		t.Errorf("the second hit opened another: %+v, %v", again.Authorization.Request, err)
	}
}

func TestWhatWillNotStaySoIsWarnedOf(t *testing.T) {
	w := startApp(t, nil)
	w.people(t)
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "allow_user_access_tokens"})
	_, plain := w.fineToken(t, authz.KindRead, 0)
	_, ending := w.fineToken(t, authz.KindRead, 48*time.Hour)
	conn := w.overSocket(t)
	warning := func(secret credential.Secret) string {
		t.Helper()
		ok := checkWith(t, conn, "/api/models/acme/m", secret).GetOkResponse()
		if ok == nil {
			t.Fatal("refused")
		}
		if hub := headerOf(ok.GetResponseHeadersToAdd(), "x-hf-warning"); hub != headerOf(ok.GetResponseHeadersToAdd(), "x-patrol-warning") {
			t.Errorf("X-HF-Warning is %q", hub)
		}
		return headerOf(ok.GetResponseHeadersToAdd(), "x-patrol-warning")
	}
	if got := warning(plain); got != "" {
		t.Errorf("nothing is to be warned of, and there is %q", got)
	}
	if got := warning(ending); !strings.HasPrefix(got, "token_expires; ") {
		t.Errorf("a token that ends in two days warns %q", got)
	}
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "only_fine_grained_tokens", EnforceAt: w.Clock().Add(30 * 24 * time.Hour)})
	if got := warning(plain); !strings.HasPrefix(got, "grace_period; from ") || !strings.Contains(got, "token_type_not_allowed") {
		t.Errorf("before a dated policy it warns %q", got)
	}
	w.do(t, inventory.SetPolicy{Organization: "acme", TokenPolicy: "only_fine_grained_tokens", Enforcement: authz.Observe})
	if got := warning(plain); !strings.HasPrefix(got, "observed; acme only observes") {
		t.Errorf("in observe it warns %q", got)
	}
}

func TestHealthFollowsReadiness(t *testing.T) {
	policy := t.TempDir()
	rule := filepath.Join(policy, "local", "checks", "own", "check.rego")
	good := "package local.checks.own\n\nreasons contains \"policy_denied\" if input.route.pattern == \"never\"\n"
	write(t, rule, good)
	w := startApp(t, func(c *Config) { c.Policy.Bundles = []string{policy} })
	health := healthpb.NewHealthClient(w.overSocket(t))
	serving := func() string {
		r, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: extauthz.Service})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus().String()
	}
	ready := func() int {
		resp, err := http.Get("http://" + w.Config.Diagnostics.Listen + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	waitFor(t, "SERVING", func() bool { return serving() == "SERVING" && ready() == 200 })
	// A bundle that is refused is reported, and the one before serves on.
	write(t, rule, "package local.checks.own\n\nreasons contains \"undeclared_reason\"\n")
	waitFor(t, "refused", func() bool {
		for _, s := range w.Bundles.Status() {
			if s.Error != "" {
				return true
			}
		}
		return false
	})
	if serving() != "SERVING" || ready() != 200 {
		t.Errorf("a refused bundle makes the server %s, /readyz %d", serving(), ready())
	}
	log, err := os.ReadFile(w.logs)
	if err != nil || !strings.Contains(string(log), "policy bundle refused; what was active stays") {
		t.Errorf("the refusal is not in the log: %v", err)
	}
	resp, err := http.Get("http://" + w.Config.Diagnostics.Listen + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text := readAll(t, resp.Body); !strings.Contains(text, `patrol_bundle_activations_total{name="local",result="refused"} 1`) {
		t.Error("the refusal is not counted")
	}
	// Stale facts make it unready.
	w.offset.Store(int64(time.Hour))
	w.Store.Close()
	waitFor(t, "NOT_SERVING", func() bool { return serving() == "NOT_SERVING" && ready() == 503 })
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never happened: %s", what)
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
