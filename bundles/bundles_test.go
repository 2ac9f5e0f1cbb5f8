package bundles_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/routing"
	"github.com/patrol-authz/patrol/bundles"
	"github.com/patrol-authz/patrol/rego"
)

func options(state string, paths ...string) bundles.Options {
	return bundles.Options{
		Base: rego.Base(), Schema: rego.Schema(), Paths: paths, StateDir: state, Poll: 100 * time.Millisecond, Debounce: 20 * time.Millisecond,
		ProbeTimeout: 500 * time.Millisecond,
		Build: func(ctx context.Context, c bundles.Compiled) (authz.Evaluator, error) {
			return engine.NewTopdown(ctx, engine.Options{Compiler: c.Compiler, Store: c.Store, Timeout: time.Minute}) // the probe has its own
		},
		Router: func(data map[string]any) (authz.Router, error) { return routing.FromData(data) },
	}
}

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func start(t *testing.T, o bundles.Options) *bundles.Manager {
	t.Helper()
	m := bundles.New(o)
	if err := m.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

const fifth = `# METADATA
# title: Office hours
# description: A fifth policy.
# custom:
#   unscoped: Authorized from 9 to 5
#   fine_grained: Authorized
package local.policies.office_hours

reasons contains "token_type_not_allowed" if input.token.kind == "write"
`

func TestTheEmbeddedBasePassesTheGate(t *testing.T) {
	r := start(t, options("")).Ruleset()
	if r == nil || len(r.Policies) != 4 {
		t.Fatalf("ruleset: %+v", r)
	}
	for _, p := range r.Policies {
		if p.Title == p.Name || p.Unscoped == "" || p.FineGrained == "" || p.RequiresApproval != (p.Name == "require_administrator_approval") {
			t.Errorf("METADATA of %+v", p)
		}
	}
}

func TestAFifthPolicyIsOneMoreFolder(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"local/policies/office_hours/policy.rego": fifth})
	m := start(t, options("", dir))
	if !m.HasPolicy("office_hours") || !m.HasPolicy("require_administrator_approval") {
		t.Fatalf("policies: %v; %+v", m.PolicyNames(), m.Status())
	}
}

func TestTheGateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"Rego that does not parse":      {map[string]string{"local/a.rego": "package local.a\n\nallow if {"}, []string{"a.rego:3"}},
		"Rego that does not compile":    {map[string]string{"local/a.rego": "package local.a\n\nallow if x == 1"}, []string{"a.rego:3", "unsafe"}},
		"an undeclared reason":          {map[string]string{"local/checks/a/check.rego": "package local.checks.a\n\nreasons contains \"made_up\" if true"}, []string{"check.rego:3", "made_up", "catalogue"}},
		"a reason that is computed":     {map[string]string{"local/checks/a/check.rego": "package local.checks.a\n\nreasons contains x if x := input.token.kind"}, []string{"check.rego:3", "written out"}},
		"a package outside its root":    {map[string]string{"local/a.rego": "package patrol.a\n\nx := 1"}, []string{"a.rego:1", "under local"}},
		"data outside its root":         {map[string]string{"other/data.json": "{\"a\": 1}", "local/a.rego": "package local.a"}, []string{"data.other"}},
		"a policy that is there twice":  {map[string]string{"local/policies/only_fine_grained_tokens/p.rego": "package local.policies.only_fine_grained_tokens\n\nreasons := set()"}, []string{"only_fine_grained_tokens", "under patrol and under local"}},
		"a policy without reasons":      {map[string]string{"local/policies/x/p.rego": "package local.policies.x\n\ny := 1"}, []string{"p.rego:1", "gives no reasons"}},
		"a route that leads nowhere":    {map[string]string{"local/routes/data.json": `[{"pattern": "/x"}]`}, []string{"local.routes[0] /x", "permission"}},
		"a reworded reason before Rego": {map[string]string{"local/catalogue/data.json": `{"policy_error": {"allow": true}}`}, []string{"policy_error", "before Rego"}},
		"a status that is no refusal":   {map[string]string{"local/catalogue/data.json": `{"policy_denied": {"http_status": 200}}`}, []string{"policy_denied", "200"}},
		"a policy that never ends":      {map[string]string{"local/checks/a/check.rego": "package local.checks.a\n\nreasons contains \"policy_denied\" if {\n\tsome a in numbers.range(1, 100000)\n\tsome b in numbers.range(1, 100000)\n\ta * b == -1\n}"}, []string{"probe"}},
		"an answer of the wrong shape":  {map[string]string{"local/a.rego": "package local\n\nanswer := {\"headers\": 7}"}, []string{"probe", "headers"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, t.TempDir(), c.files)
			m := start(t, options("", dir))
			if m.Ruleset() != nil {
				t.Fatal("it was activated")
			}
			got := m.Status()[1].Error
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("the error %q does not say %q", got, w)
				}
			}
		})
	}
}

func TestABadChangeKeepsWhatIsActiveAndAGoodOneReplacesIt(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"local/policies/office_hours/policy.rego": fifth})
	m := start(t, options("", dir))
	before := m.Ruleset().Revision
	write(t, dir, map[string]string{"local/policies/office_hours/policy.rego": "package local.policies.office_hours\n\nreasons contains"})
	eventually(t, "the error is reported", func() bool { return m.Status()[1].Error != "" })
	if m.Ruleset().Revision != before {
		t.Fatal("the bad bundle is active")
	}
	write(t, dir, map[string]string{"local/policies/office_hours/policy.rego": fifth + "\nreasons contains \"policy_denied\" if input.token.kind == \"read\"\n"})
	eventually(t, "the good one is active", func() bool { return m.Ruleset().Revision != before && m.Status()[1].Error == "" })
}

