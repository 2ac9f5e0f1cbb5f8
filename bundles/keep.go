package bundles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keep writes what is active to the disk, whole or not at all. The embedded
// base is not kept: it is in the binary.
func (m *Manager) keep(s *source, l *loaded) error {
	if m.StateDir == "" || s == m.base {
		return nil
	}
	packed, err := pack(l.Bundle)
	if err != nil {
		return fmt.Errorf("pack the bundle: %w", err)
	}
	path := m.file(s)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".keep-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(packed); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (m *Manager) restore(s *source) (*loaded, error) {
	if s == m.base {
		return nil, fs.ErrNotExist
	}
	return readPath(m.file(s))
}
