package bundles_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/shadow"
	"github.com/patrol-authz/patrol/bundles"
)

// envoys is a request as Envoy's are: it can be read again.
type envoys struct{ authz.Request }

func (envoys) Size() int                            { return 100 }
func (envoys) EachHeader(func(string, string) bool) {}
func (e envoys) Again() (authz.Request, error)      { return e, nil }

// comparer is a real one, over the evaluators alone.
func comparer(t *testing.T) *shadow.Comparer {
	t.Helper()
	c := shadow.New(shadow.Options{Share: 1, Beside: func(ctx context.Context, o *authz.Outcome, _ authz.Request, _, other *authz.Ruleset) (was, would authz.Decision) {
		would, err := other.Evaluator.Evaluate(ctx, o.Facts)
		if err != nil {
			would = authz.Decision{Reason: authz.ReasonPolicyError}
		}
		return o.Decision, would
	}})
	t.Cleanup(c.Close)
	return c
}

func shadowed(state string, c *shadow.Comparer, paths ...string) bundles.Options {
	o := patient(state, paths...)
	o.Comparer = c
	return o
}

// decide decides on a request as patrol does, and records it.
func decide(t *testing.T, m *bundles.Manager, c *shadow.Comparer) authz.Decision {
	t.Helper()
	f := &authz.Facts{Now: time.Now().UTC(), Route: &authz.Route{Access: authz.AccessUnmanaged}}
	d, err := m.Ruleset().Evaluator.Evaluate(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	c.Record(&authz.Outcome{Request: envoys{}, RequestID: "r", Facts: f, Decision: d, Revision: m.Ruleset().Revision, Time: f.Now})
	return d
}

// freeze is a bundle that refuses each request.
func freeze(t *testing.T, revision string) string {
	t.Helper()
	dir := t.TempDir()
	release(t, dir, revision, map[string]string{"local/checks/a/a.rego": "package local.checks.a\n\nreasons contains \"policy_denied\" if true\n"})
	return dir
}

func packed(t *testing.T, dir string) []byte {
	t.Helper()
	text, err := bundles.Tarball(dir)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// evaluated waits until the shadow is evaluated.
func evaluated(t *testing.T, m *bundles.Manager) {
	t.Helper()
	eventually(t, "it is evaluated", func() bool { s, _ := m.Shadow(); return s != nil && s.Error == "" })
}

func counted(t *testing.T, m *bundles.Manager, evaluated, different int64) {
	t.Helper()
	eventually(t, "it was evaluated", func() bool { s, _ := m.Shadow(); return s != nil && s.Evaluated >= evaluated })
	if s, _ := m.Shadow(); s.Evaluated != evaluated || s.Different != different {
		t.Errorf("counted: %+v", s)
	}
}

func TestAShadowIsEvaluatedBesideWhatIsActive(t *testing.T) {
	state, dir, c := t.TempDir(), t.TempDir(), comparer(t)
	release(t, dir, "one")
	m := start(t, shadowed(state, c, dir))
	ctx := context.Background()
	if s, _ := m.Shadow(); s != nil {
		t.Fatalf("%+v", s)
	}
	text := packed(t, freeze(t, "frozen"))
	s, tag, err := m.SetShadow(ctx, authz.BundleAct{By: "eve"}, text, 1)
	if err != nil || s.Revision != "frozen" || s.By != "eve" || s.Bundle != "local" || s.Error != "" || tag == "" {
		t.Fatalf("%+v, %v", s, err)
	}
	before := decide(t, m, c)
	if !before.Allowed {
		t.Fatalf("%+v", before)
	}
	counted(t, m, 1, 1)
	if s, _ := m.Shadow(); s.Differences[0].From != "allow" || s.Differences[0].To != "policy_denied" || s.Differences[0].Examples[0].RequestID != "r" {
		t.Errorf("%+v", s)
	}
	if active(m) != "one" || m.Status()[1].Held != nil {
		t.Errorf("%s is active", active(m))
	}
	// What is active changes: it is compared with that, and counted anew.
	release(t, dir, "two")
	becomes(t, m, "two")
	evaluated(t, m)
	counted(t, m, 0, 0)
	decide(t, m, c)
	counted(t, m, 1, 1)
	if _, now := m.Shadow(); now == tag {
		t.Error("who looked at it beside one may promote it beside two")
	} else {
		tag = now
	}
	// It is there after a restart.
	m.Close()
	m = start(t, shadowed(state, c, dir))
	evaluated(t, m)
	if s, again := m.Shadow(); s.Revision != "frozen" || s.By != "eve" || s.Sample != 1 || again != tag || !s.Since.Before(*s.CountedSince) {
		t.Errorf("after a restart: %+v, %s", s, again)
	}
	decide(t, m, c)
	counted(t, m, 1, 1)
	// What its source comes to have by itself is compared no more.
	release(t, dir, "frozen", map[string]string{"local/checks/a/a.rego": "package local.checks.a\n\nreasons contains \"policy_denied\" if true\n"})
	becomes(t, m, "frozen")
	if s, _ := m.Shadow(); s.Error != "it is active" {
		t.Errorf("%+v", s)
	}
	if err := m.EndShadow(ctx, authz.BundleAct{}); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(state, "bundles", "shadow", "*")); len(files) > 0 {
		t.Errorf("left are %v", files)
	}
	if err := m.EndShadow(ctx, authz.BundleAct{}); kindOf(err) != authz.BundleMissing {
		t.Errorf("%v", err)
	}
}

func TestWhatCannotBeShadowedChangesNothing(t *testing.T) {
	dir, c := t.TempDir(), comparer(t)
	release(t, dir, "one")
	m := start(t, shadowed(t.TempDir(), c, dir))
	good := packed(t, freeze(t, "frozen"))
	_, tag, err := m.SetShadow(context.Background(), authz.BundleAct{}, good, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	undeclared := tarball(t, map[string]string{"local/checks/a/a.rego": "package local.checks.a\n\nreasons contains \"made_up\" if true\n"})
	set := func(act authz.BundleAct, text []byte, sample float64) error {
		_, _, err := m.SetShadow(context.Background(), act, text, sample)
		return err
	}
	for name, one := range map[string]struct {
		err  error
		want string
	}{
		"no tarball":      {set(authz.BundleAct{}, []byte("text"), 1), authz.BundleInvalid},
		"nothing":         {set(authz.BundleAct{}, nil, 1), authz.BundleInvalid},
		"half of one":     {set(authz.BundleAct{}, good[:len(good)/2], 1), authz.BundleInvalid},
		"the gate":        {set(authz.BundleAct{}, undeclared, 1), authz.BundleRefused},
		"what is active":  {set(authz.BundleAct{}, packed(t, dir), 1), authz.BundleConflict},
		"a sample of 0":   {set(authz.BundleAct{}, good, 0), authz.BundleInvalid},
		"a sample of 2":   {set(authz.BundleAct{}, good, 2), authz.BundleInvalid},
		"another bundle":  {set(authz.BundleAct{Bundle: "x"}, good, 1), authz.BundleMissing},
		"another shadow":  {set(authz.BundleAct{Match: "0123"}, undeclared, 1), authz.BundleChanged},
		"a dry run":       {set(authz.BundleAct{DryRun: true}, good, 1), "<nil>"},
		"ended otherwise": {m.EndShadow(context.Background(), authz.BundleAct{Match: "0123"}), authz.BundleChanged},
	} {
		if got := kindOf(one.err); got != one.want {
			t.Errorf("%s: %s, not %s: %v", name, got, one.want, one.err)
		}
	}
	if s, after := m.Shadow(); s == nil || s.Sample != 0.5 || after != tag {
		t.Errorf("something changed: %+v", s)
	}
}

func TestAPromotedShadowIsActiveAndItsSourceHeld(t *testing.T) {
	state, dir, c := t.TempDir(), t.TempDir(), comparer(t)
	release(t, dir, "one")
	m := start(t, shadowed(state, c, dir))
	ctx := context.Background()
	if _, err := m.Promote(ctx, authz.BundleAct{}, authz.PromotionGuard{}); kindOf(err) != authz.BundleMissing {
		t.Errorf("%v", err)
	}
	_, tag, err := m.SetShadow(ctx, authz.BundleAct{By: "eve"}, packed(t, freeze(t, "frozen")), 1)
	if err != nil {
		t.Fatal(err)
	}
	decide(t, m, c)
	counted(t, m, 1, 1)
	none := int64(0)
	promote := func(act authz.BundleAct, g authz.PromotionGuard) error { _, err := m.Promote(ctx, act, g); return err }
	for name, one := range map[string]struct {
		err  error
		want string
	}{
		"another one":          {promote(authz.BundleAct{Match: "0123"}, authz.PromotionGuard{}), authz.BundleChanged},
		"too few":              {promote(authz.BundleAct{}, authz.PromotionGuard{IfEvaluated: 2}), authz.BundleConflict},
		"too many differences": {promote(authz.BundleAct{}, authz.PromotionGuard{MaxDifferences: &none}), authz.BundleConflict},
		"a dry run":            {promote(authz.BundleAct{DryRun: true}, authz.PromotionGuard{}), "<nil>"},
	} {
		if got := kindOf(one.err); got != one.want || active(m) != "one" {
			t.Errorf("%s: %s, not %s: %v; %s is active", name, got, one.want, one.err, active(m))
		}
	}
	one := int64(1)
	change, err := m.Promote(ctx, authz.BundleAct{By: "eve", Match: tag}, authz.PromotionGuard{IfEvaluated: 1, MaxDifferences: &one})
	if err != nil || change.How != authz.BundlePromoted || change.NotKept != "" || active(m) != "frozen" {
		t.Fatalf("%+v, %v", change, err)
	}
	if s, _ := m.Shadow(); s != nil {
		t.Errorf("still shadowed: %+v", s)
	}
	wantHistory(t, m, "1 one source, 2 frozen promoted*")
	if d := decide(t, m, c); d.Allowed {
		t.Errorf("%+v", d)
	}
	for range 2 {
		m.Close()
		if m = start(t, shadowed(state, c, dir)); active(m) != "frozen" || m.Status()[1].Held == nil || m.Status()[1].Held.How != authz.BundlePromoted {
			t.Fatalf("after a restart %s is active: %+v", active(m), m.Status()[1])
		}
		// Also where either of the two places that hold it is lost.
		if err := os.RemoveAll(filepath.Join(state, "bundles", "history")); err != nil {
			t.Fatal(err)
		}
	}
	release(t, dir, "two")
	becomes(t, m, "two")
	if m.Status()[1].Held != nil {
		t.Errorf("still held: %+v", m.Status()[1])
	}
}

// Without a bundle of one's own there is nothing that a shadow could be promoted to.
func TestAShadowMayBeBesideTheBaseAlone(t *testing.T) {
	c := comparer(t)
	m := start(t, shadowed(t.TempDir(), c))
	if _, _, err := m.SetShadow(context.Background(), authz.BundleAct{}, packed(t, freeze(t, "frozen")), 1); err != nil {
		t.Fatal(err)
	}
	decide(t, m, c)
	counted(t, m, 1, 1)
	if _, err := m.Promote(context.Background(), authz.BundleAct{}, authz.PromotionGuard{}); kindOf(err) != authz.BundleConflict || !strings.Contains(err.Error(), "policy.bundles") {
		t.Errorf("%v", err)
	}
	ours := packed(t, base(t, filepath.Join(t.TempDir(), "ours"), "ours-1", nil))
	if s, _, err := m.SetShadow(context.Background(), authz.BundleAct{}, ours, 1); err != nil || s.Root != "patrol" {
		t.Errorf("in the place of the base: %+v, %v", s, err)
	}
	without := start(t, patient(t.TempDir()))
	if _, _, err := without.SetShadow(context.Background(), authz.BundleAct{}, ours, 1); kindOf(err) != authz.BundleConflict {
		t.Errorf("where nothing is compared: %v", err)
	}
}

// That nothing was counted is no evidence.
func TestAPromotionThatAsksForFewDifferencesAsksForEvaluations(t *testing.T) {
	dir, c := t.TempDir(), comparer(t)
	release(t, dir, "one")
	m := start(t, shadowed(t.TempDir(), c, dir))
	if _, _, err := m.SetShadow(context.Background(), authz.BundleAct{}, packed(t, freeze(t, "frozen")), 1); err != nil {
		t.Fatal(err)
	}
	none := int64(0)
	promote := func() error {
		_, err := m.Promote(context.Background(), authz.BundleAct{DryRun: true}, authz.PromotionGuard{MaxDifferences: &none})
		return err
	}
	if err := promote(); kindOf(err) != authz.BundleConflict || !strings.Contains(err.Error(), "on no request") {
		t.Errorf("%v", err)
	}
	decide(t, m, c)
	counted(t, m, 1, 1)
	if err := promote(); kindOf(err) != authz.BundleConflict || !strings.Contains(err.Error(), "1 requests otherwise") {
		t.Errorf("%v", err)
	}
	release(t, dir, "frozen", map[string]string{"local/checks/a/a.rego": "package local.checks.a\n\nreasons contains \"policy_denied\" if true\n"})
	becomes(t, m, "frozen")
	if err := promote(); kindOf(err) != authz.BundleConflict || !strings.Contains(err.Error(), "is not evaluated") {
		t.Errorf("%v", err)
	}
}

// TestTheTagOfAShadowTellsWhatIsCompared: the same tarball on another part of the
// requests, or in another place, is not what somebody looked at.
func TestTheTagOfAShadowTellsWhatIsCompared(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	overlay(t, one, "one-1")
	overlay(t, two, "two-1")
	m := start(t, shadowed(t.TempDir(), comparer(t), one, two))
	text := packed(t, freeze(t, "frozen"))
	tags := map[string]bool{}
	for _, sample := range []float64{0.5, 1} {
		for _, name := range []string{"local", "local-2"} {
			_, tag, err := m.SetShadow(context.Background(), authz.BundleAct{Bundle: name}, text, sample)
			if err != nil {
				t.Fatal(err)
			}
			tags[tag] = true
		}
	}
	if len(tags) != 4 {
		t.Errorf("%v", tags)
	}
}

// TestNothingWaitsForAShadowToBeRead: while one is judged, the others go on, another
// one is refused, and what became active meanwhile makes it look again.
func TestNothingWaitsForAShadowToBeRead(t *testing.T) {
	dir := t.TempDir()
	release(t, dir, "one")
	o := shadowed(t.TempDir(), comparer(t), dir)
	judging, goOn := make(chan struct{}), make(chan struct{})
	build := o.Build
	o.BuildShadow = func(ctx context.Context, c bundles.Compiled) (authz.Evaluator, error) {
		judging <- struct{}{}
		<-goOn
		return build(ctx, c)
	}
	m := start(t, o)
	text := packed(t, freeze(t, "frozen"))
	done := make(chan error, 1)
	go func() {
		_, _, err := m.SetShadow(context.Background(), authz.BundleAct{}, text, 1)
		done <- err
	}()
	<-judging
	if _, _, err := m.SetShadow(context.Background(), authz.BundleAct{}, text, 1); kindOf(err) != authz.BundleConflict {
		t.Errorf("another one: %v", err)
	}
	release(t, dir, "two")
	becomes(t, m, "two")
	close(goOn)
	if err := <-done; kindOf(err) != authz.BundleChanged {
		t.Errorf("%v", err)
	}
	go func() { <-judging }()
	if _, _, err := m.SetShadow(context.Background(), authz.BundleAct{}, text, 1); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestAShadowThatUnpacksToTooMuchIsRefused(t *testing.T) {
	dir := t.TempDir()
	release(t, dir, "one")
	m := start(t, shadowed(t.TempDir(), comparer(t), dir))
	files := map[string]string{".manifest": `{"revision": "large", "roots": ["local"]}`}
	for _, name := range []string{"a", "b"} {
		files["local/"+name+"/data.json"] = `{"x": "` + strings.Repeat("x", 40<<20) + `"}`
	}
	if _, _, err := m.SetShadow(context.Background(), authz.BundleAct{}, tarball(t, files), 1); kindOf(err) != authz.BundleInvalid || !strings.Contains(err.Error(), "unpacks to more than 64 MiB") {
		t.Errorf("%v", err)
	}
}
