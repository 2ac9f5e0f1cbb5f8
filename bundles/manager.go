package bundles

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Manager keeps the active ruleset.
type Manager struct {
	Options
	active atomic.Pointer[authz.Ruleset]
	holds  atomic.Pointer[map[string]bool]

	mu       sync.Mutex // one activation at a time; guards what follows
	base     *source
	overlays []*source
	history  history
	shadow   *shadow // nil: there is none
	started  bool
	closed   bool
	life     context.Context //nolint:containedctx // ends with Close
	cancel   context.CancelFunc
	wait     sync.WaitGroup

	uploads sync.Mutex // one shadow is read at a time
	judging sync.Mutex // and one judged again
}

// New makes a manager; Start begins its work.
func New(o Options) *Manager {
	o.defaults()
	m := &Manager{Options: o, base: &source{name: "base", kind: "embedded"}, overlays: o.sources()}
	m.life, m.cancel = context.WithCancel(context.Background())
	m.history = history{most: o.HistoryEntries, bytes: o.HistoryBytes, log: o.Log, of: map[*source][]*version{}, unsure: map[*source]bool{}}
	if o.StateDir != "" {
		m.history.dir = filepath.Join(o.StateDir, "bundles", "history")
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

// ReadsSetting says whether a rule reads a setting of an organization by name.
func (m *Manager) ReadsSetting(name string) bool { return m.Ruleset().ReadsSetting(name) }

// ReviewRules lists the review rules that there are; nil where that is not known.
func (m *Manager) ReviewRules() []string {
	if r := m.Ruleset(); r != nil {
		return r.ReviewRules
	}
	return nil
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
		if s.hold != nil && s.hold.lost == nil {
			held := s.hold.BundleHold
			status.Held = &held
		}
		out = append(out, status)
	}
	return out
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
	set, err := m.judged(ctx, &m.Options, candidates)
	if err != nil {
		return trigger, err
	}
	m.swap(trigger, set)
	return nil, nil
}

// judgedSet is a set of bundles that passed the gate.
type judgedSet struct {
	*passed
	active     []*source // the base, then the overlays
	candidates map[*source]*loaded
}

// judged sends a set of candidates through the gate.
func (m *Manager) judged(ctx context.Context, o *Options, candidates map[*source]*loaded) (*judgedSet, error) {
	base, overlays := m.base, []*source{}
	for _, s := range m.overlays {
		switch l := candidates[s]; {
		case l == nil:
		case l.root != rootBase:
			overlays = append(overlays, s)
		case base != m.base:
			return nil, fmt.Errorf("the bundles %s and %s have both the root %s: one replaces the base", base.name, s.name, rootBase)
		default:
			base = s
		}
	}
	active := append([]*source{base}, overlays...)
	parts := make([]*loaded, len(active))
	for i, s := range active {
		parts[i] = candidates[s]
	}
	p, err := o.gate(ctx, parts[0], parts[1:])
	if err != nil {
		return nil, err
	}
	return &judgedSet{p, active, candidates}, nil
}

// swap makes active what passed the gate.
func (m *Manager) swap(trigger *source, set *judgedSet) {
	m.active.Store(set.rules)
	m.Log.Info("policy activated", "name", set.rules.Name, "revision", set.rules.Revision, "warnings", len(set.warnings),
		"evaluator", set.rules.Evaluator.Name(), "why", EvaluatorWhy(set.rules))
	m.activated(trigger, set.active, set.candidates, set.warnings)
	if m.started {
		m.reshadow()
	}
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
			s.status = Status{Name: s.name, Source: s.kind, Root: l.root, Revision: l.revision, Digest: l.content, LastSuccess: since, LastAttempt: &now}
			m.noteActive(s, l, now)
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
	m.tellHolds()
	m.observe(event)
}

// noteActive writes down what of a source is active now. What cannot be written
// costs a later way back, never the activation.
func (m *Manager) noteActive(s *source, l *loaded, now time.Time) {
	if s == m.base {
		return
	}
	how, by := authz.BundleFromSource, ""
	if l.hold != nil {
		s.hold, how, by = l.hold, l.hold.How, l.hold.By
	} else if s.hold != nil {
		if err := m.lift(s); err != nil {
			m.Log.Error("that the bundle is no longer held cannot be kept; it is tried again, and a restart before that goes back to what it was held at",
				"bundle", s.name, "held_at", s.hold.Revision, "error", err)
			s.hold, s.stale = nil, true
		}
	}
	if l.hold == nil {
		m.raise(s, l)
	}
	if s.signing == nil && l.raw == nil && m.StateDir != "" {
		l.raw, _ = pack(l.Bundle) // once for both; who needs it says what is wrong
	}
	if err := m.keep(s, l); err != nil {
		m.Log.Warn("the last good bundle cannot be kept", "bundle", s.name, "error", err)
	}
	if err := m.history.activated(s, l, how, by, now.UTC()); err != nil {
		m.Log.Warn("the bundle cannot be kept in the history", "bundle", s.name, "revision", l.revision, "error", err)
		s.status.HistoryError = err.Error()
	}
	if s.signing == nil {
		l.raw = nil // it can be packed again
	}
}

// report notes a refusal. It returns the error.
func (m *Manager) report(s *source, l *loaded, err error) error {
	now := m.Clock()
	err = s.told(err)
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
	return filepath.Join(m.StateDir, "bundles", s.name+packs)
}
