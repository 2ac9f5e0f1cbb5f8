package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
)

// hubServer is an upstream that real clients can work with: git's own server,
// git-lfs's API with a store in memory, any gRPC method, and JSON for the rest.
// Every repository is the same one.
type hubServer struct {
	*httptest.Server
	dir  string // of the bare repository
	edge string // Envoy's address: it takes the port out of Host
	rpc  *grpc.Server
	mu   sync.Mutex
	lfs  map[string][]byte
	seen map[string]http.Header // by path, without query
}

var gitPath = regexp.MustCompile(`^/[^/]+/[^/]+?(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)$`)

func startHub(t testing.TB) *hubServer {
	t.Helper()
	h := &hubServer{dir: t.TempDir(), lfs: map[string][]byte{}, seen: map[string]http.Header{}}
	bare := filepath.Join(h.dir, "model.git")
	command(t, "git", "init", "-q", "--bare", "-b", "main", bare)
	command(t, "git", "-C", bare, "config", "http.receivepack", "true")
	core, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	git := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"), Env: []string{"GIT_PROJECT_ROOT=" + h.dir, "GIT_HTTP_EXPORT_ALL=1"}, Stderr: io.Discard}
	h.rpc = grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		var in []byte
		if err := s.RecvMsg(&in); err != nil {
			return err
		}
		return s.SendMsg(&in)
	}), grpc.ForceServerCodecV2(raw{}))
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.seen[r.URL.Path] = r.Header.Clone()
		h.mu.Unlock()
		switch m := gitPath.FindStringSubmatch(r.URL.Path); {
		case r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
			h.rpc.ServeHTTP(w, r)
		case m != nil:
			r.URL.Path = "/model.git/" + m[1]
			git.ServeHTTP(w, r)
		case strings.Contains(r.URL.Path, "/info/lfs/"):
			h.serveLFS(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":"a/model","type":"user","name":"bob","siblings":[]}`)
		}
	}))
	h.Config.Protocols = &http.Protocols{}
	h.Config.Protocols.SetHTTP1(true)
	h.Config.Protocols.SetUnencryptedHTTP2(true)
	h.Start()
	t.Cleanup(h.Close)
	return h
}

func (h *hubServer) address() string { return h.Listener.Addr().String() }

// serveLFS is git-lfs's batch API and the transfer of objects
// (https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md).
func (h *hubServer) serveLFS(w http.ResponseWriter, r *http.Request) {
	base, rest, _ := strings.Cut(r.URL.Path, "/info/lfs/")
	h.mu.Lock()
	defer h.mu.Unlock()
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	if oid, ok := strings.CutPrefix(rest, "objects/"); ok && oid != "batch" {
		if r.Method == http.MethodPut {
			h.lfs[oid], _ = io.ReadAll(r.Body)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(h.lfs[oid])
		return
	}
	var batch struct {
		Operation string
		Objects   []struct {
			OID  string `json:"oid"`
			Size int    `json:"size"`
		}
	}
	if rest != "objects/batch" || json.NewDecoder(r.Body).Decode(&batch) != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	objects := []any{}
	for _, o := range batch.Objects {
		href := fmt.Sprintf("http://%s%s/info/lfs/objects/%s", h.edge, base, o.OID)
		objects = append(objects, map[string]any{
			"oid": o.OID, "size": o.Size, "actions": map[string]any{batch.Operation: map[string]any{"href": href}},
		})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": objects})
}

// command runs a program to its end, and returns what it printed.
func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := runProgram(t, "", name, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}

// runProgram runs a program as a user would who has no configuration of their own.
func runProgram(t testing.TB, stdin, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	debian, err := filepath.Abs("../../.cache/debian/usr/bin")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PATH="+debian+":"+os.Getenv("PATH"), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com",
		"HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_PROGRESS_BARS=1", "no_proxy=127.0.0.1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &out, &out, strings.NewReader(stdin)
	err = cmd.Run()
	return out.String(), err
}
