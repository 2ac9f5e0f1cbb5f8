package bundles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/patrol-authz/patrol/authz"
)

// SetShadow has a tarball evaluated beside what is active, on a part of the
// requests. It goes through the gate, and has to be signed where its source's
// bundles have to be. It is there after a restart, too. Nothing else waits while it
// is read and judged; one is at a time.
func (m *Manager) SetShadow(ctx context.Context, act authz.BundleAct, tarball []byte, sample float64) (*authz.Shadow, string, error) {
	if m.Comparer == nil {
		return nil, "", &authz.BundleError{Kind: authz.BundleConflict, Detail: "requests are not decided by these bundles (drop-in mode): there is nothing to compare"}
	}
	if !m.uploads.TryLock() {
		return nil, "", &authz.BundleError{Kind: authz.BundleConflict, Detail: "another bundle is being read to be the shadow: try again"}
	}
	defer m.uploads.Unlock()
	next, before, err := m.nextShadow(&act, sample)
	if err != nil {
		return nil, "", err
	}
	m.expect(int64(len(tarball)))
	tarball = slices.Clone(tarball) // it is kept, and the caller's own
	if err := next.read(tarball); err != nil {
		return nil, "", &authz.BundleError{Kind: authz.BundleInvalid, Field: "body", Detail: err.Error()}
	}
	if m.isActive(next) {
		return nil, "", &authz.BundleError{Kind: authz.BundleConflict, Detail: next.Revision + " is active: there is nothing to compare"}
	}
	rules, warnings, err := m.judgeShadow(ctx, next)
	if err != nil {
		return nil, "", err
	}
	next.warnings = warnings
	next.content.rest()
	return m.putShadow(ctx, &act, next, tarball, rules, before)
}

// nextShadow is a shadow that has yet to be read. It tells beside what it would be.
func (m *Manager) nextShadow(act *authz.BundleAct, sample float64) (next *shadow, beside string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.beShadowed(act.Bundle)
	if err != nil {
		return nil, "", err
	}
	if err := match(act.Match, m.shadowTag(), "the shadow"); err != nil {
		return nil, "", err
	}
	if !(sample > 0 && sample <= 1) {
		return nil, "", &authz.BundleError{Kind: authz.BundleInvalid, Field: "sample", Detail: "must be more than 0, and 1 at most"}
	}
	next = &shadow{source: s, shadowFile: shadowFile{Sample: sample, By: act.By, Since: m.Clock().UTC()}}
	if s != nil {
		next.Bundle, next.Source = s.name, s.origin()
	}
	return next, m.standing(), nil
}

// read reads what was sent.
func (s *shadow) read(tarball []byte) (err error) {
	sum := sha256.Sum256(tarball)
	s.SHA256 = hex.EncodeToString(sum[:])
	if s.content, err = readPacked(tarball, s.signing(), maxUpload); err != nil {
		return err
	}
	s.Revision, s.Digest = s.content.revision, s.content.content
	return nil
}

func (m *Manager) isActive(s *shadow) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.source != nil && s.source.current != nil && s.source.current.is() == s.content.is()
}

// putShadow puts a shadow that passed the gate in the place of the one before, as
// long as that, and what is active, are what they were.
func (m *Manager) putShadow(ctx context.Context, act *authz.BundleAct, next *shadow, tarball []byte, rules *authz.Ruleset, before string) (*authz.Shadow, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.standing() != before {
		return nil, "", &authz.BundleError{Kind: authz.BundleChanged, Detail: "what is active, or the shadow, changed while the bundle was judged: try again"}
	}
	if act.DryRun {
		return m.shown(next, true), m.tagOf(next), nil
	}
	if err := written(ctx, act, map[string]any{"bundle": next.Bundle, "revision": next.Revision, "digest": next.Digest, "sample": next.Sample}); err != nil {
		return nil, "", err
	}
	if err := m.saveShadow(next, tarball); err != nil {
		return nil, "", fmt.Errorf("keep the shadow: %w", err)
	}
	m.shadow = next
	m.compare(rules)
	m.Log.Info("a bundle is shadowed", "bundle", next.Bundle, "revision", next.Revision, "sample", next.Sample, "by", act.By)
	return m.shown(next, false), m.tagOf(next), nil
}

