package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/test/canary"
	"github.com/patrol-authz/patrol/test/freeaddr"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"patrol": main})
}

// TestCommands runs the scripts: the commands as people and programs type them,
// against a real server.
func TestCommands(t *testing.T) {
	debian, err := filepath.Abs("../../.cache/debian")
	if err != nil {
		t.Fatal(err)
	}
	var searched atomic.Int64
	t.Cleanup(func() { // the scripts run at the same time, and have ended here
		t.Logf("what %d scripts with a server left was searched", searched.Load())
		if searched.Load() < 15 && !onlySome() {
			t.Errorf("what only %d scripts left was searched for secrets; there are at least 15 with a server", searched.Load())
		}
	})
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			dir, err := os.MkdirTemp("", "p") // short: socket paths end at 107 bytes
			if err != nil {
				return err
			}
			e.Defer(func() {
				if searchScript(t, filepath.Join(dir, "data"), filepath.Join(e.WorkDir, serveLog)) {
					searched.Add(1)
				}
				os.RemoveAll(dir)
			})
			e.Setenv("PATROL_DATA_DIR", filepath.Join(dir, "data"))
			e.Setenv("HOME", dir)
			e.Setenv("DEBIAN", debian)
			e.Setenv("SOON", time.Now().Add(30*24*time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339))
			free, err := freeaddr.Loopback()
			if err != nil {
				return err
			}
			e.Setenv("ADDR", free)
			busy, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Defer(func() { busy.Close() })
			e.Setenv("BUSY", busy.Addr().String())
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": func(ts *testscript.TestScript, _ bool, args []string) { serveScript(t, ts, args) },
			"code":  codeScript, "take": takeScript, "expand": expandScript, "between": betweenScript, "field": fieldScript, "repeat": repeatScript,
		},
	})
}

// serveLog is where a script's server writes what it has to say.
const serveLog = "serve.log"

// onlySome says whether some scripts were named on the command line.
func onlySome() bool { return strings.Contains(flag.Lookup("test.run").Value.String(), "/") }

// searchScript searches what a script with a server left. Both must be there to
// be searched; a script without a server leaves neither.
func searchScript(t testing.TB, data, log string) bool {
	t.Helper()
	if _, err := os.Stat(log); err != nil {
		return false
	}
	canary.Folder(t, data)
	canary.Folder(t, log)
	return true
}

func TestWhatAScriptLeftIsSearched(t *testing.T) {
	secret := credential.Generate().Reveal()
	for name, c := range map[string]struct{ file, log, want string }{
		"all well":             {"x", "x", ""},
		"a secret in the data": {secret, "x", "data/patrol.db holds a secret"},
		"a secret in the log":  {"x", secret, "serve.log holds a secret"},
		"no data":              {"", "x", "searched nothing"},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, serveLog), c.log)
		if c.file != "" {
			write(t, filepath.Join(dir, "data", "patrol.db"), c.file)
		}
		trap := canary.NewTrap(t)
		if !searchScript(trap, filepath.Join(dir, "data"), filepath.Join(dir, serveLog)) {
			t.Errorf("%s: not searched", name)
		}
		if said := strings.Join(trap.Spring(), "\n"); c.want == "" && said != "" || !strings.Contains(said, c.want) {
			t.Errorf("%s: %q, want %q", name, said, c.want)
		}
	}
	if searchScript(t, t.TempDir(), filepath.Join(t.TempDir(), serveLog)) {
		t.Error("a script without a server counts as searched")
	}
}

// serveScript runs "patrol serve" with more arguments until the script ends, and
// waits until it answers.
func serveScript(t testing.TB, ts *testscript.TestScript, args []string) {
	dir := ts.Getenv("PATROL_DATA_DIR")
	binary, err := exec.LookPath("patrol")
	ts.Check(err)
	log := ts.MkAbs(serveLog)
	out, err := os.Create(log)
	ts.Check(err)
	metrics, err := freeaddr.Loopback()
	ts.Check(err)
	cmd := exec.Command(binary, append([]string{"serve", "--ext-authz", "127.0.0.1:0", "--diagnostics", metrics}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "PATROL_DATA_DIR="+dir)
	cmd.Stdout, cmd.Stderr = out, out
	ts.Check(cmd.Start())
	ts.Defer(func() {
		searchMetrics(t, metrics)
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		out.Close()
	})
	cl, err := client.New("unix:" + filepath.Join(dir, "admin.sock"))
	ts.Check(err)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := cl.Whoami(context.Background()); err == nil {
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log)
			ts.Fatalf("the server does not answer:\n%s", text)
		}
	}
}

// codeScript runs a command and checks its exit code: code 2 patrol org.
func codeScript(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [arguments]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit %d, want %d\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// at finds what lies at a path, "grants.0.entity.name", in the JSON of stdout.
func at(ts *testscript.TestScript, path string) any {
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &v); err != nil {
		ts.Fatalf("the output is no JSON: %v", err)
	}
	for key := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[key]
		case []any:
			i, err := strconv.Atoi(key)
			if key == "length" {
				return len(node)
			}
			if err != nil || i >= len(node) {
				ts.Fatalf("there is no %s of %s", key, path)
			}
			v = node[i]
		default:
			v = nil
		}
	}
	return v
}

// takeScript keeps a field of stdout's JSON in a variable: take ID id.
func takeScript(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: take VARIABLE path")
	}
	v := at(ts, args[1])
	if v == nil {
		ts.Fatalf("there is no %s", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// fieldScript compares a field of stdout's JSON: field grants.0.entity.name acme.
func fieldScript(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: field path value")
	}
	got := fmt.Sprint(at(ts, args[0]))
	if (got == args[1]) == neg {
		ts.Fatalf("%s is %q, want %q", args[0], got, args[1])
	}
}

// repeatScript sets a variable to a text many times over: repeat LONG x 120.
func repeatScript(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Setenv(args[0], strings.Repeat(args[1], n))
}

// expandScript replaces ${VARIABLES} in a file.
func expandScript(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// betweenScript runs a command just before the server gets a request of a method,
// once: between PATCH patrol org set acme x=1. What follows in the script asks
// through it.
func betweenScript(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: between METHOD command [arguments]")
	}
	socket := filepath.Join(ts.Getenv("PATROL_DATA_DIR"), "admin.sock")
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "patrol"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}},
	}
	before := ts.Getenv("PATROL_DATA_DIR") + "-between.sock"
	_ = os.Remove(before) // of the one before it in the script
	l, err := net.Listen("unix", before)
	ts.Check(err)
	binary, err := exec.LookPath(args[1])
	ts.Check(err)
	env := append(os.Environ(), "PATROL_DATA_DIR="+ts.Getenv("PATROL_DATA_DIR"))
	var once sync.Once
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == args[0] {
			once.Do(func() {
				cmd := exec.Command(binary, args[2:]...)
				cmd.Env = env
				if out, err := cmd.CombinedOutput(); err != nil {
					http.Error(w, fmt.Sprintf("%v: %s", err, out), http.StatusBadGateway)
				}
			})
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = s.Serve(l) }()
	ts.Defer(func() { s.Close() })
	ts.Setenv("PATROL_SERVER", "unix:"+before)
}
