package bundles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	turn     int    // counts how often it was to be judged again
}

// shadowFile is how a shadow lies on the disk, beside its tarball.
type shadowFile struct {
	Bundle   string    `json:"bundle"`
	Source   string    `json:"source"` // in whose place it is, as its origin says; "": beside the base
	Revision string    `json:"revision"`
	Digest   string    `json:"digest"`
	SHA256   string    `json:"sha256"`
	Sample   float64   `json:"sample"`
	By       string    `json:"by"`
	Since    time.Time `json:"since"`
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
	return m.shown(m.shadow, false), m.tagOf(m.shadow)
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
	if err := written(ctx, &act, map[string]any{"bundle": m.shadow.Bundle, "revision": m.shadow.Revision, "digest": m.shadow.Digest}); err != nil {
		return err
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
	if m.shadow.err != "" {
		return &authz.BundleError{Kind: authz.BundleConflict, Detail: "the shadow is not evaluated, so nothing is known of it: " + m.shadow.err}
	}
	var counts authz.ShadowCounts
	if m.Comparer != nil {
		counts = m.Comparer.Counts()
	}
	if counts.Evaluated < g.IfEvaluated {
		return &authz.BundleError{Kind: authz.BundleConflict, Detail: fmt.Sprintf("the shadow was evaluated on %d requests, and %d are asked for", counts.Evaluated, g.IfEvaluated)}
	}
	if g.MaxDifferences != nil && counts.Evaluated == 0 {
		return &authz.BundleError{Kind: authz.BundleConflict, Detail: "the shadow was evaluated on no request yet: that it answers none otherwise says nothing"}
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
	return m.tagOf(m.shadow)
}

// tagOf tells what is compared: one shadow from another, in whose place it is, on
// what part of the requests, and beside what.
func (m *Manager) tagOf(s *shadow) string {
	is := []any{s.Bundle, s.SHA256, s.Sample}
	for _, beside := range m.overlays {
		active := ""
		if beside.current != nil {
			active = beside.current.is()
		}
		is = append(is, beside.name, active)
	}
	text, _ := json.Marshal(is) // of texts and numbers alone
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// beShadowed is the source in whose place a shadow is evaluated; nil where there is
// none, and the shadow is beside the base.
func (m *Manager) beShadowed(name string) (*source, error) {
	if name == "" && len(m.overlays) == 0 {
		return nil, nil
	}
	return m.chosen(name)
}
