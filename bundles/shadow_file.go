package bundles

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func (m *Manager) shadowPath(name string) string {
	return filepath.Join(m.StateDir, "bundles", "shadow", name)
}

const shadowDescription = "shadow" + describes

// saveShadow writes a shadow; its description is written last.
func (m *Manager) saveShadow(s *shadow, tarball []byte) error {
	if m.StateDir == "" {
		return nil
	}
	if err := replace(m.shadowPath(s.SHA256+packs), tarball); err != nil {
		return err
	}
	text, err := json.Marshal(s.shadowFile)
	if err == nil {
		err = replace(m.shadowPath(shadowDescription), text)
	}
	if err != nil {
		return err
	}
	m.sweepShadow(s.SHA256 + packs)
	return nil
}

// sweepShadow removes the tarballs that no description names.
func (m *Manager) sweepShadow(but string) {
	files, _ := os.ReadDir(m.shadowPath(""))
	for _, f := range files {
		if strings.HasSuffix(f.Name(), packs) && f.Name() != but {
			_ = os.Remove(m.shadowPath(f.Name())) // it is in nobody's way
		}
	}
}

// forgetShadow ends it, on the disk first.
func (m *Manager) forgetShadow() error {
	if m.StateDir != "" {
		if err := remove(m.shadowPath(shadowDescription)); err != nil {
			return err
		}
		m.sweepShadow("")
	}
	m.shadow = nil
	m.compare(nil)
	return nil
}

// readShadow finds the shadow that was there before a restart. It is judged later:
// what is active comes first.
func (m *Manager) readShadow() {
	if m.StateDir == "" {
		return
	}
	text, err := os.ReadFile(m.shadowPath(shadowDescription))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	s := &shadow{err: "it is being read"}
	if err == nil {
		err = json.Unmarshal(text, &s.shadowFile)
	}
	if err == nil {
		s.content, err = m.readShadowed(s)
	}
	m.shadow = s
	if err != nil {
		s.err = err.Error()
		m.Log.Error("the shadow cannot be read", "error", err)
	}
}

func (m *Manager) readShadowed(s *shadow) (l *loaded, err error) {
	if s.source, err = m.itsSource(s); err != nil {
		return nil, err
	}
	tarball, err := os.ReadFile(m.shadowPath(s.SHA256 + packs))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(tarball); hex.EncodeToString(sum[:]) != s.SHA256 {
		return nil, errors.New("its tarball is not as it was written")
	}
	if l, err = readPacked(tarball, s.signing(), maxUpload); err == nil {
		l.rest()
	}
	return l, err
}

// itsSource finds the source in whose place a shadow was, also where it is called
// otherwise now.
func (m *Manager) itsSource(s *shadow) (*source, error) {
	if s.Source == "" && len(m.overlays) == 0 {
		return nil, nil
	}
	for _, one := range m.overlays {
		if one.origin() == s.Source {
			s.Bundle = one.name
			return one, nil
		}
	}
	return nil, fmt.Errorf("it was beside %s, and the configuration has other bundles now: set it again", cmp.Or(s.Source, "the base alone"))
}
