package bundles_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/bundles"
)

// noteOf is the file of the one hold that there is.
func noteOf(t *testing.T, state string) string {
	t.Helper()
	notes, err := filepath.Glob(filepath.Join(state, "bundles", "held", "*.json"))
	if err != nil || len(notes) != 1 {
		t.Fatalf("the notes are %v, %v", notes, err)
	}
	return notes[0]
}

// torn leaves nothing of a file's content.
func torn(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Nothing is made of a note that cannot be read: the source may have what somebody
// went back from.
func TestAHoldThatIsLostHolds(t *testing.T) {
	for name, spoil := range map[string]func(file string) error{
		"torn":    func(file string) error { return os.WriteFile(file, []byte(`{"digest": "1`), 0o600) },
		"empty":   func(file string) error { return os.WriteFile(file, []byte(`{}`), 0o600) },
		"no file": func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			state, dir := t.TempDir(), t.TempDir()
			m := sequence(t, state, dir, "six", "seven")
			rollBack(t, m, "")
			m.Close()
			note := noteOf(t, state)
			if err := spoil(note); err != nil {
				t.Fatal(err)
			}
			m = start(t, patient(state, dir))
			s := m.Status()[1]
			if active(m) != "nothing" || s.Held != nil || !m.Holds()["local"] || !strings.Contains(s.Error, note) || !strings.Contains(s.Error, "patrol bundle rollback --release") {
				t.Errorf("%s is active: %+v", active(m), s)
			}
			// What is new is not what somebody went back from.
			release(t, dir, "eight")
			becomes(t, m, "eight")
			m.Close()
			m = start(t, patient(state, dir))
			if active(m) != "eight" || m.Holds()["local"] {
				t.Errorf("later %s is active: %+v", active(m), m.Status()[1])
			}
		})
	}
	t.Run("released", func(t *testing.T) {
		state, dir := t.TempDir(), t.TempDir()
		m := sequence(t, state, dir, "six", "seven")
		rollBack(t, m, "")
		m.Close()
		torn(t, noteOf(t, state))
		m = start(t, patient(state, dir))
		if _, err := m.Release(context.Background(), authz.BundleAct{}); err != nil || active(m) != "seven" || m.Holds()["local"] {
			t.Errorf("released: %v; %s, %+v", err, active(m), m.Status()[1])
		}
	})
}

// What the history says that somebody went back from is passed over, whatever the
// source had first.
func TestWhereAHoldIsLostTheHistoryKnows(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "six", "seven")
	rollBack(t, m, "")
	m.Close()
	torn(t, noteOf(t, state))
	release(t, dir, "half", map[string]string{"local/checks/a/a.rego": "package local.checks.a\n\nreasons contains \"made_up\" if true\n"})
	m = start(t, patient(state, dir))
	release(t, dir, "seven")
	time.Sleep(time.Second) // it is passed over without a sign
	if active(m) != "nothing" {
		t.Errorf("%s is active: %+v", active(m), m.Status()[1])
	}
	release(t, dir, "eight")
	becomes(t, m, "eight")
}

func TestARollbackUponALostHoldLasts(t *testing.T) {
	o, put, served := service(t)
	m := signedSequence(t, o, put, "one", "two")
	rollBack(t, m, "")
	m.Close()
	torn(t, noteOf(t, o.StateDir))
	put(nil)
	m = start(t, o)
	if active(m) != "nothing" {
		t.Errorf("%s is active", active(m))
	}
	rollBack(t, m, "")
	put(signedBy(t, "secret", "two"))
	asked(t, served)
	wantHeldAt(t, m, "one")
}

// A note that can be read again is followed, without a restart.
func TestALostHoldThatIsFoundServes(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	m := sequence(t, state, dir, "six", "seven")
	rollBack(t, m, "")
	m.Close()
	note := noteOf(t, state)
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	torn(t, note)
	m = start(t, patient(state, dir))
	if err := os.WriteFile(note, text, 0o600); err != nil {
		t.Fatal(err)
	}
	release(t, dir, "seven") // it is looked at again
	becomes(t, m, "six")
	wantHeldAt(t, m, "six")
}

// other is an overlay that goes with those of release.
func other(revision string) map[string]string {
	return map[string]string{
		".manifest":                     `{"revision": "` + revision + `", "roots": ["local"]}`,
		"local/checks/other/other.rego": "package local.checks.other\n\n# of " + revision + "\nreasons contains \"policy_denied\" if false\n",
	}
}

// serves waits until something is active.
func serves(t *testing.T, m *bundles.Manager, revisions string) {
	t.Helper()
	eventually(t, revisions+" are active", func() bool { return active(m) == revisions })
}

// Two whose holds are lost do not wait for each other: neither once they are released,
// nor once they have something else.
func TestTwoLostHolds(t *testing.T) {
	for name, end := range map[string]func(m *bundles.Manager, first, second string){
		"released": func(m *bundles.Manager, _, _ string) {
			for _, one := range []string{"local", "local-2"} {
				if _, err := m.Release(context.Background(), authz.BundleAct{Bundle: one}); err != nil {
					t.Errorf("release %s: %v", one, err)
				}
			}
			serves(t, m, "seven+two")
		},
		"changed": func(m *bundles.Manager, first, second string) {
			release(t, first, "eight")
			eventually(t, "the first one waits", func() bool { return strings.Contains(m.Status()[1].Error, "waiting for the bundle local-2") })
			write(t, second, other("three"))
			serves(t, m, "eight+three")
		},
	} {
		t.Run(name, func(t *testing.T) {
			state, first, second := t.TempDir(), t.TempDir(), t.TempDir()
			release(t, first, "six")
			write(t, second, other("one"))
			m := start(t, patient(state, first, second))
			serves(t, m, "six+one")
			release(t, first, "seven")
			serves(t, m, "seven+one")
			write(t, second, other("two"))
			serves(t, m, "seven+two")
			for _, one := range []string{"local", "local-2"} {
				if _, err := m.RollBack(context.Background(), authz.BundleAct{Bundle: one, By: "eve"}); err != nil {
					t.Fatal(err)
				}
			}
			m.Close()
			notes, err := filepath.Glob(filepath.Join(state, "bundles", "held", "*.json"))
			if err != nil || len(notes) != 2 {
				t.Fatalf("the notes are %v, %v", notes, err)
			}
			for _, note := range notes {
				torn(t, note)
			}
			m = start(t, patient(state, first, second))
			if active(m) != "nothing" {
				t.Errorf("%s is active", active(m))
			}
			end(m, first, second)
		})
	}
}

// Two services that answer for the first time, in whatever order.
func TestTwoServicesStartTogether(t *testing.T) {
	dir, beside := t.TempDir(), t.TempDir()
	release(t, dir, "six")
	write(t, beside, other("one"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/gzip")
		_, _ = w.Write(packed(t, map[string]string{"/a.tar.gz": dir, "/b.tar.gz": beside}[r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	o := patient(t.TempDir())
	const polling = `"polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}`
	var err error
	o.Remote, err = bundles.ParseRemote([]byte(fmt.Sprintf(`{"services": {"s": {"url": %q}}, "bundles": {"a": {"service": "s", "resource": "a.tar.gz", %s}, "b": {"service": "s", "resource": "b.tar.gz", %s}}}`, server.URL, polling, polling)))
	if err != nil {
		t.Fatal(err)
	}
	m := start(t, o)
	serves(t, m, "six+one")
}
