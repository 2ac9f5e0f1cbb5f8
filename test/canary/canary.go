// Package canary searches what tests leave behind for issued secrets: databases,
// logs, metrics, access logs, mails. Issued secrets are known by their form, so
// that nobody has to hand them in.
package canary

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Find returns the files below a folder, or the one file, that hold a secret, also
// packed by gzip or tar, and how many were looked at. What is not there is left out.
func Find(path string) (found []string, files int, err error) {
	err = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		files++
		if packed(text, 0) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("search for secrets: %w", err)
	}
	return found, files, nil
}

// Folder searches a folder at this moment, and fails the test for each file that
// holds a secret. It must hold at least one file.
func Folder(t testing.TB, path string) {
	t.Helper()
	found, files, err := Find(path)
	if err != nil {
		t.Error(err)
	}
	for _, f := range found {
		t.Errorf("%s holds a secret that was issued", f)
	}
	if files == 0 {
		t.Errorf("the canary searched nothing: %s holds no file", path)
	}
}

// Text fails the test where a text holds a secret.
func Text(t testing.TB, what string, text []byte) {
	t.Helper()
	if Holds(text) {
		t.Errorf("%s holds a secret that was issued", what)
	}
}
