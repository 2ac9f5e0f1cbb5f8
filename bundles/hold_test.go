package bundles_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/bundles"
)

// service is a bundle service that has what put gave it last; with nil it fails.
// Its bundles have to be signed. It counts what it served.
func service(t *testing.T) (o bundles.Options, put func([]byte), served *atomic.Int64) {
	t.Helper()
	var content atomic.Pointer[[]byte]
	served = &atomic.Int64{}
	put = func(b []byte) { content.Store(&b) }
	put(nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b := *content.Load()
		if b == nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/gzip")
		_, _ = w.Write(b)
		served.Add(1)
	}))
	t.Cleanup(server.Close)
	o = shadowed(t.TempDir(), comparer(t))
	var err error
	o.Remote, err = bundles.ParseRemote([]byte(fmt.Sprintf(`{"services": {"s": {"url": %q}}, "keys": {"ours": {"algorithm": "HS256", "key": "secret"}}, "bundles": {"ours": {
		"service": "s", "resource": "b.tar.gz", "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}, "signing": {"keyid": "ours"}}}}`, server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	return o, put, served
}

// signedSequence starts a manager of a service, and makes several of its revisions
// active, one after the other.
func signedSequence(t *testing.T, o bundles.Options, put func([]byte), revisions ...string) *bundles.Manager {
	t.Helper()
	put(signedBy(t, "secret", revisions[0]))
	m := start(t, o)
	becomes(t, m, revisions[0])
	for _, r := range revisions[1:] {
		put(signedBy(t, "secret", r))
		becomes(t, m, r)
	}
	return m
}

// asked waits until a service was asked twice more: what it has was seen.
func asked(t *testing.T, served *atomic.Int64) {
	t.Helper()
	before := served.Load()
	eventually(t, "the service was asked", func() bool { return served.Load() > before+1 })
}

// serialled releases a revision that has a serial.
func serialled(t *testing.T, dir, revision string, serial int) {
	t.Helper()
	release(t, dir, revision, map[string]string{
		".manifest": fmt.Sprintf(`{"revision": %q, "roots": ["local"], "metadata": {"patrol": {"serial": %d}}}`, revision, serial),
	})
}

func wantHeldAt(t *testing.T, m *bundles.Manager, revision string) {
	t.Helper()
	if s := m.Status()[1]; active(m) != revision || s.Held == nil || s.Held.Revision != revision {
		t.Errorf("%s is active, not %s, held: %+v", active(m), revision, s)
	}
}

// A service that comes back with what somebody rolled back from has nothing new.
func TestARollbackWhileTheSourceDoesNotAnswerLasts(t *testing.T) {
	o, put, served := service(t)
	m := signedSequence(t, o, put, "one", "two")
	m.Close()
	put(nil)
	m = start(t, o)
	becomes(t, m, "two")
	rollBack(t, m, "")
	put(signedBy(t, "secret", "two"))
	asked(t, served)
	wantHeldAt(t, m, "one")
	put(signedBy(t, "secret", "three"))
	becomes(t, m, "three")
}

// Nor has one that goes from what the gate refuses back to what was rolled back from.
func TestARollbackLastsWhereTheSourceHadWhatIsRefused(t *testing.T) {
	dir := t.TempDir()
	m := sequence(t, t.TempDir(), dir, "six", "seven")
	release(t, dir, "eight", map[string]string{"local/checks/a/a.rego": "package local.checks.a\n\nreasons contains \"made_up\" if true\n"})
	eventually(t, "eight is refused", func() bool { return m.Status()[1].Error != "" })
	rollBack(t, m, "")
	release(t, dir, "seven")
	eventually(t, "seven is seen", func() bool {
		return m.Status()[1].Error == "" && m.Status()[1].Held != nil && m.Status()[1].Held.SourceRevision == "seven"
	})
	wantHeldAt(t, m, "six")
}

// What serves from before there was a history has lost its signature: it is no entry,
// until its source brings it again.
func TestTheHistoryOfASignedSourceIsSigned(t *testing.T) {
	o, put, served := service(t)
	m := signedSequence(t, o, put, "one")
	m.Close()
	if err := os.RemoveAll(filepath.Join(o.StateDir, "bundles", "history")); err != nil {
		t.Fatal(err)
	}
	put(nil)
	m = start(t, o)
	becomes(t, m, "one")
	if list, _ := m.History(); len(list) != 0 || !strings.Contains(m.Status()[1].HistoryError, "signature") {
		t.Errorf("%+v; %+v", list, m.Status()[1])
	}
	put(signedBy(t, "secret", "one"))
	asked(t, served)
	if list, _ := m.History(); len(list) != 1 || !list[0].Signed {
		t.Errorf("%+v", list)
	}
	put(signedBy(t, "secret", "two"))
	becomes(t, m, "two")
	rollBack(t, m, "")
	wantHeldAt(t, m, "one")

	// An entry that is not as it was written is written anew by who promotes it.
	names, _ := filepath.Glob(filepath.Join(o.StateDir, "bundles", "history", "*", "*.tar.gz"))
	for _, name := range names {
		if err := os.WriteFile(name, []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := m.SetShadow(context.Background(), authz.BundleAct{}, signedBy(t, "secret", "two"), 1); err != nil {
		t.Fatal(err)
	}
	c, err := m.Promote(context.Background(), authz.BundleAct{By: "eve"}, authz.PromotionGuard{})
	if err != nil || c.NotKept != "" {
		t.Fatalf("%+v, %v", c, err)
	}
	m.Close()
	put(nil)
	m = start(t, o)
	wantHeldAt(t, m, "two")
}

func TestAHoldThatCannotBeServedIsTold(t *testing.T) {
	for name, spoil := range map[string]func(state string, o *bundles.Options){
		"the history is lost": func(state string, _ *bundles.Options) {
			for _, lost := range []string{"history", "local.tar.gz"} {
				if err := os.RemoveAll(filepath.Join(state, "bundles", lost)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"the gate refuses it": func(_ string, o *bundles.Options) {
			o.PoliciesInUse = func(context.Context) ([]string, error) { return []string{"office_hours"}, nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			state, dir := t.TempDir(), t.TempDir()
			m := sequence(t, state, dir, "six")
			release(t, dir, "seven", map[string]string{"local/policies/office_hours/policy.rego": fifth})
			becomes(t, m, "seven")
			rollBack(t, m, "")
			m.Close()
			o := patient(state, dir)
			spoil(state, &o)
			m = start(t, o)
			told := func() bool {
				e := m.Status()[1].Error
				return active(m) == "nothing" && strings.Contains(e, "held at six") && strings.Contains(e, "patrol bundle rollback --release")
			}
			if !told() {
				t.Fatalf("at once: %s is active: %+v", active(m), m.Status()[1])
			}
			seven := map[string]string{"local/policies/office_hours/policy.rego": fifth}
			release(t, dir, "seven", seven, map[string]string{"local/checks/a/a.rego": "nonsense"})
			broken := func() bool { return strings.Contains(m.Status()[1].Error, "read the bundle: ") }
			eventually(t, "the source is broken", broken)
			if !told() {
				t.Errorf("with a broken source: %s is active: %+v", active(m), m.Status()[1])
			}
			release(t, dir, "seven", seven)
			eventually(t, "the source is mended", func() bool { return !broken() })
			if !told() {
				t.Errorf("later: %s is active: %+v", active(m), m.Status()[1])
			}
			if _, err := m.Release(context.Background(), authz.BundleAct{}); err != nil || active(m) != "seven" {
				t.Errorf("released: %v; %+v", err, m.Status()[1])
			}
		})
	}
}

// Releasing before the service answers is no way to an older bundle.
func TestReleasingDoesNotLetASourceGoBack(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	serialled(t, dir, "r8", 8)
	m := start(t, patient(state, dir))
	becomes(t, m, "r8")
	serialled(t, dir, "r10", 10)
	becomes(t, m, "r10")
	rollBack(t, m, "")
	serialled(t, dir, "r8", 8)
	eventually(t, "r8 is refused", func() bool { return strings.Contains(m.Status()[1].Error, "serial 8 is older") })
	if _, err := m.Release(context.Background(), authz.BundleAct{}); kindOf(err) != authz.BundleRefused {
		t.Errorf("to what was refused: %v", err)
	}
	m.Close()
	m = start(t, patient(state, dir))
	wantHeldAt(t, m, "r8")
	serialled(t, dir, "r9", 9)
	eventually(t, "r9 is refused", func() bool { return strings.Contains(m.Status()[1].Error, "serial 9 is older") })
	wantHeldAt(t, m, "r8")
	serialled(t, dir, "new", 10)
	becomes(t, m, "new")
}

// TestTheFloorOutlivesAHold: the service does not answer while its bundle is released,
// nor at the restart after.
func TestTheFloorOutlivesAHold(t *testing.T) {
	o, put, _ := service(t)
	signed := func(revision string, serial int) []byte {
		t.Helper()
		dir := t.TempDir()
		serialled(t, dir, revision, serial)
		return signedDir(t, "secret", dir)
	}
	put(signed("r8", 8))
	m := start(t, o)
	becomes(t, m, "r8")
	put(signed("r10", 10))
	becomes(t, m, "r10")
	m.Close()
	put(nil)
	m = start(t, o)
	becomes(t, m, "r10")
	rollBack(t, m, "")
	if _, err := m.Release(context.Background(), authz.BundleAct{}); err != nil {
		t.Fatal(err)
	}
	m.Close()
	m = start(t, o)
	becomes(t, m, "r8")
	put(signed("r9", 9))
	eventually(t, "r9 is refused", func() bool {
		return strings.Contains(m.Status()[1].Error, "serial 9 is older than 10")
	})
	if active(m) != "r8" {
		t.Errorf("%s is active", active(m))
	}
	put(signed("r11", 11))
	becomes(t, m, "r11")
}

func TestReleasingGoesBackFromAPromotedBundleOfAHigherSerial(t *testing.T) {
	state, dir, sent := t.TempDir(), t.TempDir(), t.TempDir()
	serialled(t, dir, "r10", 10)
	m := start(t, shadowed(state, comparer(t), dir))
	becomes(t, m, "r10")
	serialled(t, sent, "r11", 11)
	if _, _, err := m.SetShadow(context.Background(), authz.BundleAct{}, packed(t, sent), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Promote(context.Background(), authz.BundleAct{}, authz.PromotionGuard{}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Release(context.Background(), authz.BundleAct{}); err != nil || active(m) != "r10" {
		t.Errorf("%v; %s is active", err, active(m))
	}
}

// Six is good, seven and eight are not: who goes back from eight does not mean seven.
func TestRollingBackSkipsWhatWasRolledBackFrom(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "six", "seven")
	rollBack(t, m, "")
	release(t, dir, "eight")
	becomes(t, m, "eight")
	m.Close()
	m = start(t, patient(state, dir))
	c := rollBack(t, m, "")
	if active(m) != "six" || !strings.Contains(strings.Join(c.Warnings, "\n"), "seven") || !strings.Contains(strings.Join(c.Warnings, "\n"), "is skipped") {
		t.Errorf("%s is active: %+v", active(m), c)
	}
	if _, err := m.RollBack(context.Background(), authz.BundleAct{}); kindOf(err) != authz.BundleConflict {
		t.Errorf("before six: %v", err)
	}
	// Who names it means it, and then it is as any other.
	rollBack(t, m, "seven")
	rollBack(t, m, "eight")
	if rollBack(t, m, ""); active(m) != "seven" {
		t.Errorf("%s is active", active(m))
	}
	if rollBack(t, m, ""); active(m) != "six" {
		t.Errorf("%s is active", active(m))
	}
	rollBack(t, m, "eight")
	m.Close()
	release(t, dir, "nine")
	m = start(t, patient(state, dir))
	becomes(t, m, "nine")
	rollBack(t, m, "")
	if active(m) != "eight" {
		t.Errorf("%s is active", active(m))
	}
}

// A second act of which nothing can be kept does not leave the first one's hold.
func TestWhereAHoldCannotBeKeptTheOneBeforeEnds(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "one", "two", "three")
	rollBack(t, m, "two")
	held, _ := filepath.Glob(filepath.Join(state, "bundles", "held", "*.json"))
	if len(held) != 1 {
		t.Fatalf("%v", held)
	}
	// Nothing can be written into the folder's file: it is a folder, and not empty.
	if err := os.Remove(held[0]); err != nil {
		t.Fatal(err)
	}
	write(t, held[0], map[string]string{"x": "x"})
	if c := rollBack(t, m, "one"); !strings.Contains(c.NotKept, "what was held before is active again") {
		t.Errorf("where not even that can be removed: %+v", c)
	}
	if err := os.RemoveAll(held[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is kept", func() bool { return m.Status()[1].Held.NotKept == "" })
	m.Close()
	m = start(t, patient(state, dir))
	wantHeldAt(t, m, "one")

	// A hold that ended is removed as soon as that can be.
	text, err := os.ReadFile(held[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(held[0]); err != nil {
		t.Fatal(err)
	}
	write(t, held[0], map[string]string{"x": string(text)})
	release(t, dir, "four")
	becomes(t, m, "four")
	if err := os.Remove(filepath.Join(held[0], "x")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is removed", func() bool { _, err := os.Stat(held[0]); return os.IsNotExist(err) })
}

// What is kept of a bundle is that of its source, whatever it is called.
func TestABundleThatIsPutFirstTakesNothingOver(t *testing.T) {
	state, first, second := t.TempDir(), t.TempDir(), t.TempDir()
	m := sequence(t, state, first, "one", "two")
	rollBack(t, m, "")
	m.Close()
	overlay(t, filepath.Join(second, "other"), "other-1")
	m = start(t, patient(state, filepath.Join(second, "other"), first))
	wantHistory(t, m, "1 other-1 source*, 1 one rolled_back*, 2 two source")
	if s := m.Status(); s[1].Held != nil || s[2].Held == nil || s[2].Revision != "one" {
		t.Errorf("%+v", s)
	}
	list, _ := m.History()
	if list[0].Bundle != "local" || list[1].Bundle != "local-2" {
		t.Errorf("%+v", list)
	}
}

func TestBundlesThatCouldBeTakenForEachOtherAreRefused(t *testing.T) {
	dir := t.TempDir()
	release(t, dir, "one")
	remote, err := bundles.ParseRemote([]byte(`{"services": {"s": {"url": "http://127.0.0.1:1"}}, "bundles": {"local": {"service": "s"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	named := options(t.TempDir(), dir)
	named.Remote = remote
	for want, o := range map[string]bundles.Options{"opa.bundles.local: ": named, "are both": options(t.TempDir(), dir, dir)} {
		m := bundles.New(o)
		t.Cleanup(m.Close)
		if err := m.Start(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// What cannot be read for the moment, or has an unusual name, is not removed.
func TestTheHistoryIsNotLostWithAReadingThatFails(t *testing.T) {
	state, dir := filepath.Join(t.TempDir(), "of [us]"), t.TempDir()
	m := sequence(t, state, dir, "one", "two")
	m.Close()
	m = start(t, patient(state, dir))
	wantHistory(t, m, "1 one source, 2 two source*")
	m.Close()
	folders, err := os.ReadDir(filepath.Join(state, "bundles", "history"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("%v, %v", folders, err)
	}
	folder := filepath.Join(state, "bundles", "history", folders[0].Name())
	// One description cannot be read as a file.
	write(t, folder, map[string]string{"broken.json/x": "x"})
	write(t, folder, map[string]string{"broken.tar.gz": "x"})
	m = start(t, patient(state, dir))
	release(t, dir, "three")
	becomes(t, m, "three")
	wantHistory(t, m, "1 one source, 2 two source, 3 three source*")
	if _, err := os.Stat(filepath.Join(folder, "broken.tar.gz")); err != nil {
		t.Errorf("%v", err)
	}
}
