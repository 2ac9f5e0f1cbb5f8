package bundles

import (
	"bufio"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/patrol-authz/patrol/authz"
)

const killedIn = "PATROL_TEST_HISTORY"

func killedHistory(dir string) (*history, *source) {
	s := &source{name: "local"}
	h := &history{dir: dir, most: 5, bytes: 1 << 20, log: slog.New(slog.DiscardHandler), of: map[*source][]*version{}, unsure: map[*source]bool{}}
	h.open(s)
	return h, s
}

// TestMakeHistory is the process that is killed: it makes one version after the
// other active, goes back now and then, and says which are written.
func TestMakeHistory(t *testing.T) {
	dir := os.Getenv(killedIn)
	if dir == "" {
		return // TestTheHistorySurvivesKill runs it
	}
	h, s := killedHistory(dir)
	for i := 0; ; i++ {
		b := &bundle.Bundle{Data: map[string]any{"local": map[string]any{"i": fmt.Sprint(os.Getpid(), " ", i)}}}
		b.Manifest.Init()
		l, err := judge(b, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.activated(s, l, authz.BundleFromSource, "", time.Now()); err != nil {
			t.Fatal(err)
		}
		newest := h.of[s][len(h.of[s])-1]
		fmt.Fprintln(os.Stderr, newest.Number, newest.Digest)
		if back := h.of[s][0]; i%3 == 2 {
			if l, err = h.read(s, back); err != nil {
				t.Fatal(err)
			}
			if err := h.activated(s, l, authz.BundleRolledBack, "eve", time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestTheHistorySurvivesKill: whenever the process ends, what it said to be written
// is there, and whatever is there is whole.
func TestTheHistorySurvivesKill(t *testing.T) {
	dir := t.TempDir()
	written, kills := 0, 15
	for range kills {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestMakeHistory$")
		cmd.Env = append(os.Environ(), killedIn+"="+dir)
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var number int64
		var digest string
		lines := bufio.NewScanner(out)
		first := true
		for lines.Scan() {
			if _, err := fmt.Sscan(lines.Text(), &number, &digest); err != nil {
				t.Fatalf("it said %q", lines.Text())
			}
			written++
			if first {
				first = false
				time.AfterFunc(time.Duration(rand.IntN(150_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Wait()
		h, s := killedHistory(dir)
		all := h.of[s]
		if n := len(all); n == 0 || n > 7 {
			t.Fatalf("%d entries are there", n)
		}
		found := false
		for i, v := range all {
			if _, err := h.read(s, v); err != nil {
				t.Errorf("%d %s is not whole: %v", v.Number, v.Digest, err)
			}
			if i > 0 && v.Number <= all[i-1].Number {
				t.Errorf("%d comes after %d", v.Number, all[i-1].Number)
			}
			found = found || v.Number == number && v.Digest == digest
		}
		if !found {
			t.Errorf("what was written is not there: %d %s", number, digest)
		}
	}
	// What was left half done is swept out by the next one.
	h, s := killedHistory(dir)
	h.prune(s, h.last(s))
	if files, _ := filepath.Glob(filepath.Join(h.folder(s), "*")); len(files) != 2*len(h.of[s]) {
		t.Errorf("left are %v", files)
	}
	if files, _ := filepath.Glob(filepath.Join(h.folder(s), ".keep-*")); len(files) != 0 {
		t.Errorf("left are %v", files)
	}
	t.Logf("%d kills, %d versions written", kills, written)
}
