package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// commandLine parses a line as the shell and patrol would, without running it.
func commandLine(t *testing.T, line string) {
	t.Helper()
	for _, end := range []string{" | ", " >> ", " < ", " <<< ", " > ", " # ", "  #", " &"} {
		line, _, _ = strings.Cut(line, end)
	}
	parser, err := kong.New(&CLI{}, kong.Name("patrol"))
	if err != nil {
		t.Fatal(err)
	}
	parser.Exit = func(int) {}
	var args []string
	for _, word := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(line, -1)[1:] {
		args = append(args, strings.Trim(word, `"`))
	}
	// A file of an example need not be on this machine.
	if _, err := parser.Parse(args); err != nil && !strings.HasSuffix(err.Error(), "no such file or directory") {
		t.Errorf("%q: %v", line, err)
	}
}

// TestEachCommandHasAnExampleThatWorks: what a help, the README and the demo
// tell people to type is a command line that patrol takes.
func TestEachCommandHasAnExampleThatWorks(t *testing.T) {
	parser, err := kong.New(&CLI{}, kong.Name("patrol"))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	eachCommand(parser.Model.Node, "", func(path string, n *kong.Node) {
		if n.Help == "" && path != "" {
			t.Errorf("patrol %s says not what it does", path)
		}
		for _, f := range n.Flags {
			if f.Help == "" {
				t.Errorf("patrol %s --%s says not what it does", path, f.Name)
			}
		}
		if len(n.Children) > 0 {
			return
		}
		examples := regexp.MustCompile(`(?m)^    .*?(patrol `+path+`\b.*)$`).FindAllStringSubmatch(n.Detail, -1)
		if len(examples) == 0 {
			t.Errorf("the help of patrol %s has no example", path)
		}
		for _, e := range examples {
			commandLine(t, strings.TrimSuffix(e[1], ")"))
			tried++
		}
	})
	for _, file := range []string{"../../README.md", "../../deploy/demo/show.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range regexp.MustCompile(`bin/(patrol [^\n]*)`).FindAllStringSubmatch(string(text), -1) {
			commandLine(t, strings.NewReplacer("%[4]s", "ID").Replace(e[1]))
			tried++
		}
	}
	if tried < 50 {
		t.Errorf("only %d examples were tried", tried)
	}
}
