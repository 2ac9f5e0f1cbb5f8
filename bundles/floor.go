package bundles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A source has a floor: the greatest serial of a bundle that it brought and that
// became active. It is kept apart from what is active and what is held, so that
// nothing that operators do lets a source go back behind what it was.

func (m *Manager) floorFile(s *source) string {
	return filepath.Join(m.StateDir, "bundles", "floor", s.key()+".json")
}

// floorText is how a floor lies on the disk.
type floorText struct {
	Source string `json:"source"`
	Serial int64  `json:"serial"`
}

// floorOf is a source's floor: as it was written, or else, before the first one
// was, the serial of what was last good.
func (m *Manager) floorOf(s *source) int64 {
	if s.floor != nil {
		return *s.floor
	}
	f := floorText{}
	if m.StateDir != "" {
		text, err := os.ReadFile(m.floorFile(s))
		if err == nil {
			err = json.Unmarshal(text, &f)
		}
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				m.Log.Error("how old a bundle may be is not known; the last good one says it", "bundle", s.name, "file", m.floorFile(s), "error", err)
			}
			if last, err := readPath(m.file(s)); err == nil {
				m.raiseTo(s, last.serial)
				return last.serial
			}
		}
	}
	s.floor = &f.Serial
	return f.Serial
}

// raise raises a source's floor to what it brought.
func (m *Manager) raise(s *source, l *loaded) {
	if !l.kept && l.serial > m.floorOf(s) {
		m.raiseTo(s, l.serial)
	}
}

func (m *Manager) raiseTo(s *source, least int64) {
	s.floor = &least
	if m.StateDir == "" || least == 0 {
		return
	}
	text, err := json.Marshal(floorText{Source: s.origin(), Serial: least})
	if err == nil {
		err = replace(m.floorFile(s), text)
	}
	if err != nil {
		m.Log.Error("how old a bundle may be cannot be kept; after a restart the last good one says it", "bundle", s.name, "serial", least, "error", err)
	}
}

// replayed refuses a bundle that is older than one that its source brought, or than
// the one it would replace: a bundle that once was good, and is signed, stays
// signed. It binds where one of these has a serial, also over a restart.
func (m *Manager) replayed(s *source, l *loaded) error {
	if s == m.base || l.hold != nil || l.kept || l == s.current {
		return nil // it is active, or was, or somebody who may said so
	}
	least := m.floorOf(s)
	if s.hold != nil {
		least = max(least, s.hold.Serial)
	}
	if s.current != nil {
		least = max(least, s.current.serial)
	}
	return older(l, least)
}

func older(l *loaded, least int64) error {
	if least <= l.serial {
		return nil
	}
	return fmt.Errorf("the bundle's serial %d is older than %d, the newest that there was (metadata.patrol.serial in the manifest)", l.serial, least)
}
