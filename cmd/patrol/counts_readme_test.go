package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheREADMEShowsWhatMakeTestCounts: each line that "make test" prints at its
// end is shown as its test tells it, numbers aside, which grow.
func TestTheREADMEShowsWhatMakeTestCounts(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^    (Test\w+)(?:/\w+)?: (.+)$`).FindAllStringSubmatch(string(readme), -1)
	formats := countFormats(t)
	seen := map[string]bool{}
	for _, line := range shown {
		format := formats[line[1]]
		if format == nil || !format.MatchString(line[2]) {
			t.Errorf("no test counts %s: %s", line[1], line[2])
		}
		seen[line[1]] = true
	}
	for name := range formats {
		if !seen[name] {
			t.Errorf("README does not show what %s counts", name)
		}
	}
}

// countFormats are the lines that tests count by, by the test's name.
func countFormats(t *testing.T) map[string]*regexp.Regexp {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	word, verb := regexp.MustCompile(`^func (Test\w+)`), regexp.MustCompile(`%[a-z]`)
	told, calls := regexp.MustCompile(`^\t+count\(t, "([^"]+)"`), map[string]string{"survivesKill": "TestWhatWasAcknowledgedSurvivesKill"}
	helper := regexp.MustCompile(`^func (\w+)\(`)
	out := map[string]*regexp.Regexp{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := ""
		for line := range strings.SplitSeq(string(text), "\n") {
			if m := word.FindStringSubmatch(line); m != nil {
				name = m[1]
			} else if m := helper.FindStringSubmatch(line); m != nil {
				name = calls[m[1]]
			}
			if m := told.FindStringSubmatch(line); m != nil {
				if name == "" {
					t.Fatalf("%s: nobody knows whose count this is: %s", file, line)
				}
				out[name] = regexp.MustCompile("^" + verb.ReplaceAllString(regexp.QuoteMeta(m[1]), `\S+`) + "$")
			}
		}
	}
	return out
}
