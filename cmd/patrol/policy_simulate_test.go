package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/decide"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/record"
)

// recordsOf are the lines that a server would tell of its decisions on cases.
func recordsOf(t *testing.T, run func(decided func(*testCase, *authz.Outcome))) map[string][]byte {
	t.Helper()
	r, err := record.Open(record.Options{Dir: t.TempDir(), PerSecond: 1 << 20, PerSource: 1 << 15, Facts: input.AppendFacts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	follower, enough := r.Follow(func(*authz.Outcome) bool { return true }), errors.New("enough")
	out := map[string][]byte{}
	run(func(c *testCase, o *authz.Outcome) {
		r.Record(o)
		if _, err := follower.Each(t.Context(), func(line []byte) error {
			out[c.id] = append([]byte(nil), line...)
			return enough
		}); !errors.Is(err, enough) {
			t.Fatalf("%s: %v", c.id, err)
		}
		follower = r.Follow(func(*authz.Outcome) bool { return true })
	})
	return out
}

// TestARecordedDecisionComesOutAsItDid simulates what was decided on each case, by
// the rules that decided, as the server tells of it and as a case of policy record:
// it comes out as it did, or it is said what the record does not hold. Without a
// fact of a refusal nothing is allowed.
func TestARecordedDecisionComesOutAsItDid(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	rules := w.Bundles.Ruleset()
	lines := recordsOf(t, func(decided func(*testCase, *authz.Outcome)) {
		for _, c := range loadCases(t) {
			w.after(t, c.span())
			decided(c, facts(w, c))
		}
	})
	judged, lacking, before, deleted := 0, 0, 0, 0
	judge := func(text []byte) (authz.Decision, *decisionRecord, error) {
		r, err := readRecord(text)
		if err != nil {
			t.Fatal(err)
		}
		one, err := r.recorded(readsQuery(rules.Evaluator))
		if err != nil || one.Facts == nil {
			return authz.Decision{}, r, err
		}
		d, err := again(t.Context(), rules, one.Facts)
		return d, r, err
	}
	for id, line := range lines {
		made, err := caseOf(line)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(made)
		if err != nil {
			t.Fatal(err)
		}
		for form, text := range map[string][]byte{"record": line, "case": text} {
			d, r, err := judge(text)
			var lacks *decide.Lacking
			switch {
			case len(r.Facts) == 0 && authz.BuiltinReasons[r.Reason] != nil:
				before++
			case errors.As(err, &lacks):
				lacking++
				t.Logf("%s: %v", id, err)
			case err != nil || d.Allowed != r.Allowed || d.Reason != r.Reason:
				t.Errorf("%s as a %s: %+v %v, and was %s", id, form, d, err, r.Reason)
			default:
				judged++
			}
		}
		var doc, inner map[string]any
		if json.Unmarshal(line, &doc) != nil || doc["facts"] == nil || doc["allowed"] == true {
			continue
		}
		inner, _ = doc["facts"].(map[string]any)
		without(inner, "", func(path string) {
			deleted++
			text, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			if d, _, err := judge(text); err == nil && d.Allowed {
				t.Errorf("%s is refused, but allowed without %s", id, path)
			}
		})
	}
	t.Logf("%d judged, %d lack something, %d before the policy, %d deletions", judged, lacking, before, deleted)
	if judged < 250 || lacking > 4 || before < 60 || deleted < 5000 {
		t.Error("too few were judged, or too many lack something")
	}
}
