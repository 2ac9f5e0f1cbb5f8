package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

// edge is a populated App behind a real Envoy.
func edge(t *testing.T) (*world, *envoy.Process) {
	t.Helper()
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for k, v := range r.Header {
			if strings.HasPrefix(k, "X-Patrol-") {
				rw.Header()["Seen-"+k] = v
			}
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"type":"user","name":"bob"}`)
	}))
	t.Cleanup(upstream.Close)
	return w, envoytest.Start(t, envoy.Config{File: envoy.Strict, Patrol: w.listeners[0].Addr().String(), Upstream: upstream.Listener.Addr().String()})
}

const pendingSentence = "waits for an approval by an administrator of the organization acme"

func TestGitShowsWhyItWasRefused(t *testing.T) {
	w, p := edge(t)
	ask := func(token string) string {
		url := "http://git:" + w.secrets[token].Reveal() + "@" + p.Address + "/acme/model"
		cmd := exec.Command("git", "-c", "credential.helper=", "ls-remote", url)
		cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("git was let through with %s", token)
		}
		return string(out)
	}
	if out := ask("bob_fine"); !strings.Contains(out, "remote: The token") || !strings.Contains(out, pendingSentence) {
		t.Errorf("git shows of a pending approval:\n%s", out)
	}
	if out := ask("bob_revoked"); !strings.Contains(out, "was revoked for the organization acme") {
		t.Errorf("git shows of a revocation:\n%s", out)
	}
}

func TestHuggingfaceHubShowsWhyItWasRefused(t *testing.T) {
	w, p := edge(t)
	python, err := filepath.Abs("../../.venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(token, call string) string {
		script := "import os\nfrom huggingface_hub import HfApi\napi = HfApi(endpoint=os.environ['HF_ENDPOINT'], token=os.environ['TOKEN'])\ntry:\n    print('RESULT', " + call + ")\nexcept Exception as e:\n    print('ERROR', type(e).__name__, e)\n"
		cmd := exec.Command(python, "-c", script)
		cmd.Env = append(os.Environ(), "HF_ENDPOINT=http://"+p.Address, "TOKEN="+w.secrets[token].Reveal(), "HF_HOME="+t.TempDir(),
			"HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_PROGRESS_BARS=1", "no_proxy=127.0.0.1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("python: %v\n%s", err, out)
		}
		return string(out)
	}
	if out := ask("bob_fine", "api.model_info('acme/model')"); !strings.Contains(out, "403") || !strings.Contains(out, pendingSentence) {
		t.Errorf("model_info shows of a pending approval:\n%s", out)
	}
	if out := ask("bob_denied", "api.create_repo('acme/model')"); !strings.Contains(out, "denied the token") {
		t.Errorf("create_repo shows of a denial:\n%s", out)
	}
	if out := ask("bob_fine", "api.whoami()"); !strings.Contains(out, "RESULT") || !strings.Contains(out, "bob") {
		t.Errorf("whoami of a valid token:\n%s", out)
	}
}

func TestGRPCClientsGetStatusSentenceAndDetails(t *testing.T) {
	w, p := edge(t)
	conn, err := grpc.NewClient(p.Address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A gRPC path that the base's route table does not cover.
	err = conn.Invoke(context.Background(), "/acme.hub.v1.Models/Get", &emptypb.Empty{}, &emptypb.Empty{})
	s := status.Convert(err)
	if s.Code() != codes.PermissionDenied || !strings.Contains(s.Message(), "No route of the policy covers") {
		t.Errorf("status %v %q", s.Code(), s.Message())
	}
	found := false
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Reason == "ROUTE_UNKNOWN" {
			found = true
		}
	}
	if !found {
		t.Errorf("no ErrorInfo among %v", s.Details())
	}
	_ = w
}

func TestHTTP2ClientsAreAnswered(t *testing.T) {
	w, p := edge(t)
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	ask := func(token string, header ...string) *http.Response {
		req, _ := http.NewRequest("GET", "http://"+p.Address+"/api/models/acme/model", nil)
		req.Header.Set("Authorization", "Bearer "+w.secrets[token].Reveal())
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Errorf("answered by %s", resp.Proto)
		}
		return resp
	}
	if r := ask("bob_fine"); r.StatusCode != 403 || r.Header.Get("X-Error-Code") != "approval_pending" || r.Header.Get("X-Request-Id") == "" {
		t.Errorf("pending: %d %v", r.StatusCode, r.Header)
	}
	// Nobody outside may say what patrol says.
	r := ask("bob_approved", "x-patrol-owner", "alice", "x-patrol-organization", "other")
	if r.StatusCode != 200 || r.Header.Get("Seen-X-Patrol-Owner") != "bob" || r.Header.Get("Seen-X-Patrol-Organization") != "acme" {
		t.Errorf("approved: %d %v", r.StatusCode, r.Header)
	}
}

// Approve, deny, suspend, resume, revoke and disable act on the next request,
// and with the sidecar down Envoy answers 503.
func TestDecisionsActOnTheNextRequest(t *testing.T) {
	w, p := edge(t)
	code := func() string {
		c := &testCase{}
		c.Request.Method, c.Request.Path, c.Request.Headers = "GET", "/api/models/acme/model", [][2]string{{"authorization", "Bearer {bob_fine}"}}
		status, header, _ := send(t, p.Address, c, w, "next")
		if status == 503 {
			return "503"
		}
		return header.Get("x-error-code")
	}
	id := w.ids["bob_fine"]
	for i, step := range []struct {
		command func()
		want    string
	}{
		{func() {}, "approval_pending"},
		{func() { w.do(t, approveOf(id)) }, ""},
		{func() { w.do(t, suspendOf(id)) }, "token_suspended"},
		{func() { w.do(t, resumeOf(id)) }, ""},
		{func() { w.do(t, denyOf(id)) }, "approval_denied"},
		{func() { w.do(t, disableOf(id)) }, "token_unknown"},
		{func() { w.do(t, enableOf(id)) }, "approval_denied"},
		{func() { w.do(t, revokeOf(id)) }, "token_revoked"},
		{func() { w.Server.Stop(0) }, "503"},
	} {
		step.command()
		if got := code(); got != step.want {
			t.Errorf("step %d: answered %q, want %q", i, got, step.want)
		}
	}
}
