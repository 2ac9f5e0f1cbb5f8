package bundles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/patrol-authz/patrol/authz"
)

// hold keeps what an operator made active: what the source had then is passed
// over until it has something else that passes the gate. It is on the disk before
// what it holds is active, so that a restart does not undo what somebody did.
type hold struct {
	authz.BundleHold
	// Serial is the greatest that was active: a source does not go back behind it,
	// though what serves has a lower one.
	Serial int64 `json:"serial,omitempty"`
}

// passes says whether a source's content is what is passed over.
func (h *hold) passes(l *loaded) bool {
	return h != nil && h.SourceDigest != "" && l.revision == h.SourceRevision && l.content == h.SourceDigest
}

// serves says whether content is what the hold keeps active.
func (h *hold) serves(l *loaded) bool { return l.revision == h.Revision && l.content == h.Digest }

func (m *Manager) holdFile(s *source) string {
	return filepath.Join(m.StateDir, "bundles", "held", fileName(s.name)+".json")
}

// newHold is the hold under which an act makes a bundle active.
func (m *Manager) newHold(s *source, l *loaded, how, by string) *hold {
	h := &hold{BundleHold: authz.BundleHold{How: how, By: by, Since: m.Clock().UTC(), Revision: l.revision, Digest: l.content}}
	if s.hold != nil { // as long as its source does not change, what is passed over stays it
		h.SourceRevision, h.SourceDigest, h.Serial = s.hold.SourceRevision, s.hold.SourceDigest, s.hold.Serial
	}
	if s.offered != nil {
		h.SourceRevision, h.SourceDigest = s.offered.revision, s.offered.content
	}
	if s.current != nil {
		h.Serial = max(h.Serial, s.current.serial)
	}
	return h
}

// holdAt puts content under a hold, and both on the disk: the content first, as
// without it there would be nothing to serve after a restart. That they cannot be
// kept does not stop who goes back in need; it is told.
func (m *Manager) holdAt(s *source, l *loaded, h *hold) {
	l.hold, h.NotKept = h, ""
	err := errors.New("there is no data directory")
	if m.StateDir != "" {
		err = m.keepHeld(s, l, h)
	}
	if err != nil {
		h.NotKept = err.Error()
		m.Log.Error("that the bundle is held cannot be kept; after a restart its source counts again", "bundle", s.name, "error", err)
	}
}

func (m *Manager) keepHeld(s *source, l *loaded, h *hold) error {
	err := m.history.activated(s, l, h.How, h.By, h.Since)
	if err != nil && m.history.entry(s, l.is()) == nil && s.signing == nil {
		err = m.keep(s, l) // the last good one will do
	} else if m.history.entry(s, l.is()) != nil {
		err = nil
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return replace(m.holdFile(s), text)
}

// readHold finds out whether a source is held.
func (m *Manager) readHold(s *source) error {
	if m.StateDir == "" || s == m.base {
		return nil
	}
	text, err := os.ReadFile(m.holdFile(s))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	h := &hold{}
	if err == nil {
		err = json.Unmarshal(text, h)
	}
	if err == nil && h.Digest == "" {
		err = errors.New("it names no content")
	}
	if err != nil {
		return err
	}
	s.hold = h
	return nil
}

// lift ends a hold, on the disk first.
func (m *Manager) lift(s *source) error {
	if m.StateDir != "" {
		if err := remove(m.holdFile(s)); err != nil {
			return err
		}
	}
	s.hold = nil
	return nil
}

// tellHolds keeps what [Manager.Holds] says.
func (m *Manager) tellHolds() {
	held := map[string]bool{}
	for _, s := range m.overlays {
		held[s.name] = s.hold != nil
	}
	m.holds.Store(&held)
}

// Holds says of each bundle that has a source whether it is held. It waits for no
// activation.
func (m *Manager) Holds() map[string]bool {
	if held := m.holds.Load(); held != nil {
		return *held
	}
	return nil
}

// restoreHeld reads what a hold keeps active: from the history, or else from the
// last good one, where that need not be signed.
func (m *Manager) restoreHeld(s *source) (*loaded, error) {
	l, err := m.history.find(s, s.hold.Revision, s.hold.Digest)
	if err != nil && s.signing == nil {
		if last, lastErr := readPath(m.file(s)); lastErr == nil && s.hold.serves(last) {
			l, err = last, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the bundle is held at %s since %s, which cannot be read (patrol bundle rollback --release goes back to its source): %w",
			s.hold.Revision, s.hold.Since.UTC().Format("2006-01-02 15:04 UTC"), err)
	}
	l.hold = s.hold
	return l, nil
}
