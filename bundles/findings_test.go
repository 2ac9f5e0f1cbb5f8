package bundles_test

import (
	"slices"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/bundles"
)

// TestFindingsAreKnownByTheirRules: those of the base, one that an overlay adds
// with words in data, one with none but METADATA, one that it rewords, and one
// that it switches off.
func TestFindingsAreKnownByTheirRules(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		"local/hygiene/odd_hours/finding.rego": "# METADATA\n# title: Used at night\n# description: Requests came at night.\npackage local.hygiene.odd_hours\n\nfinding := {} if input.token\n",
		"local/hygiene/bare/finding.rego":      "package local.hygiene.bare\n\nfinding := {} if input.token\n",
		"local/hygiene/shared/lib.rego":        "package local.hygiene.shared\n\nnothing := 1\n",
		"local/findings/data.json":             `{"odd_hours": {"severity": "medium"}, "unused": {"severity": "high", "title": "Nobody needs it"}, "no_expiry": {"off": true}}`,
	})
	r, err := bundles.Check(t.Context(), options("", dir), dir)
	if err != nil {
		t.Fatal(err)
	}
	find := func(name string) authz.FindingKind {
		i := slices.IndexFunc(r.Ruleset.Findings, func(k authz.FindingKind) bool { return k.Name == name })
		if i < 0 {
			t.Fatalf("%s is not among %+v", name, r.Ruleset.Findings)
		}
		return r.Ruleset.Findings[i]
	}
	if len(r.Ruleset.Findings) != 15 {
		t.Errorf("%d findings: %+v", len(r.Ruleset.Findings), r.Ruleset.Findings)
	}
	for want, got := range map[authz.FindingKind]authz.FindingKind{
		{Name: "odd_hours", Title: "Used at night", Description: "Requests came at night.", Severity: "medium", Root: "local"}: find("odd_hours"),
		{Name: "bare", Title: "bare", Root: "local"}: find("bare"),
	} {
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if k := find("unused"); k.Title != "Nobody needs it" || k.Severity != "high" || k.Root != "patrol" || k.Description == "" {
		t.Errorf("%+v", k)
	}
	if k := find("no_expiry"); !k.Off || k.Title != "No expiry" {
		t.Errorf("%+v", k)
	}
	if k := find("unscoped_write"); k.Severity != "high" || k.Off {
		t.Errorf("%+v", k)
	}
}
