package bundles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/patrol-authz/patrol/authz"
)

// Comparer compares what a shadow would answer with what is answered, and counts.
type Comparer interface {
	// Compare begins anew; with no shadow it ends.
	Compare(active, shadow *authz.Ruleset, sample float64)
	Counts() authz.ShadowCounts
}

// shadow is a bundle that is evaluated beside the active ones, in the place of its
// source's.
type shadow struct {
	shadowFile
	source   *source // nil: it is beside the base, where there is no source
	content  *loaded // nil: it cannot be read
	warnings []string
	err      string // why it is not evaluated
}

// shadowFile is how a shadow lies on the disk, beside its tarball.
type shadowFile struct {
	Bundle   string    `json:"bundle"`
	Revision string    `json:"revision"`
	Digest   string    `json:"digest"`
	SHA256   string    `json:"sha256"`
	Sample   float64   `json:"sample"`
	By       string    `json:"by"`
	Since    time.Time `json:"since"`
}

func (m *Manager) shadowPath(name string) string {
	return filepath.Join(m.StateDir, "bundles", "shadow", name)
}

const shadowDescription = "shadow" + describes

// tag tells one shadow from another.
func (s *shadow) tag() string {
	return (s.SHA256 + "0000000000000000")[:16]
}

// signing says by what it has to be signed.
func (s *shadow) signing() *bundle.VerificationConfig {
	if s.source == nil {
		return nil
	}
	return s.source.signing
}

// Shadow tells of the shadow, with its tag; nil where there is none.
func (m *Manager) Shadow() (*authz.Shadow, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shadow == nil {
		return nil, ""
	}
	return m.shown(m.shadow, false), m.shadow.tag()
}

func (m *Manager) shown(s *shadow, dry bool) *authz.Shadow {
	out := &authz.Shadow{
		Bundle: s.Bundle, Revision: s.Revision, Digest: s.Digest, Sample: s.Sample, By: s.By, Since: s.Since, DryRun: dry, Error: s.err, Warnings: s.warnings,
		ShadowCounts: authz.ShadowCounts{Differences: []authz.ShadowDifference{}},
	}
	if s.content != nil {
		out.Root = s.content.root
	}
	if m.Comparer != nil && !dry {
		out.ShadowCounts = m.Comparer.Counts()
	}
	return out
}

// SetShadow has a tarball evaluated beside what is active, on a part of the
// requests. It goes through the gate, and has to be signed where its source's
// bundles have to be. It is there after a restart, too.
func (m *Manager) SetShadow(ctx context.Context, act authz.BundleAct, tarball []byte, sample float64) (*authz.Shadow, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Comparer == nil {
		return nil, "", &authz.BundleError{Kind: authz.BundleConflict, Detail: "requests are not decided by these bundles (drop-in mode): there is nothing to compare"}
	}
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
	next := &shadow{source: s, shadowFile: shadowFile{Sample: sample, By: act.By, Since: m.Clock().UTC()}}
	if s != nil {
		next.Bundle = s.name
	}
	m.expect(int64(len(tarball)))
	tarball = slices.Clone(tarball) // it is kept, and the caller's own
	sum := sha256.Sum256(tarball)
	next.SHA256 = hex.EncodeToString(sum[:])
	if next.content, err = readPacked(tarball, next.signing()); err != nil {
		return nil, "", &authz.BundleError{Kind: authz.BundleInvalid, Field: "body", Detail: err.Error()}
	}
	next.Revision, next.Digest = next.content.revision, next.content.content
	if s != nil && s.current != nil && s.current.is() == next.content.is() {
		return nil, "", &authz.BundleError{Kind: authz.BundleConflict, Detail: next.Revision + " is active: there is nothing to compare"}
	}
	rules, err := m.judgeShadow(ctx, next)
	if err != nil {
		return nil, "", err
	}
	if act.DryRun {
		return m.shown(next, true), next.tag(), nil
	}
	if act.Note != nil {
		if err := act.Note(ctx, map[string]any{"bundle": next.Bundle, "revision": next.Revision, "digest": next.Digest, "sample": sample}); err != nil {
			return nil, "", err
		}
	}
	if err := m.saveShadow(next, tarball); err != nil {
		return nil, "", fmt.Errorf("keep the shadow: %w", err)
	}
	m.shadow = next
	m.compare(rules)
	m.Log.Info("a bundle is shadowed", "bundle", next.Bundle, "revision", next.Revision, "sample", sample, "by", act.By)
	return m.shown(next, false), next.tag(), nil
}

// EndShadow ends it.
func (m *Manager) EndShadow(ctx context.Context, act authz.BundleAct) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shadow == nil {
		return noShadow()
	}
	if err := match(act.Match, m.shadowTag(), "the shadow"); err != nil {
		return err
	}
	if act.Note != nil {
		if err := act.Note(ctx, map[string]any{"bundle": m.shadow.Bundle, "revision": m.shadow.Revision, "digest": m.shadow.Digest}); err != nil {
			return err
		}
	}
	if err := m.forgetShadow(); err != nil {
		return fmt.Errorf("end the shadow: %w", err)
	}
	m.Log.Info("a bundle is shadowed no more", "by", act.By)
	return nil
}

