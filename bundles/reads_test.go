package bundles_test

import (
	"context"
	"slices"
	"testing"

	"github.com/patrol-authz/patrol/bundles"
)

// TestWhatABundleReadsIsKnown: which settings its rules read, its review rules, and
// the permissions that its roles give.
func TestWhatABundleReadsIsKnown(t *testing.T) {
	check := func(files map[string]string) (settings, rules, permissions []string) {
		t.Helper()
		dir := write(t, t.TempDir(), files)
		report, err := bundles.Check(context.Background(), options("", dir), dir)
		if err != nil {
			t.Fatal(err)
		}
		return report.Ruleset.Settings, report.Ruleset.ReviewRules, report.Ruleset.Permissions
	}
	settings, rules, permissions := check(map[string]string{
		"local/a/a.rego": `package local.a

x := object.get(input.organization.settings, "second", 0)

y if {
	input.organization.settings.first
	input["organization"].settings["third"] == object.get(input, ["organization", "settings", "fourth"], 1)
	input.membership.settings.other
}
`,
		"local/review/r.rego":    "package local.review\n\nreasons contains {\"rule\": \"ci\", \"action\": \"approve\", \"why\": \"x\"} if input.token.owner.name == \"ci\"\n",
		"local/rights/data.json": `{"roles": {"robot": ["repo.teleport"]}, "implies": {"repo.teleport": ["repo.see"]}}`,
	})
	for _, want := range []string{"first", "second", "third", "fourth", "four_eyes", "max_token_age_days"} {
		if !slices.Contains(settings, want) {
			t.Errorf("the setting %s is not known to be read: %v", want, settings)
		}
	}
	if slices.Contains(settings, "other") {
		t.Errorf("settings: %v", settings)
	}
	for _, want := range []string{"ci", "read_only", "renewal", "beyond_role"} {
		if !slices.Contains(rules, want) {
			t.Errorf("the review rule %s is not known: %v", want, rules)
		}
	}
	for _, want := range []string{"repo.teleport", "repo.see", "repo.write", "org.tokens.review"} {
		if !slices.Contains(permissions, want) {
			t.Errorf("the permission %s is not known: %v", want, permissions)
		}
	}
	if _, rules, _ = check(map[string]string{"local/review/r.rego": "package local.review\n\nreasons contains reason if some reason in data.local.words\n"}); rules != nil {
		t.Errorf("rules whose names are computed are said to be known: %v", rules)
	}
}

// TestWhereAnySettingMayBeRead nobody is told that one is read by none.
func TestWhereAnySettingMayBeRead(t *testing.T) {
	for body, any := range map[string]bool{
		"x if input.organization.settings.team":                                 false,
		"x if input.organization":                                               false,
		"x if not input.organization.settings":                                  false,
		"x if input.organization.name == \"acme\"":                              false,
		"x := object.get(input, [\"organization\", \"settings\", \"team\"], 1)": false,
		"x if { s := input.organization.settings; s.team }":                     true,
		"x if { o := input.organization; o.settings.team }":                     true,
		"x if { some k in [\"team\"]; input.organization.settings[k] }":         true,
		"x if { i := input; i.organization.settings.team }":                     true,
		"import input.organization.settings as s\n\nx if s.team":                true,
		"x := object.get(input.organization, [\"settings\", data.local.b], 1)":  true,
	} {
		dir := write(t, t.TempDir(), map[string]string{"local/a/a.rego": "package local.a\n\n" + body + "\n"})
		report, err := bundles.Check(context.Background(), options("", dir), dir)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if got := report.Ruleset.ReadsSetting("whatever"); got != any {
			t.Errorf("%s: may read any: %t", body, got)
		}
	}
}
