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
	packed, err := l.tarball()
	if err != nil {
		return fmt.Errorf("pack the bundle: %w", err)
	}
	return replace(m.file(s), packed)
}

// replace gives a file another content, whole or not at all, also where the
// machine ends in between. It makes the folder.
func replace(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, unfinished)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// makeDir makes a folder, and those above it, for good.
func makeDir(dir string) error {
	var within []string
	for d := dir; !exists(d) && filepath.Dir(d) != d; d = filepath.Dir(d) {
		within = append(within, filepath.Dir(d))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range within {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// unfinished are the names of files that are being written.
const unfinished = ".keep-*"

// syncDir makes what was renamed or removed in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// remove removes a file for good; that there is none is no error.
func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, syncDir(filepath.Dir(path)))
}

// restore reads what was last active of a source: what serves while the source
// is held, or else the last good one.
func (m *Manager) restore(s *source) (*loaded, error) {
	if s == m.base {
		return nil, fs.ErrNotExist
	}
	if s.hold != nil {
		return m.restoreHeld(s)
	}
	l, err := readPath(m.file(s))
	if err == nil {
		l.kept = true
	}
	return l, err
}
