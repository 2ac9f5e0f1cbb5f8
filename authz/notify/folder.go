package notify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Folder puts mails into a folder, as files .eml that mail programs open: the
// default where no mail server is configured.
type Folder struct {
	Path string
	From string
}

// Forget deletes the mails that were written before a time, and says how many.
// Other files stay.
func (f *Folder) Forget(before time.Time) (n int, err error) {
	entries, err := os.ReadDir(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || filepath.Ext(e.Name()) != ".eml" && !strings.HasPrefix(e.Name(), ".mail-") {
			continue
		}
		info, statErr := e.Info()
		if statErr != nil || !info.ModTime().Before(before) {
			continue
		}
		if removed := os.Remove(filepath.Join(f.Path, e.Name())); removed != nil {
			err = errors.Join(err, removed)
			continue
		}
		n++
	}
	return n, err
}

// Send writes one mail, whole or not at all. A repeated one replaces itself.
func (f *Folder) Send(_ context.Context, m *Message) error {
	msg, err := compose(m, f.From, "")
	if err != nil {
		return &Permanent{err}
	}
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return fmt.Errorf("make the folder for mails: %w", err)
	}
	file, err := os.CreateTemp(f.Path, ".mail-*")
	if err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = msg.WriteTo(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	id, _, _ := strings.Cut(m.ID, "@")
	name := m.Date.UTC().Format("20060102T150405Z") + "-" + m.Event.Kind + "-" + id[:min(8, len(id))] + ".eml"
	return os.Rename(file.Name(), filepath.Join(f.Path, name))
}
