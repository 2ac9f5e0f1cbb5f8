package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/format"
)

// indented are the indented blocks of a page, without the indentation.
var indented = regexp.MustCompile(`(?m)(?:^(?:    .*)?\n)*^    .*\n`)

// The data of the guide's sections, where an overlay has it.
var sections = map[string]string{"A check": "catalogue", "An exception": "exceptions", "A finding": "findings"}

// TestTheGuidesRulesAreABundle: what "How to write a rule" shows is formatted,
// and together it is an overlay that the gate takes.
func TestTheGuidesRulesAreABundle(t *testing.T) {
	page, err := os.ReadFile("writing-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(path, text string) {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rules, data := 0, 0
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		for _, block := range indented.FindAllString(text, -1) {
			block = strings.TrimSpace(regexp.MustCompile(`(?m)^    `).ReplaceAllString(block, "")) + "\n"
			rego, after, _ := strings.Cut(block, "\n{") // data may follow a rule
			if name := regexp.MustCompile(`(?m)^package (\S+)$`).FindStringSubmatch(rego); name != nil {
				rego = strings.TrimSpace(rego) + "\n"
				formatted, err := format.Source("writing-rules.md", []byte(rego))
				if err != nil || string(formatted) != rego {
					t.Errorf("%s: opa fmt would write it otherwise (%v):\n%s", title, err, formatted)
				}
				put(strings.ReplaceAll(name[1], ".", "/")+"/rule.rego", rego)
				rules++
				block = ""
				if after != "" {
					block = "{" + after
				}
			}
			if strings.HasPrefix(block, "{") {
				where := sections[title]
				if where == "" || !json.Valid([]byte(block)) {
					t.Errorf("%s: this is no data of a known place:\n%s", title, block)
				}
				put("local/"+where+"/data.json", block)
				data++
			}
		}
	}
	if rules != 3 || data != 3 {
		t.Errorf("%d rules and %d pieces of data were found", rules, data)
	}
	out, err := exec.Command("go", "run", "../cmd/patrol", "policy", "check", dir).CombinedOutput()
	if err != nil {
		t.Errorf("patrol policy check: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}
