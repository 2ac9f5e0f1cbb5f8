package bundles_test

import (
	"context"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/bundles"
)

// TestAnOperatorsFindingReadsWhatTheBasesDo: a package below local.hygiene is
// checked against the schema that the base states for patrol.hygiene.
func TestAnOperatorsFindingReadsWhatTheBasesDo(t *testing.T) {
	metadata := "# METADATA\n# title: A finding\n# description: Of an operator.\n"
	own := "# METADATA\n# schemas:\n#   - input: {type: object, properties: {mine: {type: string}}}\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		warns string
	}{
		{"without METADATA", map[string]string{"a.rego": "package local.hygiene.a\n\nfinding := {} if not input.token.purpose\n"}, ""},
		{"with METADATA", map[string]string{"a.rego": metadata + "package local.hygiene.a\n\nfinding := {} if not input.token.purpose\n"}, ""},
		{"in two files", map[string]string{
			"a.rego": "package local.hygiene.a\n\nfinding := {} if not input.token.purpose\n",
			"b.rego": metadata + "package local.hygiene.a\n\nalso if input.usage.since\n",
		}, ""},
		{"misspelt", map[string]string{"a.rego": metadata + "package local.hygiene.a\n\nfinding := {} if not input.token.purpos\n"}, "input.token.purpos"},
		{"with a schema of its own", map[string]string{"a.rego": own + "package local.hygiene.a\n\nfinding := {} if input.mine\n"}, ""},
		{"a check reads a request's input", map[string]string{"a.rego": "package local.checks.a\n\nreasons contains \"policy_denied\" if input.usage.since\n"}, "input.usage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := bundles.Check(context.Background(), options(""), write(t, t.TempDir(), under("local/", c.files)))
			if err != nil {
				t.Fatal(err)
			}
			if said := strings.Join(report.Warnings, "; "); (said == "") != (c.warns == "") || !strings.Contains(said, c.warns) {
				t.Errorf("warned of %q, want %q", said, c.warns)
			}
		})
	}
}

func under(folder string, files map[string]string) map[string]string {
	out := map[string]string{}
	for name, text := range files {
		out[folder+name] = text
	}
	return out
}
