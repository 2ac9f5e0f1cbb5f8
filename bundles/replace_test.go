package bundles_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestABundleReplacesTheBase: one with the root patrol is judged as the base is.
func TestABundleReplacesTheBase(t *testing.T) {
	dir := base(t, filepath.Join(t.TempDir(), "ours"), "ours-1", map[string]string{"patrol/ours/a.rego": "package patrol.ours\n\nx := 1\n"})
	m := start(t, options("", dir))
	r := m.Ruleset()
	if r == nil || r.Name != "base" || r.Revision != "ours-1" || r.Roots["patrol"] != "ours-1" || len(r.Policies) != 4 {
		t.Fatalf("active: %+v; %+v", r, m.Status())
	}
	// In an overlay this is a warning.
	wrong := "\n\nx if input.token.no_such_field == 1\n"
	write(t, dir, map[string]string{"patrol/ours/a.rego": "package patrol.ours" + wrong, ".manifest": `{"revision": "ours-2", "roots": ["patrol"]}`})
	eventually(t, "the type error is refused", func() bool {
		return strings.Contains(m.Status()[1].Error, "no_such_field") && strings.Contains(m.Status()[1].Error, "a.rego:3")
	})
	if m.Ruleset() != r {
		t.Error("the base with the type error is active")
	}
	of := start(t, options("", write(t, t.TempDir(), map[string]string{"local/a.rego": "package local.a" + wrong})))
	if got := of.Status()[1]; of.Ruleset() == nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "no_such_field") {
		t.Errorf("the overlay with the type error: %+v", got)
	}
}

// TestANewBaseThatBreaksTheOverlayIsRefused: the two that fit go on, also after
// a restart.
func TestANewBaseThatBreaksTheOverlayIsRefused(t *testing.T) {
	shared := map[string]string{"patrol/ours/a.rego": "package patrol.ours\n\nreads(token) if token.kind == \"read\"\n"}
	ours := base(t, filepath.Join(t.TempDir(), "ours"), "ours-1", shared)
	local := write(t, t.TempDir(), map[string]string{
		"local/checks/a/a.rego": "package local.checks.a\n\nimport data.patrol.ours\n\nreasons contains \"policy_denied\" if ours.reads(input.token)\n",
		".manifest":             `{"revision": "local-1", "roots": ["local"]}`,
	})
	state := t.TempDir()
	m := start(t, options(state, ours, local))
	before := m.Ruleset()
	if before == nil || before.Revision != "ours-1+local-1" {
		t.Fatalf("%+v", m.Status())
	}
	exchange(t, ours, base(t, filepath.Join(t.TempDir(), "next"), "ours-2", nil))
	eventually(t, "the new base is refused", func() bool { return strings.Contains(m.Status()[1].Error, "ours.reads") })
	if m.Ruleset() != before || m.Status()[1].Revision != "ours-1" || m.Status()[2].Error != "" {
		t.Errorf("active is %s: %+v", m.Ruleset().Revision, m.Status())
	}
	m.Close()
	again := start(t, options(state, ours, local))
	if r := again.Ruleset(); r == nil || r.Revision != before.Revision {
		t.Fatalf("after a restart: %+v", again.Status())
	}
	if base, overlay := again.Status()[1], again.Status()[2]; !base.LastGood || !strings.Contains(base.Error, "ours.reads") || overlay.LastGood || overlay.Error != "" {
		t.Errorf("after a restart: %+v, %+v", base, overlay)
	}
}

func TestTwoBundlesDoNotBothReplaceTheBase(t *testing.T) {
	m := start(t, options("", base(t, filepath.Join(t.TempDir(), "a"), "a", nil), base(t, filepath.Join(t.TempDir(), "b"), "b", nil)))
	if m.Ruleset() != nil || !strings.Contains(fmt.Sprint(m.Status()), "local and local-2 have both the root patrol") {
		t.Errorf("%+v", m.Status())
	}
}

// TestALocalTarballIsReplaced, whole or in pieces: what is no whole tarball is
// refused and nothing changes.
func TestALocalTarballIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.tar.gz")
	packed := func(revision string) []byte {
		return tarball(t, map[string]string{".manifest": `{"revision": "` + revision + `", "roots": ["local"]}`, "local/policies/office_hours/policy.rego": fifth})
	}
	put := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(path+".next", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".next", path); err != nil {
			t.Fatal(err)
		}
	}
	put(packed("one"))
	m := start(t, options("", path))
	if r := m.Ruleset(); r == nil || r.Roots["local"] != "one" || !m.HasPolicy("office_hours") {
		t.Fatalf("%+v", m.Status())
	}
	put(packed("two"))
	eventually(t, "the second is active", func() bool { return m.Ruleset().Roots["local"] == "two" })
	three := packed("three")
	put(three[:len(three)/2])
	eventually(t, "half of one is refused", func() bool { return m.Status()[1].Error != "" })
	if got := m.Ruleset().Roots["local"]; got != "two" {
		t.Errorf("with half a tarball %s is active", got)
	}
	if err := os.WriteFile(path, three, 0o600); err != nil { // written over in its place
		t.Fatal(err)
	}
	eventually(t, "the third is active", func() bool { return m.Ruleset().Roots["local"] == "three" && m.Status()[1].Error == "" })
}

// TestALargeBundleIsToldBeforeItIsTried, so that memory can be made ready for it.
func TestALargeBundleIsToldBeforeItIsTried(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"local/data.json": `{"few": true}`, ".manifest": `{"revision": "small", "roots": ["local"]}`})
	var told atomic.Int64
	o := options("", dir)
	o.Large = func() { told.Add(1) }
	m := start(t, o)
	if r := m.Ruleset(); r == nil || told.Load() != 0 {
		t.Fatalf("a small one was told %d times: %+v", told.Load(), m.Status())
	}
	many := `{"many": "` + strings.Repeat("x", 300<<10) + `"}`
	write(t, dir, map[string]string{"local/data.json": many, ".manifest": `{"revision": "large", "roots": ["local"]}`})
	eventually(t, "the large one is active", func() bool { return m.Ruleset().Roots["local"] == "large" })
	if told.Load() == 0 {
		t.Error("the large one was not told")
	}
}
