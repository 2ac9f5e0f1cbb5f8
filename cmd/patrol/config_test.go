package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheEnvironmentFillsBracesOnly(t *testing.T) {
	t.Setenv("PATROL_TEST_REALM", "hub")
	path := filepath.Join(t.TempDir(), "patrol.yaml")
	write(t, path, "answer:\n  realm: ${PATROL_TEST_REALM}\n  public_url: https://x/$PATROL_TEST_REALM/$$\npolicy:\n  bundles: [policy, /abs]\n")
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Answer.Realm != "hub" || c.Answer.PublicURL != "https://x/$PATROL_TEST_REALM/$$" {
		t.Errorf("%+v", c.Answer)
	}
	if c.Policy.Bundles[0] != filepath.Join(filepath.Dir(path), "policy") || c.Policy.Bundles[1] != "/abs" {
		t.Errorf("paths are relative to the file: %v", c.Policy.Bundles)
	}
}

// TestAVariableThatIsNotSetIsNoEmptyValue: what a configuration says by a variable
// that is not there would be left out as if nobody had said it.
func TestAVariableThatIsNotSetIsNoEmptyValue(t *testing.T) {
	t.Setenv("PATROL_TEST_HERE", "here")
	t.Setenv("PATROL_TEST_EMPTY", "")
	const fix = ": set it, or write ${PATROL_TEST_GONE:-VALUE} for a value where it is not set, ${PATROL_TEST_GONE:-} where nothing is meant"
	for name, c := range map[string]struct {
		text string
		want string // of the error, behind the file's name
	}{
		"in a list of bundles":      {"policy: {bundles: [\"${PATROL_TEST_GONE}\"]}", "[1:21] the environment has no variable PATROL_TEST_GONE" + fix},
		"not in quotes":             {"policy: {bundles: [${PATROL_TEST_GONE}]}", "[1:20] the environment has no variable PATROL_TEST_GONE" + fix},
		"the whole list":            {"policy:\n  bundles: ${PATROL_TEST_GONE}", "[2:12] the environment has no variable PATROL_TEST_GONE" + fix},
		"an entry of the list":      {"policy:\n  bundles:\n  - ${PATROL_TEST_GONE}", "[3:5] the environment has no variable PATROL_TEST_GONE" + fix},
		"a second decision":         {"policy: {decisions: [patrol/authz/decision, ${PATROL_TEST_GONE}]}", "[1:45] the environment has no variable PATROL_TEST_GONE" + fix},
		"a part of a path":          {"data_dir: \"${PATROL_TEST_GONE}/x\"", "[1:12] the environment has no variable PATROL_TEST_GONE" + fix},
		"after a sign of a comment": {"answer: {realm: \"a # ${PATROL_TEST_GONE}\"}", "[1:22] the environment has no variable PATROL_TEST_GONE" + fix},
		"in OPA's section":          {"opa:\n  services: {hub: {url: \"${PATROL_TEST_GONE}\"}}", "[2:26] the environment has no variable PATROL_TEST_GONE" + fix},
		"in the plugin's section":   {"opa: {plugins: {envoy_ext_authz_grpc: {path: \"${PATROL_TEST_GONE}\"}}}", "[1:47] the environment has no variable PATROL_TEST_GONE" + fix},
		"two of them": {
			"data_dir: ${PATROL_TEST_GONE}\nanswer: {realm: \"${PATROL_TEST_LOST}\"}",
			"[1:11] the environment has no variable PATROL_TEST_GONE, [2:18] the environment has no variable PATROL_TEST_LOST" + fix,
		},
		"in a comment":                         {"# ${PATROL_TEST_GONE}\nanswer: {realm: hub} # ${PATROL_TEST_GONE}", ""},
		"with a default":                       {"answer: {realm: \"${PATROL_TEST_GONE:-hub}\"}", ""},
		"where nothing is meant":               {"answer: {realm: \"${PATROL_TEST_GONE:-}\"}", ""},
		"set to nothing":                       {"answer: {realm: \"${PATROL_TEST_EMPTY}\"}", ""},
		"a bundle of a variable that is empty": {"policy:\n  bundles:\n  - ${PATROL_TEST_EMPTY}", "[3:5] policy.bundles[0]: is empty: write a folder or a tarball, or leave the entry out"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "patrol.yaml")
			write(t, path, c.text+"\n")
			_, err := loadConfig(path)
			got := ""
			if err != nil {
				got = strings.TrimPrefix(err.Error(), path+": ")
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestADefaultIsOfAVariableThatIsNotSet: one that is set to nothing is set.
func TestADefaultIsOfAVariableThatIsNotSet(t *testing.T) {
	t.Setenv("PATROL_TEST_HERE", "here")
	t.Setenv("PATROL_TEST_EMPTY", "")
	_ = os.Unsetenv("PATROL_TEST_GONE")
	for text, want := range map[string]string{
		"${PATROL_TEST_HERE:-there}":     "here",
		"${PATROL_TEST_EMPTY:-there}":    "",
		"${PATROL_TEST_GONE:-there}":     "there",
		"${PATROL_TEST_GONE:-/a b/$c:-}": "/a b/$c:-",
		"a${PATROL_TEST_GONE:-}b":        "ab",
		"$PATROL_TEST_GONE ${1} ${a-b}":  "$PATROL_TEST_GONE ${1} ${a-b}", // no variables
	} {
		if got, missing := expand(text); got != want || missing != nil {
			t.Errorf("%s: %q, missing %v, want %q", text, got, missing, want)
		}
	}
}
