package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// checkout copies the files of this checkout to a new folder, as a clone would
// have them, beside a link to the venv that is there. Its path is short enough
// for sockets, and who runs the demo in the checkout itself is not disturbed.
func checkout(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "patrol")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatalf("list the checkout's files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		// What was deleted and not committed is not there; links lead to what is installed.
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(root, name), filepath.Join(dir, name), info); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, ".venv"), filepath.Join(dir, ".venv")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copyFile copies a file with its mode and its time, by which make goes.
func copyFile(from, to string, info os.FileInfo) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err == nil {
		err = out.Close()
	}
	if err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// TestMakeRunShowsWhatTheREADMESays runs README's first command in a copy of the
// checkout, twice: running it again works. What it prints is README's, but for
// ids and times.
func TestMakeRunShowsWhatTheREADMESays(t *testing.T) {
	dir := checkout(t)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := shown(t, string(readme))
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		cmd := exec.CommandContext(ctx, "make", "run", "ONESHOT=1")
		cmd.Dir = dir
		// As by hand: not as a part of the make that runs the tests.
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") })
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		cancel()
		if err != nil {
			t.Fatalf("make run ONESHOT=1: %v\n%s%s", err, out, &errs)
		}
		_, printed, found := strings.Cut(string(out), "patrol, and Envoy in front")
		if got := steady("patrol, and Envoy in front" + printed); !found || got != want {
			t.Errorf("README shows:\n%s\nit prints:\n%s", want, got)
		}
		if bytes.Contains(out, []byte("ptl_")) {
			t.Error("the demo prints a secret")
		}
		searchDemo(t, filepath.Join(dir, ".run"))
	}
}

// shown is the block of README that begins as the demo's output does.
func shown(t *testing.T, readme string) string {
	t.Helper()
	_, block, found := strings.Cut(readme, "\n    patrol, and Envoy in front")
	if !found {
		t.Fatal("README does not show what make run prints")
	}
	var lines []string
	for line := range strings.SplitSeq("    patrol, and Envoy in front"+block, "\n") {
		if text, indented := strings.CutPrefix(line, "    "); indented || line == "" {
			lines = append(lines, text)
			continue
		}
		break
	}
	return steady(strings.Join(lines, "\n"))
}

var changing = regexp.MustCompile(`127\.0\.0\.1:\d+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+ ms`)

// steady is a text without what is another at each run.
func steady(text string) string {
	return changing.ReplaceAllString(strings.TrimSpace(text), "…")
}
