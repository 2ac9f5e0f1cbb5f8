package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/test/canary"
)

// build builds a command of this module once into a folder.
func build(t testing.TB, pkg, to string) {
	t.Helper()
	out, err := exec.Command("go", "build", "-o", to, "github.com/patrol-authz/patrol/"+pkg).CombinedOutput()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
}

// builtHere is a folder with patrol's binary in it. Its path is short enough for
// sockets, and it goes after the servers in it were searched.
func builtHere(t testing.TB) (dir, binary string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "patrol")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary = filepath.Join(dir, "patrol")
	build(t, "cmd/patrol", binary)
	return dir, binary
}

// demoFolder is a folder with what "make run" builds. Its path is short enough
// for sockets.
func demoFolder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	build(t, "cmd/patrol", filepath.Join(dir, "bin", "patrol"))
	build(t, "deploy/demo", filepath.Join(dir, "bin", "demo"))
	return dir
}

func demoCommand(ctx context.Context, t testing.TB, dir string) *exec.Cmd {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "bin", "demo"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATROL_ENVOY="+filepath.Join(wd, "..", "..", ".venv", "bin", "envoy"))
	return cmd
}

// searchDemo searches what the demo leaves: only the file of its clients' own
// tokens holds secrets.
func searchDemo(t testing.TB, dir string) {
	t.Helper()
	found, _, err := canary.Find(dir)
	if err != nil || len(found) != 1 || found[0] != filepath.Join(dir, "tokens.env") {
		t.Errorf("secrets are in %v; they belong in tokens.env alone: %v", found, err)
	}
	for _, name := range []string{"data/patrol.db", "patrol.log", "envoy.log", "envoy.yaml"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("it was not searched: %v", err)
		}
	}
}

// TestTheDemoStaysUntilItIsTold: what it prints to try works; a second one in
// the same folder is refused and harms nothing; Ctrl-C ends all of it, and so
// does the end of the demo's own process.
func TestTheDemoStaysUntilItIsTold(t *testing.T) {
	dir := demoFolder(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	cmd, out := stayingDemo(ctx, t, dir)
	_, list, _ := strings.Cut(out(), "try:\n")
	list, _, _ = strings.Cut(list, "Ctrl-C ends everything")
	list = strings.Replace(list, "<<< $BOB_FINE", "<<< $BOB_FINE || [ $? = 1 ] # it is refused: it was suspended", 1)
	script := "set -e\nexport EDITOR=cat\n" + strings.TrimSpace(list)
	tried := exec.CommandContext(ctx, "bash", "-c", script)
	tried.Dir = dir
	printed, err := tried.CombinedOutput()
	if err != nil {
		t.Errorf("what the demo prints to try does not work: %v\n%s\n%s", err, script, printed)
	}
	for _, want := range []string{"X-Error-Code: token_type_not_allowed", "bob's builds", "/login/link?code=", "release_freeze", "patrol_denials_total"} {
		if !strings.Contains(strings.ToLower(string(printed)), strings.ToLower(want)) {
			t.Errorf("what the demo prints to try does not show %s:\n%s", want, printed)
		}
	}

	second, err := demoCommand(ctx, t, dir).CombinedOutput()
	if err == nil || !strings.Contains(string(second), "another demo runs in .run") {
		t.Errorf("a second demo: %v\n%s", err, second)
	}
	if alive := below(dir); len(alive) != 3 {
		t.Errorf("the demo, patrol and Envoy should run: %q", alive)
	}

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out(), "stopping") {
		t.Errorf("after Ctrl-C: %v\n%s", err, out())
	}
	waitFor(t, "all ended by Ctrl-C", func() bool { return len(below(dir)) == 0 })

	cmd, _ = stayingDemo(ctx, t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	waitFor(t, "all ended with the demo", func() bool { return len(below(dir)) == 0 })
	canary.Folder(t, filepath.Join(dir, ".run", "data"))
}

// stayingDemo starts a demo that stays up, and returns when it has shown all.
func stayingDemo(ctx context.Context, t *testing.T, dir string) (*exec.Cmd, func() string) {
	t.Helper()
	cmd := demoCommand(ctx, t, dir)
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the demo stays up", func() bool { return strings.Contains(out.String(), "Ctrl-C ends everything") })
	return cmd, out.String
}

// below are the processes that run in a folder.
func below(dir string) (all []string) {
	list, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range list {
		cwd, err := os.Readlink(filepath.Join(p, "cwd"))
		exe, _ := os.Readlink(filepath.Join(p, "exe"))
		if err == nil && cwd == dir && exe != "" {
			all = append(all, exe)
		}
	}
	return all
}

// lockedBuffer is written by a process while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
