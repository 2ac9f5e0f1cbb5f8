package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// replaceFile gives a file another content, whole or not at all.
func replaceFile(path string, content []byte) error {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to // a link stays one
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".patrol-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // it is gone where all went well
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
