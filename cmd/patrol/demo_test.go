package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// build builds a command of this module once into a folder.
func build(t testing.TB, pkg, to string) {
	t.Helper()
	out, err := exec.Command("go", "build", "-o", to, "github.com/patrol-authz/patrol/"+pkg).CombinedOutput()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
}

// TestTheDemoShowsThePolicyTable runs what "make run ONESHOT=1" runs, twice:
// running it again works.
func TestTheDemoShowsThePolicyTable(t *testing.T) {
	dir := t.TempDir()
	build(t, "cmd/patrol", filepath.Join(dir, "bin", "patrol"))
	build(t, "deploy/demo", filepath.Join(dir, "bin", "demo"))
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		cmd := exec.CommandContext(ctx, filepath.Join(dir, "bin", "demo"))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "ONESHOT=1", "PATROL_ENVOY="+filepath.Join(wd, "..", "..", ".venv", "bin", "envoy"))
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("the demo failed: %v\n%s", err, out)
		}
		for _, want := range []string{"token_type_not_allowed", "approval_pending", "organization_forbidden", "policy_denied", "It took effect"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("the demo does not show %s:\n%s", want, out)
			}
		}
		if bytes.Contains(out, []byte("ptl_")) {
			t.Error("the demo prints a secret")
		}
	}
}
