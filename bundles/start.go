package bundles

import (
	"context"
	"fmt"
	"time"
)

// Start reads every source, activates them, or else the last good set, and
// watches from then on. It fails only where there can be no watching; whether
// something is active, Ruleset and Status tell.
func (m *Manager) Start(ctx context.Context) error {
	if err := apart(m.overlays); err != nil {
		return err
	}
	for _, s := range append([]*source{m.base}, m.overlays...) {
		s.status = Status{Name: s.name, Source: s.kind}
	}
	m.mu.Lock()
	m.remember()
	m.first(ctx)
	m.tellHolds()
	m.started = true
	m.reshadow()
	m.mu.Unlock()
	if m.StateDir != "" {
		m.wait.Go(m.keepTrying)
	}
	if err := m.watch(m.life); err != nil {
		m.Close()
		return err
	}
	return m.follow(m.life)
}

// Close stops watching.
func (m *Manager) Close() {
	m.cancel()
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.wait.Wait()
}

// keepTrying writes down what could not be written, as the disk may have room again.
func (m *Manager) keepTrying() {
	ticker := time.NewTicker(10 * m.Poll)
	defer ticker.Stop()
	for {
		select {
		case <-m.life.Done():
			return
		case <-ticker.C:
			m.mu.Lock()
			for _, s := range m.overlays {
				m.keepAgain(s)
			}
			m.mu.Unlock()
		}
	}
}

// remember reads what was kept: of each source its history, and whether it is held,
// and the shadow.
func (m *Manager) remember() {
	for _, s := range m.overlays {
		m.history.open(s)
		m.floorOf(s) // before anything else is the last good one
		m.readHold(s)
	}
	m.readShadow()
}

// first is the activation at the start.
func (m *Manager) first(ctx context.Context) {
	base, err := readFS(m.Base)
	if err != nil {
		_ = m.report(m.base, nil, fmt.Errorf("the embedded base bundle: %w", err))
		return
	}
	candidates := map[*source]*loaded{m.base: base}
	complete := true
	for _, s := range m.overlays {
		if s.path == "" {
			complete = false // a service's bundle comes when it answers
			continue
		}
		l, err := readPath(s.path)
		if err != nil {
			complete = false
			_ = m.report(s, nil, err)
			continue
		}
		s.seen, s.offered = l.is(), l
		if s.passes(l) {
			if l, err = m.restore(s); err != nil {
				complete = false
				_ = m.report(s, nil, err)
				continue
			}
		}
		candidates[s] = l
	}
	var refused error
	trigger := m.trigger()
	if complete {
		if trigger, refused = m.attempt(ctx, trigger, candidates); refused == nil {
			return
		}
	}
	if !m.lastGood(ctx, candidates) && refused != nil {
		_ = m.report(trigger, candidates[trigger], refused)
	}
}

func (m *Manager) trigger() *source {
	if len(m.overlays) > 0 {
		return m.overlays[len(m.overlays)-1]
	}
	return m.base
}

// lastGood serves the set that was last active before, from the disk. The
// gate judges it again. What the sources have now is then tried one by one, so
// that the error is told of the one that is at fault and the others go on. It
// says whether something serves.
func (m *Manager) lastGood(ctx context.Context, now map[*source]*loaded) bool {
	if m.StateDir == "" {
		return false
	}
	base, err := readFS(m.Base)
	if err != nil {
		return false
	}
	candidates := map[*source]*loaded{m.base: base}
	unread := map[*source]string{}
	for _, s := range m.overlays {
		l, err := m.restore(s)
		if err != nil {
			m.Log.Warn("there is no last good bundle to fall back on", "bundle", s.name, "error", err)
			if s.hold != nil && s.status.Error != s.told(err).Error() {
				_ = m.report(s, nil, err)
			}
			return false
		}
		candidates[s], unread[s] = l, s.status.Error
	}
	if _, err := m.attempt(ctx, m.trigger(), candidates); err != nil {
		m.Log.Warn("the last good bundles are refused", "error", err)
		for _, s := range m.overlays {
			if s.hold != nil {
				_ = m.report(s, candidates[s], fmt.Errorf("what it is held at is refused: %w", err))
			}
		}
		return false
	}
	m.Log.Warn("the last good bundles serve", "revision", m.Ruleset().Revision)
	for _, s := range m.overlays {
		fresh := now[s]
		if fresh != nil && fresh.is() == candidates[s].is() {
			continue // what serves is what the source has, or what it is held at
		}
		if fresh == nil && s.hold != nil {
			s.status.Error = unread[s]
			continue // what serves is what it is held at, not what was good by chance
		}
		s.status.LastGood, s.status.Error = true, unread[s]
		if fresh != nil {
			s.seen = ""
			_ = m.try(ctx, s, fresh) // reported
		}
	}
	return true
}
