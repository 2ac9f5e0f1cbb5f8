package main

import (
	"path/filepath"
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
