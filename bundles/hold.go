package bundles

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/patrol-authz/patrol/authz"
)

// hold keeps what an operator made active: what the source had then is passed
// over until it has something else that passes the gate. It is on the disk before
// what it holds is active, so that a restart does not undo what somebody did.
type hold struct {
	authz.BundleHold
	// Source is whose hold it is.
	Source string `json:"source"`
	// Passed are the contents that are passed over, as [loaded.is] tells them: what
	// the source had when an operator acted, and what was left then. The source may
	// not have been read, or have had something that the gate refuses.
	Passed []string `json:"passed"`
	// Serial is that of what is active.
	Serial int64 `json:"serial,omitempty"`
	// lost is why the hold on the disk cannot be read: what was held is not known.
	lost error
	seen bool // where it was lost: that the source had something
}

// passes says whether a source's content is passed over. Where a hold was lost, that
// is what the history says that somebody went back from, and what the source had
// first: it may be that, too.
func (s *source) passes(l *loaded) bool {
	if s.hold == nil {
		return false
	}
	if s.hold.lost != nil && !s.hold.seen {
		s.hold.seen = true
		s.hold.pass(l)
	}
	return slices.Contains(s.hold.Passed, l.is())
}

// pass has content passed over.
func (h *hold) pass(l *loaded) {
	if l != nil && !slices.Contains(h.Passed, l.is()) {
		h.Passed = append(h.Passed, l.is())
	}
}

// serves says whether content is what the hold keeps active.
func (h *hold) serves(l *loaded) bool { return l.revision == h.Revision && l.content == h.Digest }

func (m *Manager) holdFile(s *source) string {
	return filepath.Join(m.StateDir, "bundles", "held", s.key()+".json")
}

// newHold is the hold under which an act makes a bundle active.
func (m *Manager) newHold(s *source, l *loaded, how, by string) *hold {
	h := &hold{
		BundleHold: authz.BundleHold{How: how, By: by, Since: m.Clock().UTC(), Revision: l.revision, Digest: l.content},
		Source:     s.origin(), Serial: l.serial,
	}
	if s.hold != nil { // as long as its source does not change, what is passed over stays so
		h.SourceRevision, h.SourceDigest, h.Passed = s.hold.SourceRevision, s.hold.SourceDigest, slices.Clone(s.hold.Passed)
	}
	h.pass(s.current)
	h.Passed = slices.DeleteFunc(h.Passed, func(is string) bool { return is == l.is() })
	if s.offered != nil {
		h.SourceRevision, h.SourceDigest = s.offered.revision, s.offered.content
		h.pass(s.offered)
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
	if err == nil {
		s.stale = false
		return
	}
	h.NotKept = err.Error()
	after := "its source counts again"
	if m.StateDir != "" {
		if err := remove(m.holdFile(s)); err != nil { // the hold before this one
			after = "what was held before is active again, if anything was"
			h.NotKept += "; after a restart " + after + ": " + err.Error()
		}
	}
	m.Log.Error("that the bundle is held cannot be kept; it is tried again, and after a restart before that "+after, "bundle", s.name, "error", err)
}

// keepAgain puts on the disk what could not be put there about a hold.
func (m *Manager) keepAgain(s *source) {
	switch {
	case s.hold != nil && s.hold.NotKept != "" && s.current != nil && s.current.hold == s.hold:
		m.holdAt(s, s.current, s.hold)
	case s.hold == nil && s.stale:
		if err := m.lift(s); err != nil {
			m.Log.Error("that the bundle is no longer held cannot be kept", "bundle", s.name, "error", err)
		}
	}
}

// keepHeld writes a hold. It succeeds only where what is held can be read again: a
// hold of something that cannot leaves nothing active after a restart.
func (m *Manager) keepHeld(s *source, l *loaded, h *hold) error {
	err := m.history.activated(s, l, h.How, h.By, h.Since)
	_, lost := m.heldBy(s, h)
	if lost != nil && s.signing == nil {
		if kept := m.keep(s, l); kept == nil { // the last good one will do
			_, lost = m.heldBy(s, h)
		}
	}
	if lost != nil {
		return cmp.Or(err, lost)
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return replace(m.holdFile(s), text)
}

// readHold finds out whether a source is held. Where that cannot be told it is: what
// the source has may be what somebody went back from in need.
func (m *Manager) readHold(s *source) {
	if m.StateDir == "" || s == m.base {
		return
	}
	text, err := os.ReadFile(m.holdFile(s))
	if errors.Is(err, fs.ErrNotExist) {
		s.hold = nil
		return
	}
	h := &hold{}
	if err == nil {
		err = json.Unmarshal(text, h)
	}
	if err == nil && h.Digest == "" {
		err = errors.New("it names no content")
	}
	if err != nil && s.hold != nil {
		return // as before
	}
	if err != nil {
		m.Log.Error("what the bundle is held at is not known; nothing is active", "bundle", s.name, "file", m.holdFile(s), "error", err)
		h = &hold{lost: fmt.Errorf("%s: %w", m.holdFile(s), err)}
		for _, v := range m.history.of[s] {
			if v.Left {
				h.Passed = append(h.Passed, v.is())
			}
		}
	}
	s.hold = h
}

// lift ends a hold, on the disk first.
func (m *Manager) lift(s *source) error {
	if m.StateDir != "" {
		if err := remove(m.holdFile(s)); err != nil {
			return err
		}
	}
	s.hold, s.stale = nil, false
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

// restoreHeld reads what a source is held at.
func (m *Manager) restoreHeld(s *source) (*loaded, error) {
	l, err := m.heldBy(s, s.hold)
	if err != nil {
		return nil, fmt.Errorf("what it is held at cannot be read: %w", err)
	}
	l.hold = s.hold
	return l, nil
}

// heldBy reads what a hold keeps active: from the history, or else from the last
// good one, where that need not be signed.
func (m *Manager) heldBy(s *source, h *hold) (*loaded, error) {
	if h.lost != nil {
		return nil, h.lost
	}
	l, err := m.history.find(s, h.Revision, h.Digest)
	if err != nil && s.signing == nil {
		if last, lastErr := readPath(m.file(s)); lastErr == nil && h.serves(last) {
			return last, nil
		}
	}
	return l, err
}
