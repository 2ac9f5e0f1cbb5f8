package canary_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/test/canary"
)

// A planted secret is found, wherever it lies: without this the search of all
// other tests would say nothing.
func TestAPlantedSecretIsFound(t *testing.T) {
	raw := credential.Generate().Reveal()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"in/a/database": "SQLite format 3\x00\x01" + raw + "\x00\x7f", "alone": raw, "after.another": "ptl_short ptl_ " + raw + " x",
		"clean": "ptl_ and ptl_0123456789", "last4": raw[len(raw)-4:],
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, files, err := canary.Find(dir)
	if err != nil || len(found) != 3 || files != 5 {
		t.Errorf("found %v of %d files, %v", found, files, err)
	}
	if found, files, err := canary.Find(filepath.Join(dir, "nothing")); err != nil || len(found)+files > 0 {
		t.Errorf("a folder that is not there: %v %d %v", found, files, err)
	}
}
