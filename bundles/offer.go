package bundles

import (
	"context"
	"errors"
	"fmt"
)

// offer tries what a source has now. It changes nothing when the gate refuses.
func (m *Manager) offer(ctx context.Context, s *source, l *loaded, err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		s.offered = l
	}
	if s.hold != nil && s.hold.lost != nil { // it may be readable by now, or somebody removed it
		m.readHold(s)
	}
	if s.hold != nil && s.current == nil && (err != nil || s.passes(l)) {
		if lost := m.serveHeld(ctx, s); lost != nil && err == nil {
			err = lost
		} else if lost != nil {
			err = s.told(fmt.Errorf("%w; %w", err, lost))
		}
	}
	if err != nil {
		s.seen = "" // what comes next is tried, also if it is what was there before
		if s.status.Error != err.Error() {
			_ = m.report(s, l, err)
		}
		return err
	}
	if s.passes(l) {
		m.passOver(s, l)
		return nil
	}
	defer l.rest()
	return m.try(ctx, s, l)
}

// passOver leaves what a source has as it is: an operator made another active.
func (m *Manager) passOver(s *source, l *loaded) {
	l.rest()
	s.seen, s.status.Error = l.is(), ""
	s.hold.SourceRevision, s.hold.SourceDigest = l.revision, l.content
}

// serveHeld makes active what a source is held at, where that could not be done
// before: nothing is active as long as it cannot.
func (m *Manager) serveHeld(ctx context.Context, s *source) error {
	l, err := m.restoreHeld(s)
	if err != nil {
		return s.told(err)
	}
	candidates, err := m.beside(s, l)
	if err == nil {
		_, err = m.attempt(ctx, s, candidates)
	}
	if err != nil {
		return s.told(fmt.Errorf("what it is held at is refused: %w", err))
	}
	return nil
}

// try sends what a source has through the gate, beside what the others have.
func (m *Manager) try(ctx context.Context, s *source, l *loaded) error {
	if s.seen == l.is() {
		return nil
	}
	s.seen = l.is()
	candidates, err := m.beside(s, l)
	if w := (waiting{}); errors.As(err, &w) && s.hold != nil && s.hold.lost != nil {
		// What it has ends that; else two of which this was lost wait for each other.
		if lifted := m.lift(s); lifted != nil {
			err = errors.Join(err, lifted)
		}
	}
	if err != nil {
		return m.report(s, l, err)
	}
	return m.activate(ctx, s, candidates)
}

// waiting is for a source of which nothing is there yet.
type waiting struct{ name string }

func (w waiting) Error() string {
	return "waiting for the bundle " + w.name + ", without which nothing is active"
}

// beside are a source's content and what the others have.
func (m *Manager) beside(s *source, l *loaded) (candidates map[*source]*loaded, err error) {
	candidates = map[*source]*loaded{s: l}
	for _, other := range append([]*source{m.base}, m.overlays...) {
		if other == s {
			continue
		}
		if other.current == nil && other.path != "" && other.hold == nil {
			if fresh, err := readPath(other.path); err == nil {
				candidates[other] = fresh
				continue
			}
		}
		if other.current == nil && other.path == "" && other.hold == nil && other.offered != nil {
			candidates[other] = other.offered // what it brought when it had to wait
			continue
		}
		if other == m.base && other.current == nil {
			if other.current, err = readFS(m.Base); err != nil {
				return nil, err
			}
		}
		if other.current == nil {
			return nil, waiting{other.name}
		}
		candidates[other] = other.current
	}
	return candidates, nil
}