func TestAFolderThatComesBackAsItWasEndsItsError(t *testing.T) {
	dir := write(t, filepath.Join(t.TempDir(), "policy"), map[string]string{"local/policies/office_hours/policy.rego": fifth})
	m := start(t, options("", dir))
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the missing folder is reported", func() bool { return m.Status()[1].Error != "" })
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the error ends", func() bool { return m.Status()[1].Error == "" })
}

func TestTheLastGoodBundleServesAfterARestartOntoABadOne(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"local/policies/office_hours/policy.rego": fifth})
	state := t.TempDir()
	first := bundles.New(options(state, dir))
	if err := first.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	first.Close()
	write(t, dir, map[string]string{"local/policies/office_hours/policy.rego": "nonsense"})
	m := start(t, options(state, dir))
	if m.Ruleset() == nil || !m.HasPolicy("office_hours") {
		t.Fatalf("no last good: %+v", m.Status())
	}
	if s := m.Status()[1]; !s.LastGood || s.Error == "" {
		t.Errorf("the status does not tell: %+v", s)
	}
}

func TestABadOverlayAtTheFirstStartLeavesNothingActive(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"local/a.rego": "nonsense"})
	if start(t, options(t.TempDir(), dir)).Ruleset() != nil {
		t.Fatal("the base serves without its overlay")
	}
}

func TestAPolicyInUseIsNotDropped(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"local/policies/office_hours/policy.rego": fifth, "local/b.rego": "package local.b\n\nx := 1"})
	o := options("", dir)
	o.PoliciesInUse = func(context.Context) ([]string, error) { return []string{"office_hours"}, nil }
	m := start(t, o)
	if err := os.RemoveAll(filepath.Join(dir, "local/policies")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the drop is refused", func() bool { return strings.Contains(m.Status()[1].Error, "office_hours") })
	if !m.HasPolicy("office_hours") {
		t.Fatal("the policy is gone")
	}
}

func TestAKubernetesMountIsSwapped(t *testing.T) {
	dir := t.TempDir()
	mount := func(version, reason string) {
		write(t, filepath.Join(dir, "..v"+version), map[string]string{"local/policies/p/p.rego": "package local.policies.p\n\nreasons contains \"" + reason + "\" if input.token\n"})
		link := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink("..v"+version, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	mount("1", "policy_denied")
	if err := os.Symlink("..data/local", filepath.Join(dir, "local")); err != nil {
		t.Fatal(err)
	}
	m := start(t, options("", dir))
	if !m.HasPolicy("p") {
		t.Fatalf("not loaded: %+v", m.Status())
	}
	before := m.Ruleset().Revision
	mount("2", "token_type_not_allowed")
	eventually(t, "the swap is active", func() bool { return m.Ruleset().Revision != before })
}

// Each answer must be that of the revision it names, however often it changes.
func TestSwappingUnderLoadMixesNothing(t *testing.T) {
	dir := t.TempDir()
	swap := func(i int) {
		reason := []string{"policy_denied", "lifetime_exceeded"}[i%2]
		next := write(t, filepath.Join(dir, "..v"+string(rune('a'+i%26))+string(rune('a'+i/26))), map[string]string{
			".manifest":             `{"revision": "` + reason + `", "roots": ["local"]}`,
			"local/checks/a/a.rego": "package local.checks.a\n\nreasons contains \"" + reason + "\" if data.local.which == \"" + reason + "\"\n",
			"local/which/data.json": `"` + reason + `"`,
		})
		_ = os.Remove(filepath.Join(dir, "..tmp"))
		if err := os.Symlink(filepath.Base(next), filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	swap(0)
	o := options("", dir)
	o.ProbeTimeout = time.Minute // whoever is slow here is so by the load, or the race detector
	m := start(t, o)
	if m.Ruleset() == nil {
		t.Fatalf("%+v", m.Status())
	}
	defer func() {
		if t.Failed() {
			t.Logf("%+v", m.Status())
		}
	}()
	var judged, wrong atomic.Int64
	stop := make(chan struct{})
	var wait sync.WaitGroup
	facts := &authz.Facts{Now: time.Now().UTC(), Route: &authz.Route{Access: "unmanaged"}}
	for range 2 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := m.Ruleset()
				d, err := r.Evaluator.Evaluate(context.Background(), facts)
				if err != nil || d.Reason != r.Roots["local"] {
					wrong.Add(1)
				}
				judged.Add(1)
			}
		}()
	}
	for i := 1; i <= 50; i++ {
		want := []string{"policy_denied", "lifetime_exceeded"}[i%2]
		swap(i)
		eventually(t, "swap", func() bool { return m.Ruleset().Roots["local"] == want })
	}
	close(stop)
	wait.Wait()
	if wrong.Load() > 0 || judged.Load() < 100 {
		t.Errorf("%d of %d answers did not match their revision", wrong.Load(), judged.Load())
	}
	t.Logf("%d answers judged over 50 swaps", judged.Load())
}
