package bundles

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"

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
	cancel   context.CancelFunc
	wait     sync.WaitGroup
}

// source is one place where a bundle comes from.
type source struct {
	name, kind string // kind: embedded, a path, or a URL
	path       string // "" unless a path
	// signing says by what its bundles have to be signed; nil: they need not be.
	signing *bundle.VerificationConfig
	current *loaded
	offered *loaded // what it was last read to have; nil: nothing yet
	seen    string  // what was last tried, so that it is tried once
	hold    *hold   // nil: what it has counts
	status  Status
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
			m.overlays = append(m.overlays, &source{name: r.Name, kind: r.Service + "/" + r.Resource, signing: r.Signing})
		}
	}
	m.history = history{most: o.HistoryEntries, bytes: o.HistoryBytes, log: o.Log, of: map[*source][]*version{}}
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
		if s.hold != nil {
			held := s.hold.BundleHold
			status.Held = &held
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
	m.remember()
	m.first(ctx)
	m.tellHolds()
	m.started = true
	if m.shadow != nil {
		m.wait.Go(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.reshadow(context.Background())
		})
	}
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

// remember reads what was kept: of each source its history, and whether it is held,
// and the shadow.
func (m *Manager) remember() {
	for _, s := range m.overlays {
		m.history.open(s)
		if err := m.readHold(s); err != nil {
			m.Log.Error("whether the bundle is held is not known; its source counts", "bundle", s.name, "file", m.holdFile(s), "error", err)
		}
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
		if s.hold.passes(l) {
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
	s.offered = l
	if s.hold.passes(l) {
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
	if s.hold.NotKept != "" && m.StateDir != "" {
		m.holdAt(s, s.current, s.hold) // the disk may have room again
	}
}

// try sends what a source has through the gate, beside what the others have.
func (m *Manager) try(ctx context.Context, s *source, l *loaded) error {
	if s.seen == l.is() {
		return nil
	}
	s.seen = l.is()
	candidates, err := m.beside(s, l)
	if err != nil {
		return m.report(s, l, err)
	}
	return m.activate(ctx, s, candidates)
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
		if other == m.base && other.current == nil {
			if other.current, err = readFS(m.Base); err != nil {
				return nil, err
			}
		}
		if other.current == nil {
			return nil, fmt.Errorf("waiting for the bundle %s, without which nothing is active", other.name)
		}
		candidates[other] = other.current
	}
	return candidates, nil
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
		m.reshadow(context.Background())
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
			m.Log.Error("that the bundle is no longer held cannot be kept", "bundle", s.name, "error", err)
			s.hold = nil
		}
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

// replayed refuses a bundle that is older than the one it would replace: a
// bundle that once was good, and is signed, stays signed. It binds where the
// present one has a serial, also over a restart.
func (m *Manager) replayed(s *source, l *loaded) error {
	if l.hold != nil {
		return nil // somebody who may said so
	}
	before := s.current
	if before == nil && m.StateDir != "" {
		before, _ = m.restore(s) // that there is none is no reason to refuse
	}
	least := int64(0)
	if before != nil {
		least = before.serial
	}
	if s.hold != nil {
		least = max(least, s.hold.Serial)
	}
	if least <= l.serial {
		return nil
	}
	return fmt.Errorf("the bundle's serial %d is older than that of the present one, %d (metadata.patrol.serial in the manifest)", l.serial, least)
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
	return filepath.Join(m.StateDir, "bundles", s.name+packs)
}