// Promote makes the shadow active, through the gate. Its source is held from then
// on, as after [Manager.RollBack].
func (m *Manager) Promote(ctx context.Context, act authz.BundleAct, guard authz.PromotionGuard) (*authz.BundleChange, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shadow
	switch {
	case s == nil:
		return nil, noShadow()
	case s.content == nil:
		return nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: "the shadow cannot be read: " + s.err}
	case s.source == nil:
		return nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: "no bundle is configured whose place the shadow could take: name one in policy.bundles, and put it there"}
	}
	if err := match(act.Match, m.shadowTag(), "the shadow"); err != nil {
		return nil, err
	}
	if err := m.guarded(guard); err != nil {
		return nil, err
	}
	return m.replace(ctx, s.source, s.content, authz.BundlePromoted, &act)
}

// guarded holds what was counted against what is asked for.
func (m *Manager) guarded(g authz.PromotionGuard) error {
	if g.IfEvaluated <= 0 && g.MaxDifferences == nil {
		return nil
	}
	var counts authz.ShadowCounts
	if m.Comparer != nil {
		counts = m.Comparer.Counts()
	}
	if counts.Evaluated < g.IfEvaluated {
		return &authz.BundleError{Kind: authz.BundleConflict, Detail: fmt.Sprintf("the shadow was evaluated on %d requests, and %d are asked for", counts.Evaluated, g.IfEvaluated)}
	}
	if g.MaxDifferences != nil && counts.Different > *g.MaxDifferences {
		return &authz.BundleError{Kind: authz.BundleConflict, Detail: fmt.Sprintf("the shadow would answer %d requests otherwise, and %d are the bound", counts.Different, *g.MaxDifferences)}
	}
	return nil
}

func noShadow() error {
	return &authz.BundleError{Kind: authz.BundleMissing, Detail: "no bundle is shadowed"}
}

func (m *Manager) shadowTag() string {
	if m.shadow == nil {
		return ""
	}
	return m.shadow.tag()
}

// beShadowed is the source in whose place a shadow is evaluated; nil where there is
// none, and the shadow is beside the base.
func (m *Manager) beShadowed(name string) (*source, error) {
	if name == "" && len(m.overlays) == 0 {
		return nil, nil
	}
	return m.chosen(name)
}

// judgeShadow sends a shadow through the gate, beside what the other sources have.
func (m *Manager) judgeShadow(ctx context.Context, s *shadow) (*authz.Ruleset, error) {
	o := m.Options
	o.Asker = nil // it is asked about requests alone
	if o.BuildShadow != nil {
		o.Build = o.BuildShadow
	}
	p, err := m.judgedShadow(ctx, &o, s)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var ours *authz.BundleError
	if err != nil && !errors.As(err, &ours) {
		err = &authz.BundleError{Kind: authz.BundleRefused, Detail: "the gate refuses it: " + err.Error()}
	}
	if err != nil {
		return nil, err
	}
	s.warnings = p.warnings
	return p.rules, nil
}

func (m *Manager) judgedShadow(ctx context.Context, o *Options, s *shadow) (*passed, error) {
	defer s.content.rest()
	if s.source == nil { // the server has the embedded base alone
		if s.content.root == rootBase {
			return o.gate(ctx, s.content, nil)
		}
		base, err := readFS(m.Base)
		if err != nil {
			return nil, err
		}
		return o.gate(ctx, base, []*loaded{s.content})
	}
	candidates, err := m.beside(s.source, s.content)
	if err != nil {
		return nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: err.Error()}
	}
	set, err := m.judged(ctx, o, candidates)
	for _, one := range candidates {
		one.rest()
	}
	if err != nil {
		return nil, err
	}
	return set.passed, nil
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

// reshadow judges the shadow again, as something else is active beside it.
func (m *Manager) reshadow(ctx context.Context) {
	s := m.shadow
	if s == nil || s.content == nil {
		return
	}
	s.err, s.warnings = "", nil
	m.compare(nil)
	if s.source != nil && s.source.current != nil && s.source.current.is() == s.content.is() {
		s.err = "it is active"
		return
	}
	rules, err := m.judgeShadow(ctx, s)
	if err != nil {
		s.err = err.Error()
		m.Log.Warn("the shadow is not evaluated", "revision", s.Revision, "error", err)
		return
	}
	m.compare(rules)
}

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
	files, _ := filepath.Glob(m.shadowPath("*" + packs))
	for _, f := range files {
		if filepath.Base(f) != but {
			_ = os.Remove(f) // it is in nobody's way
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
	if s.source, err = m.beShadowed(s.Bundle); err != nil {
		return nil, err
	}
	tarball, err := os.ReadFile(m.shadowPath(s.SHA256 + packs))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(tarball); hex.EncodeToString(sum[:]) != s.SHA256 {
		return nil, errors.New("its tarball is not as it was written")
	}
	return readPacked(tarball, s.signing())
}
