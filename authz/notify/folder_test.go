package notify_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/notify"
)

func TestOldMailsInTheFolderAreDeletedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for name, age := range map[string]time.Duration{"old.eml": 31 * day, "new.eml": 29 * day, "notes.txt": 99 * day, ".mail-left": 31 * day} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.eml"), 0o700); err != nil {
		t.Fatal(err)
	}
	f := &notify.Folder{Path: dir}
	if n, err := f.Forget(now.Add(-30 * day)); err != nil || n != 2 {
		t.Errorf("%d were deleted, want 2 (%v)", n, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"folder.eml", "new.eml", "notes.txt"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
	if n, err := (&notify.Folder{Path: filepath.Join(dir, "none")}).Forget(now); err != nil || n != 0 {
		t.Errorf("a folder that is not there: %d %v", n, err)
	}
}
