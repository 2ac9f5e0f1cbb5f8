package bundles

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/patrol-authz/patrol/authz"
)

// Manager keeps the active ruleset.
type Manager struct {
	Options
	active atomic.Pointer[authz.Ruleset]

	mu       sync.Mutex // one activation at a time; guards what follows
	base     *source
	overlays []*source
	cancel   context.CancelFunc
	wait     sync.WaitGroup
}

// source is one place where a bundle comes from.
type source struct {
	name, kind string // kind: embedded, a path, or a URL
	path       string // "" unless a path
	current    *loaded
	seen       string // what was last tried, so that it is tried once
	status     Status
}

// New makes a manager; Start begins its work.
func New(o Options) *Manager {
	o.defaults()
	m := &Manager{Options: o, base: &source{name: "base", kind: "embedded"}}
	for i, p := range o.Paths {
		name := "local"
		if i > 0 {
			name = fmt.Sprintf("local-%d", i+1)
		}
		m.overlays = append(m.overlays, &source{name: name, kind: p, path: p})
	}
	if o.Remote != nil {
		for _, r := range o.Remote.Bundles {
			m.overlays = append(m.overlays, &source{name: r.Name, kind: r.Service + "/" + r.Resource})
		}
	}
	return m
}

// Ruleset returns what is active, or nil while nothing has passed the gate.
func (m *Manager) Ruleset() *authz.Ruleset { return m.active.Load() }

// HasPolicy, RequiresApproval and PolicyNames answer by the active ruleset.
func (m *Manager) HasPolicy(name string) bool { return m.Ruleset().HasPolicy(name) }

// RequiresApproval says whether a token policy asks for an approval.
func (m *Manager) RequiresApproval(name string) bool {
	if r := m.Ruleset(); r != nil {
		for _, p := range r.Policies {
			if p.Name == name {
				return p.RequiresApproval
			}
		}
	}
	return false
}

// PolicyNames lists the token policies that there are.
func (m *Manager) PolicyNames() []string {
	var names []string
	if r := m.Ruleset(); r != nil {
		for _, p := range r.Policies {
			names = append(names, p.Name)
		}
	}
	return names
}

// Status tells of each source.
func (m *Manager) Status() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Status
	for _, s := range append([]*source{m.base}, m.overlays...) {
		status := s.status
		if r := m.active.Load(); r != nil && status.Revision != "" { // it may change while it serves
			status.Evaluator, status.EvaluatorWhy = r.Evaluator.Name(), EvaluatorWhy(r)
		}
		out = append(out, status)
	}
	return out
}

// Start reads every source, activates them, or else the last good set, and
// watches from then on. It fails only where there can be no watching; whether
// something is active, Ruleset and Status tell.
func (m *Manager) Start(ctx context.Context) error {
	for _, s := range append([]*source{m.base}, m.overlays...) {
		s.status = Status{Name: s.name, Source: s.kind}
	}
	m.mu.Lock()
	m.first(ctx)
	m.mu.Unlock()
	following, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	if err := m.watch(following); err != nil {
		cancel()
		m.wait.Wait()
		return err
	}
	return m.follow(following)
}

// Close stops watching.
func (m *Manager) Close() {
	if m.cancel != nil {
		m.cancel()
	}
	m.wait.Wait()
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
		s.seen = l.revision + digest(l.Bundle)
		candidates[s] = l
	}
	if complete {
		if err := m.activate(ctx, m.trigger(), candidates); err == nil {
			return
		}
	}
	m.lastGood(ctx)
}

func (m *Manager) trigger() *source {
	if len(m.overlays) > 0 {
		return m.overlays[len(m.overlays)-1]
	}
	return m.base
}

// lastGood serves the set that was last active before, from the disk. The
// gate judges it again.
func (m *Manager) lastGood(ctx context.Context) {
	if m.StateDir == "" {
		return
	}
	candidates := map[*source]*loaded{}
	for _, s := range append([]*source{m.base}, m.overlays...) {
		l, err := m.restore(s)
		if err != nil {
			if s == m.base {
				l, err = readFS(m.Base)
			}
			if err != nil {
				m.Log.Warn("there is no last good bundle to fall back on", "bundle", s.name, "error", err)
				return
			}
		}
		candidates[s] = l
	}
	kept := map[*source]string{}
	for s := range candidates {
		kept[s] = s.status.Error
	}
	if err := m.activate(ctx, m.trigger(), candidates); err != nil {
		return
	}
	for s, message := range kept {
		s.status.LastGood, s.status.Error = true, message
	}
	m.Log.Warn("the last good bundles serve", "revision", m.Ruleset().Revision)
}

