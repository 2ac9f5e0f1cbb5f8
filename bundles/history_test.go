package bundles_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/bundles"
)

// release puts a revision into the folder of a bundle, in one step, as Kubernetes
// does; more are files beside.
func release(t *testing.T, dir, revision string, more ...map[string]string) {
	t.Helper()
	next, err := os.MkdirTemp(dir, "..v")
	if err != nil {
		t.Fatal(err)
	}
	for _, files := range append([]map[string]string{{
		"local/checks/a/a.rego": "package local.checks.a\n\n# of   " + revision + "\nreasons contains \"policy_denied\" if data.local.which.of == input.token.display_name\n",
		"local/which/data.json": `{"n": 1.50, "of": "` + revision + `"}`,
		".manifest":             `{"revision": "` + revision + `", "roots": ["local"]}`,
	}}, more...) {
		write(t, next, files)
	}
	link := next + ".link"
	if err := os.Symlink(filepath.Base(next), link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

// patient are options whose probes may take long: what operators do is tried once, on
// whatever machine.
func patient(state string, paths ...string) bundles.Options {
	o := options(state, paths...)
	o.ProbeTimeout = time.Minute
	return o
}

// shown is a history as a person reads it: number, revision, how it last became
// active, and a star at the active one.
func shown(m *bundles.Manager) string {
	var out []string
	list, _ := m.History()
	for _, v := range list {
		mark := ""
		if v.Active {
			mark = "*"
		}
		out = append(out, fmt.Sprintf("%d %s %s%s", v.Number, v.Revision, v.How, mark))
	}
	return strings.Join(out, ", ")
}

func wantHistory(t *testing.T, m *bundles.Manager, want string) {
	t.Helper()
	if got := shown(m); got != want {
		t.Errorf("the history is\n%s, not\n%s", got, want)
	}
}

func active(m *bundles.Manager) string {
	if r := m.Ruleset(); r != nil {
		return r.Roots["local"]
	}
	return "nothing"
}

// becomes waits until a revision is active, and noted.
func becomes(t *testing.T, m *bundles.Manager, revision string) {
	t.Helper()
	eventually(t, revision+" is active", func() bool { return m.Status()[1].Revision == revision })
}

func kindOf(err error) string {
	var refused *authz.BundleError
	if errors.As(err, &refused) {
		return refused.Kind
	}
	return fmt.Sprint(err)
}

// sequence starts a manager and makes several revisions active, one after the other.
func sequence(t *testing.T, state, dir string, revisions ...string) *bundles.Manager {
	t.Helper()
	release(t, dir, revisions[0])
	m := start(t, patient(state, dir))
	becomes(t, m, revisions[0])
	for _, r := range revisions[1:] {
		release(t, dir, r)
		becomes(t, m, r)
	}
	return m
}

func rollBack(t *testing.T, m *bundles.Manager, to string) *authz.BundleChange {
	t.Helper()
	c, err := m.RollBack(context.Background(), authz.BundleAct{To: to, By: "eve"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatBecameActiveIsKeptInTheHistory(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "one", "two", "three")
	wantHistory(t, m, "1 one source, 2 two source, 3 three source*")
	list, _ := m.History()
	for _, v := range list {
		if v.Bundle != "local" || v.Root != "local" || v.Digest == "" || v.Bytes == 0 || v.Signed || v.FirstActive.IsZero() || v.FirstActive != v.ActivatedAt || v.By != "" {
			t.Errorf("%+v", v)
		}
	}
	m.Close()
	again := start(t, patient(state, dir))
	wantHistory(t, again, "1 one source, 2 two source, 3 three source*")

	// What comes again is the newest.
	release(t, dir, "one")
	becomes(t, again, "one")
	wantHistory(t, again, "2 two source, 3 three source, 4 one source*")
}

func TestTheHistoryIsBounded(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	release(t, dir, "r0")
	o := patient(state, dir)
	o.HistoryEntries = 3
	m := start(t, o)
	for i := 1; i < 6; i++ {
		release(t, dir, fmt.Sprint("r", i))
		becomes(t, m, fmt.Sprint("r", i))
	}
	wantHistory(t, m, "4 r3 source, 5 r4 source, 6 r5 source*")
	if files, _ := filepath.Glob(filepath.Join(state, "bundles", "history", "*", "*")); len(files) != 6 {
		t.Errorf("on the disk are %v", files)
	}
	m.Close()

	// One that is larger than all may be is active, and said not to be there.
	o.HistoryBytes = 100
	m = start(t, o)
	release(t, dir, "large")
	becomes(t, m, "large")
	if got := m.Status()[1].HistoryError; !strings.Contains(got, "100") {
		t.Errorf("the status says %q", got)
	}
	if _, err := m.RollBack(context.Background(), authz.BundleAct{By: "eve"}); err != nil {
		t.Errorf("back from what is not in the history: %v", err)
	}
	if active(m) != "r5" {
		t.Errorf("active is %s", active(m))
	}
}

func TestRollingBackMakesTheOneBeforeActive(t *testing.T) {
	m := sequence(t, t.TempDir(), t.TempDir(), "one", "two", "three")
	c := rollBack(t, m, "")
	if c.FromRevision != "three" || c.Revision != "two" || c.How != authz.BundleRolledBack || c.NotKept != "" || active(m) != "two" {
		t.Errorf("%+v; active is %s", c, active(m))
	}
	wantHistory(t, m, "1 one source, 2 two rolled_back*, 3 three source")
	if h := m.Status()[1].Held; h == nil || h.By != "eve" || h.How != authz.BundleRolledBack || h.Revision != "two" || h.SourceRevision != "three" {
		t.Errorf("held: %+v", h)
	}
	if rollBack(t, m, ""); active(m) != "one" {
		t.Errorf("once more: %s", active(m))
	}
	if _, err := m.RollBack(context.Background(), authz.BundleAct{By: "eve"}); kindOf(err) != authz.BundleConflict {
		t.Errorf("before the first: %v", err)
	}
	list, _ := m.History()
	if rollBack(t, m, list[2].Digest); active(m) != "three" {
		t.Errorf("by the digest: %s", active(m))
	}
	if rollBack(t, m, "one"); active(m) != "one" {
		t.Errorf("by the revision: %s", active(m))
	}
}

func TestWhatWasRolledBackFromIsPassedOverUntilTheSourceChanges(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "one", "two")
	rollBack(t, m, "")
	again := func(what string) {
		t.Helper()
		m.Close()
		if m = start(t, patient(state, dir)); active(m) != "one" {
			t.Fatalf("%s: active is %s: %+v", what, active(m), m.Status())
		}
		if s := m.Status()[1]; s.Held == nil || s.Held.By != "eve" || s.LastGood || s.HistoryError != "" {
			t.Errorf("%s: the status is %+v", what, s)
		}
	}
	again("after a restart")
	// The same content, written anew, is no change; what the gate refuses ends no hold.
	release(t, dir, "two")
	write(t, dir, map[string]string{"..data/local/checks/a/a.rego": "nonsense"})
	eventually(t, "the broken one is reported", func() bool { return m.Status()[1].Error != "" })
	again("after a restart onto a broken source")
	if m.Status()[1].Error == "" {
		t.Error("what is wrong with the source is not said")
	}
	release(t, dir, "two")
	eventually(t, "the error ends", func() bool { return m.Status()[1].Error == "" })
	if active(m) != "one" || m.Status()[1].Held == nil {
		t.Errorf("what was rolled back from is back: %+v", m.Status()[1])
	}
	// Nor is a last good one that is lost.
	m.Close()
	if err := os.Remove(filepath.Join(state, "bundles", "local.tar.gz")); err != nil {
		t.Fatal(err)
	}
	again("without the last good one")

	release(t, dir, "three")
	becomes(t, m, "three")
	if m.Status()[1].Held != nil || m.Holds()["local"] {
		t.Errorf("still held: %+v", m.Status()[1])
	}
	wantHistory(t, m, "1 one rolled_back, 2 two source, 3 three source*")
	m.Close()
	if m = start(t, patient(state, dir)); active(m) != "three" || m.Status()[1].Held != nil {
		t.Errorf("after a restart %s is active: %+v", active(m), m.Status()[1])
	}
}

// A source that changed while patrol did not run counts.
func TestAHoldEndsWithASourceThatChangedMeanwhile(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "one", "two")
	rollBack(t, m, "")
	m.Close()
	release(t, dir, "three")
	if m = start(t, patient(state, dir)); active(m) != "three" || m.Status()[1].Held != nil {
		t.Errorf("active is %s: %+v", active(m), m.Status()[1])
	}
}

func TestReleasingGoesBackToTheSource(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "one", "two")
	if _, err := m.Release(context.Background(), authz.BundleAct{}); kindOf(err) != authz.BundleConflict {
		t.Errorf("what is not held: %v", err)
	}
	rollBack(t, m, "")
	write(t, dir, map[string]string{"..data/local/checks/a/a.rego": "nonsense"})
	if _, err := m.Release(context.Background(), authz.BundleAct{}); kindOf(err) != authz.BundleRefused || active(m) != "one" || m.Status()[1].Held == nil {
		t.Errorf("onto a broken source: %v; %s is active", err, active(m))
	}
	release(t, dir, "two")
	if c, err := m.Release(context.Background(), authz.BundleAct{DryRun: true}); err != nil || c.Revision != "two" || active(m) != "one" {
		t.Errorf("dry: %+v, %v; %s is active", c, err, active(m))
	}
	if c, err := m.Release(context.Background(), authz.BundleAct{}); err != nil || c.How != authz.BundleFromSource || active(m) != "two" || m.Status()[1].Held != nil {
		t.Errorf("%+v, %v: %+v", c, err, m.Status()[1])
	}
	m.Close()
	if m = start(t, patient(state, dir)); active(m) != "two" || m.Status()[1].Held != nil {
		t.Errorf("after a restart: %s, %+v", active(m), m.Status()[1])
	}
}

func TestARollbackThatIsNotToBeChangesNothing(t *testing.T) {
	dir := t.TempDir()
	policy := map[string]string{"local/policies/office_hours/policy.rego": fifth}
	release(t, dir, "two", policy)
	var used []string
	o := patient(t.TempDir(), dir)
	o.PoliciesInUse = func(context.Context) ([]string, error) { return used, nil }
	m := start(t, o)
	release(t, dir, "two")
	becomes(t, m, "two")
	eventually(t, "the policy is gone", func() bool { return !m.HasPolicy("office_hours") })
	release(t, dir, "three", policy)
	becomes(t, m, "three")
	used = []string{"office_hours"}
	before, tag := m.History()
	gone := errors.New("the audit log is gone")
	act := func(a authz.BundleAct) error { _, err := m.RollBack(context.Background(), a); return err }
	withPolicy := before[0].Digest
	for want, err := range map[string]error{
		authz.BundleRefused:  act(authz.BundleAct{To: before[1].Digest}), // without the policy that is in use
		authz.BundleMissing:  act(authz.BundleAct{To: "nonsense"}),
		authz.BundleInvalid:  act(authz.BundleAct{To: "two"}),
		authz.BundleConflict: act(authz.BundleAct{To: "three", Match: tag}),
		authz.BundleChanged:  act(authz.BundleAct{To: withPolicy, Match: "0123"}),
		gone.Error():         act(authz.BundleAct{To: withPolicy, Note: func(context.Context, map[string]any) error { return gone }}),
		"<nil>":              act(authz.BundleAct{To: withPolicy, DryRun: true, Note: func(context.Context, map[string]any) error { return gone }}),
	} {
		if got := kindOf(err); got != want {
			t.Errorf("%s, not %s: %v", got, want, err)
		}
	}
	if _, after := m.History(); after != tag || active(m) != "three" || m.Status()[1].Held != nil {
		t.Errorf("something changed: %s, %+v", active(m), m.Status()[1])
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := m.RollBack(ended, authz.BundleAct{To: withPolicy}); !errors.Is(err, context.Canceled) || active(m) != "three" {
		t.Errorf("who gave up: %v; %s is active", err, active(m))
	}
}

func TestWithoutASourceThereIsNothingToRollBack(t *testing.T) {
	m := start(t, patient(t.TempDir()))
	if _, err := m.RollBack(context.Background(), authz.BundleAct{}); kindOf(err) != authz.BundleConflict {
		t.Errorf("%v", err)
	}
	one, two := t.TempDir(), t.TempDir()
	overlay(t, filepath.Join(one, "one"), "one-1")
	overlay(t, filepath.Join(two, "two"), "two-1")
	m = start(t, patient(t.TempDir(), filepath.Join(one, "one"), filepath.Join(two, "two")))
	overlay(t, filepath.Join(two, "two"), "two-2")
	eventually(t, "the second is swapped", func() bool { return strings.Contains(m.Ruleset().Revision, "two-2") })
	if _, err := m.RollBack(context.Background(), authz.BundleAct{}); kindOf(err) != authz.BundleInvalid {
		t.Errorf("one of two: %v", err)
	}
	if _, err := m.RollBack(context.Background(), authz.BundleAct{Bundle: "local-3"}); kindOf(err) != authz.BundleMissing {
		t.Errorf("one that is not there: %v", err)
	}
	if _, err := m.RollBack(context.Background(), authz.BundleAct{Bundle: "local-2"}); err != nil || active(m) != "one-1+two-1" {
		t.Errorf("the second of two: %v; %s", err, active(m))
	}
}

// TestAFullDiskCostsTheHistoryAndNotTheActivation: nothing can be written where
// the history is, and where holds are.
func TestAFullDiskCostsTheHistoryAndNotTheActivation(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "one", "two")
	folders, _ := filepath.Glob(filepath.Join(state, "bundles", "history", "*"))
	blocked := folders[0]
	if err := os.Rename(blocked, blocked+".away"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(blocked), map[string]string{filepath.Base(blocked): "no folder"})
	write(t, filepath.Join(state, "bundles"), map[string]string{"held": "no folder"})
	release(t, dir, "three")
	becomes(t, m, "three")
	eventually(t, "the status says so", func() bool { return m.Status()[1].HistoryError != "" })
	wantHistory(t, m, "1 one source, 2 two source")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(blocked+".away", blocked); err != nil {
		t.Fatal(err)
	}
	c := rollBack(t, m, "one")
	if c.NotKept == "" || active(m) != "one" || m.Status()[1].Held.NotKept == "" {
		t.Errorf("%+v; %+v", c, m.Status()[1])
	}
	// With room again it is kept.
	if err := os.Remove(filepath.Join(state, "bundles", "held")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hold is kept", func() bool { return m.Status()[1].Held.NotKept == "" })
	m.Close()
	if m = start(t, patient(state, dir)); active(m) != "one" {
		t.Errorf("after a restart %s is active", active(m))
	}
}

// What is not whole is no entry, and what a tarball was changed to is not taken.
func TestAnEntryThatWasTamperedWithIsNotTaken(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "one", "two")
	names, _ := filepath.Glob(filepath.Join(state, "bundles", "history", "*", "*.tar.gz"))
	if len(names) != 2 {
		t.Fatalf("%v", names)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)/2] ^= 1
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.RollBack(context.Background(), authz.BundleAct{}); kindOf(err) != authz.BundleConflict || !strings.Contains(err.Error(), "not as it was written") {
		t.Errorf("%v", err)
	}
	m.Close()
	for i, name := range names {
		if i == 0 {
			if err := os.Truncate(name, 10); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	m = start(t, patient(state, dir))
	wantHistory(t, m, "1 two source*")
}

// A bundle of a higher serial is not to be replaced by one of a lower, unless
// somebody rolls back; even then its source does not go back behind what it was.
func TestRollingBackDoesNotLetASourceGoBack(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	numbered := func(revision string, serial int) {
		release(t, dir, revision, map[string]string{
			".manifest": fmt.Sprintf(`{"revision": %q, "roots": ["local"], "metadata": {"patrol": {"serial": %d}}}`, revision, serial),
		})
	}
	numbered("one", 1)
	m := start(t, patient(state, dir))
	for i, revision := range []string{"two", "three"} {
		numbered(revision, i+2)
		becomes(t, m, revision)
	}
	rollBack(t, m, "one")
	m.Close()
	m = start(t, patient(state, dir))
	numbered("old", 2)
	eventually(t, "what is older than three is refused", func() bool { return strings.Contains(m.Status()[1].Error, "serial 2 is older") })
	if active(m) != "one" {
		t.Errorf("active is %s", active(m))
	}
	numbered("new", 3)
	becomes(t, m, "new")
}
