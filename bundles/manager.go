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
		s.seen = l.is()
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
			return false
		}
		candidates[s], unread[s] = l, s.status.Error
	}
	if _, err := m.attempt(ctx, m.trigger(), candidates); err != nil {
		m.Log.Warn("the last good bundles are refused", "error", err)
		return false
	}
	m.Log.Warn("the last good bundles serve", "revision", m.Ruleset().Revision)
	for _, s := range m.overlays {
		fresh := now[s]
		if fresh != nil && fresh.is() == candidates[s].is() {
			continue // what serves is what the source has
		}
		s.status.LastGood, s.status.Error = true, unread[s]
		if fresh != nil {
			s.seen = ""
			_ = m.try(ctx, s, fresh) // reported
		}
	}
	return true
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
	return m.try(ctx, s, l)
}

// try sends what a source has through the gate, beside what the others have.
func (m *Manager) try(ctx context.Context, s *source, l *loaded) (err error) {
	if s.seen == l.is() {
		return nil
	}
	s.seen = l.is()
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

// activate makes an attempt and reports its failure.
func (m *Manager) activate(ctx context.Context, trigger *source, candidates map[*source]*loaded) error {
	if culprit, err := m.attempt(ctx, trigger, candidates); err != nil {
		return m.report(culprit, candidates[culprit], err)
	}
	return nil
}

// attempt sends candidates through the gate and swaps the pointer. With an error
// it names the source at fault, as far as that can be told, and nothing changed.
func (m *Manager) attempt(ctx context.Context, trigger *source, candidates map[*source]*loaded) (*source, error) {
	for s, l := range candidates {
		if err := m.replayed(s, l); err != nil {
			return s, err
		}
	}
	base, overlays := m.base, []*source{}
	for _, s := range m.overlays {
		switch l := candidates[s]; {
		case l == nil:
		case l.root != rootBase:
			overlays = append(overlays, s)
		case base != m.base:
			return trigger, fmt.Errorf("the bundles %s and %s have both the root %s: one replaces the base", base.name, s.name, rootBase)
		default:
			base = s
		}
	}
	active := append([]*source{base}, overlays...)
	parts := make([]*loaded, len(active))
	for i, s := range active {
		parts[i] = candidates[s]
	}
	p, err := m.gate(ctx, parts[0], parts[1:])
	if err != nil {
		return trigger, err
	}
	m.active.Store(p.rules)
	m.Log.Info("policy activated", "name", p.rules.Name, "revision", p.rules.Revision, "warnings", len(p.warnings),
		"evaluator", p.rules.Evaluator.Name(), "why", EvaluatorWhy(p.rules))
	m.activated(trigger, active, candidates, p.warnings)
	return nil, nil
}

// activated notes of each source what is active now. What was active before goes
// on as it was: its age, and what is wrong with what its source has.
func (m *Manager) activated(trigger *source, active []*source, candidates map[*source]*loaded, warnings []string) {
	now := m.Clock()
	event := Event{Name: trigger.name, Time: now}
	for s, l := range candidates {
		if s.current != l || s.status.Revision == "" {
			since := &now
			if s.status.Revision != "" && s.current.is() == l.is() { // it was lost in between, and is back
				since = s.status.LastSuccess
			}
			s.status = Status{Name: s.name, Source: s.kind, Root: l.root, Revision: l.revision, LastSuccess: since, LastAttempt: &now}
			if err := m.keep(s, l); err != nil {
				m.Log.Warn("the last good bundle cannot be kept", "bundle", s.name, "error", err)
			}
		}
		s.current = l
		l.rest()
		if l.root == rootOverlay {
			s.status.Warnings = warnings
		}
	}
	if active[0] != m.base {
		m.base.status = Status{Name: m.base.name, Source: m.base.kind, Root: rootBase, ReplacedBy: active[0].name}
	}
	for _, s := range active {
		event.Active = append(event.Active, Active{Name: s.name, Revision: s.status.Revision, Since: *s.status.LastSuccess})
	}
	m.observe(event)
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
	m.observe(Event{Name: s.name, Err: err, Time: now})
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