// standing is the state that a shadow is judged against.
func (m *Manager) standing() string {
	if m.shadow != nil {
		return m.shadowTag()
	}
	return m.tagOf(&shadow{})
}

// judgeShadow sends a shadow through the gate, beside what the other sources have.
func (m *Manager) judgeShadow(ctx context.Context, s *shadow) (rules *authz.Ruleset, warnings []string, err error) {
	o := m.Options
	o.Asker = nil // it is asked about requests alone
	if o.BuildShadow != nil {
		o.Build = o.BuildShadow
	}
	p, err := m.judgedShadow(ctx, &o, s)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	var ours *authz.BundleError
	if err != nil && !errors.As(err, &ours) {
		err = &authz.BundleError{Kind: authz.BundleRefused, Detail: "the gate refuses it: " + err.Error()}
	}
	if err != nil {
		return nil, nil, err
	}
	return p.rules, p.warnings, nil
}

func (m *Manager) judgedShadow(ctx context.Context, o *Options, s *shadow) (*passed, error) {
	candidates, err := m.besideShadow(s)
	if err != nil {
		return nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: err.Error()}
	}
	if s.source != nil {
		set, err := m.judged(ctx, o, candidates)
		if err != nil {
			return nil, err
		}
		return set.passed, nil
	}
	content := candidates[nil] // the server has the embedded base alone
	if content.root == rootBase {
		return o.gate(ctx, content, nil)
	}
	base, err := readFS(m.Base)
	if err != nil {
		return nil, err
	}
	return o.gate(ctx, base, []*loaded{content})
}

// besideShadow are a shadow's content and what the other sources have, as copies:
// they are judged while something else may become active.
func (m *Manager) besideShadow(s *shadow) (candidates map[*source]*loaded, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	candidates = map[*source]*loaded{s.source: s.content}
	if s.source != nil {
		if candidates, err = m.beside(s.source, s.content); err != nil {
			return nil, err
		}
	}
	for of, l := range candidates {
		candidates[of] = l.copy()
	}
	return candidates, nil
}

// compare has the shadow compared with what is active now.
func (m *Manager) compare(rules *authz.Ruleset) {
	if m.Comparer != nil {
		sample := 0.0
		if m.shadow != nil {
			sample = m.shadow.Sample
		}
		m.Comparer.Compare(m.active.Load(), rules, sample)
	}
}

// reshadow has the shadow judged again, as something else is active beside it. Who
// made that active does not wait.
func (m *Manager) reshadow() {
	s := m.shadow
	if s == nil || s.content == nil {
		return
	}
	s.turn++
	s.warnings = nil
	m.compare(nil)
	if s.source != nil && s.source.current != nil && s.source.current.is() == s.content.is() {
		s.err = "it is active"
		return
	}
	s.err = "it is being judged"
	if turn := s.turn; !m.closed {
		m.wait.Go(func() { m.judgeAgain(s, turn) })
	}
}

func (m *Manager) judgeAgain(s *shadow, turn int) {
	m.judging.Lock()
	defer m.judging.Unlock()
	if !m.due(s, turn) {
		return
	}
	rules, warnings, err := m.judgeShadow(m.life, s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shadow != s || s.turn != turn || m.life.Err() != nil {
		return // another one judges it, or it has ended
	}
	if err != nil {
		s.err = err.Error()
		m.Log.Warn("the shadow is not evaluated", "revision", s.Revision, "error", err)
		return
	}
	s.err, s.warnings = "", warnings
	m.compare(rules)
}

// due says whether nothing else became active since, or will have it judged.
func (m *Manager) due(s *shadow, turn int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shadow == s && s.turn == turn && m.life.Err() == nil
}