// offer tries what a source has now. It changes nothing when the gate refuses.
func (m *Manager) offer(ctx context.Context, s *source, l *loaded, err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		s.seen = "" // what comes next is tried, also if it is what was there before
		if s.status.Error != err.Error() {
			_ = m.report(s, l, err)
		}
		return err
	}
	seen := l.revision + digest(l.Bundle)
	if s.seen == seen {
		return nil
	}
	s.seen = seen
	candidates := map[*source]*loaded{s: l}
	for _, other := range append([]*source{m.base}, m.overlays...) {
		if other == s {
			continue
		}
		if other.current == nil && other.path != "" {
			if fresh, err := readPath(other.path); err == nil {
				candidates[other] = fresh
				continue
			}
		}
		if other == m.base && other.current == nil {
			if other.current, err = readFS(m.Base); err != nil {
				return err
			}
		}
		if other.current == nil {
			return m.report(s, l, fmt.Errorf("waiting for the bundle %s, without which nothing is active", other.name))
		}
		candidates[other] = other.current
	}
	return m.activate(ctx, s, candidates)
}

// activate sends candidates through the gate and swaps the pointer.
func (m *Manager) activate(ctx context.Context, trigger *source, candidates map[*source]*loaded) error {
	base := candidates[m.base]
	for s, l := range candidates {
		if err := m.replayed(s, l); err != nil {
			return m.report(s, l, err)
		}
	}
	var overlays []*loaded
	for _, s := range m.overlays {
		l := candidates[s]
		if l == nil {
			continue
		}
		if l.root == rootBase {
			base = l
		} else {
			overlays = append(overlays, l)
		}
	}
	p, err := m.gate(ctx, base, overlays)
	if err != nil {
		return m.report(trigger, candidates[trigger], err)
	}
	m.active.Store(p.rules)
	now := m.Clock()
	for s, l := range candidates {
		s.current = l
		s.status = Status{
			Name: s.name, Source: s.kind, Root: l.root, Revision: l.revision, LastSuccess: &now, LastAttempt: &now,
		}
		if l.root == rootOverlay {
			s.status.Warnings = p.warnings
		}
		if err := m.keep(s, l); err != nil {
			m.Log.Warn("the last good bundle cannot be kept", "bundle", s.name, "error", err)
		}
	}
	m.Log.Info("policy activated", "name", p.rules.Name, "revision", p.rules.Revision, "warnings", len(p.warnings),
		"evaluator", p.rules.Evaluator.Name(), "why", EvaluatorWhy(p.rules))
	m.observe(Event{Name: trigger.name, Revision: p.rules.Revision, Time: now})
	return nil
}

// replayed refuses a bundle that is older than the one it would replace: a
// bundle that once was good, and is signed, stays signed. It binds where the
// present one has a serial, also over a restart.
func (m *Manager) replayed(s *source, l *loaded) error {
	before := s.current
	if before == nil && m.StateDir != "" {
		before, _ = m.restore(s) // that there is none is no reason to refuse
	}
	if before == nil || before.serial <= l.serial {
		return nil
	}
	return fmt.Errorf("the bundle's serial %d is older than that of the present one, %d (metadata.patrol.serial in the manifest)", l.serial, before.serial)
}

// report notes a refusal. It returns the error.
func (m *Manager) report(s *source, l *loaded, err error) error {
	now := m.Clock()
	s.status.LastAttempt, s.status.Error = &now, err.Error()
	revision := ""
	if l != nil {
		revision = l.revision
	}
	m.Log.Error("policy bundle refused; what was active stays", "bundle", s.name, "source", s.kind, "revision", revision, "error", err)
	m.observe(Event{Name: s.name, Revision: revision, Err: err, Time: now})
	return err
}

func (m *Manager) observe(e Event) {
	if m.Observe != nil {
		m.Observe(e)
	}
}

func (m *Manager) file(s *source) string {
	return filepath.Join(m.StateDir, "bundles", s.name+".tar.gz")
}
