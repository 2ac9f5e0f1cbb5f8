package docs_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEachEdgeCaseNamesTestsThatExist: thirty of them, each with its tests, and
// no test of an edge case is missing from the table.
func TestEachEdgeCaseNamesTestsThatExist(t *testing.T) {
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile("../" + path)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("edge-cases.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	rows := regexp.MustCompile(`(?m)^\| \d+ \|.*\|$`).FindAllString(string(text), -1)
	if len(rows) != 30 {
		t.Errorf("the table has %d cases", len(rows))
	}
	for _, row := range rows {
		found := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(row, -1)
		if len(found) == 0 {
			t.Errorf("no test: %s", row)
		}
		for _, m := range found {
			named[m[1]] = true
			if !tests[m[1]] {
				t.Errorf("%s does not exist", m[1])
			}
		}
	}
	for name := range tests {
		if strings.HasPrefix(name, "TestEdge") && !named[name] {
			t.Errorf("%s is not in the table", name)
		}
	}
}
