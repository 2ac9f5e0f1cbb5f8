package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Folder puts mails into a folder, as files .eml that mail programs open: the
// default where no mail server is configured.
type Folder struct {
	Path string
	From string
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
