package bundles_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patrol-authz/patrol/bundles"
	"github.com/patrol-authz/patrol/rego"
)

// seen keeps what the last success told of the active bundles.
type seen struct {
	active atomic.Pointer[[]bundles.Active]
}

func (s *seen) observe(e bundles.Event) {
	if e.Err == nil {
		s.active.Store(&e.Active)
	}
}

// now are the active bundles' revisions.
func (s *seen) now() map[string]string {
	out := map[string]string{}
	if active := s.active.Load(); active != nil {
		for _, b := range *active {
			out[b.Name] = b.Revision
		}
	}
	return out
}

func (s *seen) since(name string) (at int64) {
	for _, b := range *s.active.Load() {
		if b.Name == name {
			at = b.Since.UnixNano()
		}
	}
	return at
}

func (s *seen) eventually(t *testing.T, want map[string]string) {
	t.Helper()
	eventually(t, "other bundles are active", func() bool { return maps.Equal(s.now(), want) })
}

// overlay writes an overlay of a revision that holds one empty package.
func overlay(t *testing.T, dir, revision string) string {
	t.Helper()
	name := filepath.Base(dir)
	return write(t, dir, map[string]string{
		"local/" + name + "/a.rego": "package local." + name + "\n\nrevision := \"" + revision + "\"\n", ".manifest": `{"revision": "` + revision + `", "roots": ["local"]}`,
	})
}

// base writes the embedded base as an operator's bundle, changed.
func base(t *testing.T, dir, revision string, more map[string]string) string {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, rego.Base()); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{".manifest": `{"revision": "` + revision + `", "roots": ["patrol"]}`})
	return write(t, dir, more)
}

// TestEachActiveBundleIsToldWithItsOwnRevision: the base and each overlay, over
// swaps, a base that is replaced and one that comes back; a bundle that did not
// change keeps its age.
func TestEachActiveBundleIsToldWithItsOwnRevision(t *testing.T) {
	one, two := overlay(t, filepath.Join(t.TempDir(), "one"), "one-1"), overlay(t, filepath.Join(t.TempDir(), "two"), "two-1")
	var s seen
	o := options("", one, two)
	o.Observe = s.observe
	m := start(t, o)
	embedded := m.Status()[0].Revision
	s.eventually(t, map[string]string{"base": embedded, "local": "one-1", "local-2": "two-1"})
	base0, one0, two0 := s.since("base"), s.since("local"), s.since("local-2")

	overlay(t, two, "two-2")
	s.eventually(t, map[string]string{"base": embedded, "local": "one-1", "local-2": "two-2"})
	if s.since("base") != base0 || s.since("local") != one0 || s.since("local-2") <= two0 {
		t.Errorf("active since: base %d then %d, local %d then %d, local-2 %d then %d", base0, s.since("base"), one0, s.since("local"), two0, s.since("local-2"))
	}

	next := base(t, filepath.Join(t.TempDir(), "next"), "ours-1", nil)
	exchange(t, two, next)
	s.eventually(t, map[string]string{"local-2": "ours-1", "local": "one-1"})
	if got := m.Status()[0]; got.ReplacedBy != "local-2" || got.Revision != "" {
		t.Errorf("the embedded base is said to be %+v", got)
	}
	exchange(t, two, overlay(t, filepath.Join(t.TempDir(), "two"), "two-3"))
	s.eventually(t, map[string]string{"base": embedded, "local": "one-1", "local-2": "two-3"})
	if got := m.Status()[0]; got.ReplacedBy != "" || got.Revision != embedded {
		t.Errorf("the embedded base is said to be %+v", got)
	}
}

// exchange puts a folder in the place of another.
func exchange(t *testing.T, path, next string) {
	t.Helper()
	if err := os.Rename(path, path+".before"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path + ".before"); err != nil {
		t.Fatal(err)
	}
}

// TestABadOverlayOfAnotherKeepsItsErrorOverASwap: what is wrong with a source is
// told for as long as it is wrong.
func TestABadOverlayKeepsItsErrorOverTheSwapOfAnother(t *testing.T) {
	one, two := overlay(t, filepath.Join(t.TempDir(), "one"), "one-1"), overlay(t, filepath.Join(t.TempDir(), "two"), "two-1")
	var s seen
	o := options("", one, two)
	o.Observe = s.observe
	m := start(t, o)
	write(t, one, map[string]string{"local/one/a.rego": "nonsense"})
	eventually(t, "the error is reported", func() bool { return m.Status()[1].Error != "" })
	overlay(t, two, "two-2")
	eventually(t, "the other is swapped", func() bool { return s.now()["local-2"] == "two-2" })
	if got := m.Status()[1]; !strings.Contains(got.Error, "a.rego") || got.Revision != "one-1" {
		t.Errorf("the bad one is said to be %+v", got)
	}
}

// TestAfterARestartOnlyWhatIsWrongIsSaidToBe: of three overlays one is bad, one
// changed meanwhile and is good, one did not change.
func TestAfterARestartOnlyWhatIsWrongIsSaidToBe(t *testing.T) {
	for what, bad := range map[string]string{"does not parse": "nonsense", "does not pass the gate": "package local.one\n\nx if y == 1\n"} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			one, two, three := overlay(t, filepath.Join(dir, "one"), "one-1"), overlay(t, filepath.Join(dir, "two"), "two-1"), overlay(t, filepath.Join(dir, "three"), "three-1")
			o := options(t.TempDir(), one, two, three)
			first := bundles.New(o)
			if err := first.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			first.Close()
			write(t, one, map[string]string{"local/one/a.rego": bad})
			overlay(t, two, "two-2")
			var s seen
			o.Observe = s.observe
			m := start(t, o)
			want := map[string]string{"base": m.Status()[0].Revision, "local": "one-1", "local-2": "two-2", "local-3": "three-1"}
			if !maps.Equal(s.now(), want) {
				t.Errorf("active are %v, not %v", s.now(), want)
			}
			for i, status := range m.Status() {
				if wrong := i == 1; status.LastGood != wrong || (status.Error != "") != wrong {
					t.Errorf("%s: last good %t, error %q", status.Name, status.LastGood, status.Error)
				}
			}
			overlay(t, one, "one-2")
			eventually(t, "the mended one is active", func() bool { return s.now()["local"] == "one-2" })
			if got := m.Status()[1]; got.LastGood || got.Error != "" {
				t.Errorf("the mended one is said to be %+v", got)
			}
		})
	}
}
