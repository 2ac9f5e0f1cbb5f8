package main

import (
	"fmt"
	"os"
	"path/filepath"
)

var policyDir = filepath.Join(dir, "policy")

var ruleFile = filepath.Join(policyDir, "local", "checks", "release_freeze", "check.rego")

const (
	nobody  = `set()`
	openLab = `{"open-lab"}`
)

// writeRule writes the demo's overlay: a check that refuses writes to
// organizations in a release freeze.
func writeRule(frozen string) error {
	text := fmt.Sprintf(`# METADATA
# title: Release freeze
# description: Nobody writes to these organizations while a release is made.
package local.checks.release_freeze

frozen := %s

reasons contains "policy_denied" if {
	input.organization.name in frozen
	input.route.permission == "repo.write"
}
`, frozen)
	if err := os.MkdirAll(filepath.Dir(ruleFile), 0o755); err != nil {
		return err
	}
	return os.WriteFile(ruleFile, []byte(text), 0o644)
}
