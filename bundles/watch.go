package bundles

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch follows the sources that are paths: it is told of changes, and looks
// now and then all the same.
func (m *Manager) watch(ctx context.Context) error {
	for _, s := range m.overlays {
		if s.path == "" {
			continue
		}
		w, err := fsnotify.NewWatcher()
		if err != nil {
			return fmt.Errorf("watch %s: %w", s.path, err)
		}
		m.wait.Add(1)
		go func() {
			defer m.wait.Done()
			defer w.Close()
			m.watchPath(ctx, s, w)
		}()
	}
	return nil
}

func (m *Manager) watchPath(ctx context.Context, s *source, w *fsnotify.Watcher) {
	ticker := time.NewTicker(m.Poll)
	defer ticker.Stop()
	// What changed between the first reading and the watch is seen at once.
	due := time.After(0)
	before := ""
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-w.Events:
			if !ok {
				return
			}
			if due == nil {
				due = time.After(m.Debounce)
			}
			continue
		case err := <-w.Errors: // an overflow: the next tick sees the change
			m.Log.Warn("watching the bundle", "source", s.kind, "error", err)
			continue
		case <-ticker.C:
			if now, _ := state(s.path); now == before {
				continue
			}
		case <-due:
		}
		due = nil
		var size int64
		before, size = state(s.path)
		m.expect(size)
		watchTree(w, s.path)
		l, err := readPath(s.path)

		_ = m.offer(ctx, s, l, err) // reported
	}
}

// watchTree watches folders, never files: editors and Kubernetes replace files
// and links. The folder above is watched too, for a path that is itself
// replaced.
func watchTree(w *fsnotify.Watcher, path string) {
	_ = w.Add(filepath.Dir(path))
	roots := []string{path}
	if real, err := resolve(path); err == nil && real != path {
		roots = append(roots, real)
	}
	for _, root := range roots {
		_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = w.Add(p)
			}
			return nil
		})
	}
}

// large is how many bytes at a path are many.
const large = 256 << 10

// expect tells that a bundle of some size is about to be read, where that is large.
func (m *Manager) expect(size int64) {
	if size > large && m.Large != nil {
		m.Large()
	}
}

// state sums a tree up by names, sizes and times, and says how many bytes it has.
func state(path string) (sum string, size int64) {
	real, err := resolve(path)
	if err != nil {
		return err.Error(), 0
	}
	sum = real
	_ = filepath.WalkDir(real, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what vanished is gone from the sum
		}
		if info, err := os.Stat(p); err == nil && !info.IsDir() {
			sum += fmt.Sprintf("|%s %d %d", p, info.Size(), info.ModTime().UnixNano())
			size += info.Size()
		}
		return nil
	})
	return sum, size
}
