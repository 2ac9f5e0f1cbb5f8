package bundles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// What operators do with bundles. Each act says what it would do, and does nothing,
// with [authz.BundleAct.DryRun]; what it does goes through the gate. Errors are
// [*authz.BundleError] where it is not for patrol to mend them.

// History lists the versions of each source, in the order in which they became
// active, and gives the tag of what it shows.
func (m *Manager) History() (list []authz.BundleVersion, tag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list = []authz.BundleVersion{}
	for _, s := range m.overlays {
		for _, v := range m.history.of[s] {
			one := v.BundleVersion
			one.Active = s.current != nil && s.current.is() == v.is()
			list = append(list, one)
		}
	}
	return list, m.tag()
}

// tag changes with what is active, what is held, and the history.
func (m *Manager) tag() string {
	h := sha256.New()
	for _, s := range m.overlays {
		active := ""
		if s.current != nil {
			active = s.current.is()
		}
		text, _ := json.Marshal([]any{s.name, active, s.hold}) // of texts and numbers alone
		h.Write(text)
		for _, v := range m.history.of[s] {
			fmt.Fprintln(h, v.Number, v.is(), v.Left)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// match holds the tag of what an operator looked at against the present one.
func match(given, present, what string) error {
	if given == "" || given == present {
		return nil
	}
	return &authz.BundleError{Kind: authz.BundleChanged, Detail: what + " changed since you looked at it: look again"}
}

// chosen is the source that an act is on.
func (m *Manager) chosen(name string) (*source, error) {
	names := make([]string, len(m.overlays))
	for i, s := range m.overlays {
		if s.name == name {
			return s, nil
		}
		names[i] = s.name
	}
	switch {
	case len(names) == 0:
		return nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: "no bundle is configured: the embedded base alone serves, and has no history"}
	case name != "":
		return nil, &authz.BundleError{Kind: authz.BundleMissing, Detail: fmt.Sprintf("there is no bundle %q; there are %s", name, strings.Join(names, ", "))}
	case len(names) > 1:
		return nil, &authz.BundleError{Kind: authz.BundleInvalid, Field: "bundle", Detail: "there are several bundles: say which one of " + strings.Join(names, ", ")}
	}
	return m.overlays[0], nil
}

// heldSource is the source that an act is on, whose history and hold are what the
// operator looked at.
func (m *Manager) heldSource(act *authz.BundleAct) (*source, error) {
	s, err := m.chosen(act.Bundle)
	if err != nil {
		return nil, err
	}
	return s, match(act.Match, m.tag(), "the history")
}

// RollBack makes an earlier version active. What the source has at the moment is
// passed over from then on, also after a restart, until it has something else that
// passes the gate, or [Manager.Release].
func (m *Manager) RollBack(ctx context.Context, act authz.BundleAct) (*authz.BundleChange, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.heldSource(&act)
	if err != nil {
		return nil, err
	}
	v, skipped, err := m.target(s, act.To)
	if err != nil {
		return nil, err
	}
	m.expect(v.Bytes)
	l, err := m.history.read(s, v)
	if err != nil {
		return nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: fmt.Sprintf("%s cannot be read from the history: %v", shownVersion(v), err)}
	}
	from := s.current
	out, err := m.replace(ctx, s, l, authz.BundleRolledBack, &act)
	if err != nil {
		return nil, err
	}
	for _, one := range skipped {
		out.Warnings = append(out.Warnings, shownVersion(one)+" is skipped: an operator went back from it before; name it to make it active")
	}
	if from != nil && !act.DryRun {
		if err := m.history.leave(s, from.is(), v); err != nil {
			m.Log.Error("that an operator went back from the bundle cannot be kept", "bundle", s.name, "revision", from.revision, "error", err)
		}
	}
	return out, nil
}

// before is the version before the active one. What an operator went back from is
// skipped.
func (m *Manager) before(s *source) (v *version, skipped []*version, err error) {
	all := m.history.of[s]
	at := len(all)
	if s.current != nil {
		if i := slices.IndexFunc(all, func(v *version) bool { return v.is() == s.current.is() }); i >= 0 {
			at = i
		}
	}
	for at--; at >= 0; at-- {
		if !all[at].Left {
			return all[at], skipped, nil
		}
		skipped = append(skipped, all[at])
	}
	detail := "the history has no version of " + s.name + " before the active one"
	if len(skipped) > 0 {
		detail += " but those that an operator went back from: name one to make it active, as " + shownVersion(skipped[0])
	}
	return nil, nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: detail}
}

// target is the version to roll back to: of a revision or digest, or the one
// before the active. It tells which ones are skipped.
func (m *Manager) target(s *source, to string) (v *version, skipped []*version, err error) {
	if to == "" {
		return m.before(s)
	}
	v, err = m.version(s, to)
	return v, nil, err
}

// version is the one of a revision or digest.
func (m *Manager) version(s *source, to string) (*version, error) {
	var found []*version
	for _, v := range m.history.of[s] {
		if v.Digest == to || v.Revision == to {
			found = append(found, v)
		}
	}
	switch len(found) {
	case 0:
		return nil, &authz.BundleError{Kind: authz.BundleMissing, Detail: fmt.Sprintf("the history of %s has no revision or digest %q: see patrol bundle history", s.name, to)}
	case 1:
		return found[0], nil
	}
	digests := make([]string, len(found))
	for i, v := range found {
		digests[i] = v.Digest
	}
	return nil, &authz.BundleError{Kind: authz.BundleInvalid, Field: "to", Detail: fmt.Sprintf("several versions are called %s: name one by its digest, %s", to, strings.Join(digests, ", "))}
}

func shownVersion(v *version) string {
	if v.Revision == v.Digest {
		return v.Digest
	}
	return v.Revision + " (" + v.Digest + ")"
}

// replace sends content through the gate in the place of a source's, and makes it
// active and the source held.
func (m *Manager) replace(ctx context.Context, s *source, l *loaded, how string, act *authz.BundleAct) (*authz.BundleChange, error) {
	if s.current != nil && s.current.is() == l.is() {
		return nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: fmt.Sprintf("%s is active already", l.revision)}
	}
	out := m.change(s, l, how, act)
	set, err := m.passGate(ctx, s, l)
	if err != nil {
		return nil, err
	}
	out.Warnings = set.warnings
	if act.DryRun {
		return out, nil
	}
	if err := note(ctx, act, out); err != nil {
		return nil, err
	}
	m.holdAt(s, l, m.newHold(s, l, how, act.By))
	out.NotKept = l.hold.NotKept
	if how == authz.BundlePromoted {
		if err := m.forgetShadow(); err != nil {
			m.Log.Error("that the shadow ended cannot be kept", "error", err)
			m.shadow = nil
		}
	}
	m.Log.Info("an operator makes a bundle active, and its source is held", "bundle", s.name, "how", how, "by", act.By, "from", out.FromRevision, "to", out.Revision)
	m.swap(s, set)
	return out, nil
}

// Release ends a hold: what the source has now is active, if it passes the gate;
// where it cannot be known yet, it is tried as soon as it is.
func (m *Manager) Release(ctx context.Context, act authz.BundleAct) (*authz.BundleChange, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.heldSource(&act)
	if err != nil {
		return nil, err
	}
	if s.hold == nil {
		return nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: "the bundle " + s.name + " is not held: what its source has is active, or was refused"}
	}
	l := s.offered
	if s.path != "" {
		if l, err = readPath(s.path); err != nil {
			return nil, &authz.BundleError{Kind: authz.BundleRefused, Detail: err.Error()}
		}
	}
	out := m.change(s, l, authz.BundleFromSource, &act)
	if l != nil { // what operators made active binds it no more
		if err := older(l, m.floorOf(s)); err != nil {
			return nil, &authz.BundleError{Kind: authz.BundleRefused, Detail: err.Error()}
		}
	}
	var set *judgedSet // nil: the content stays, or has yet to be read, or to wait
	if wait := m.waits(s, l); wait != nil {
		out.Warnings = []string{wait.Error()}
	} else if l != nil && (s.current == nil || s.current.is() != l.is()) {
		if set, err = m.passGate(ctx, s, l); err != nil {
			return nil, err
		}
		out.Warnings = set.warnings
	}
	if act.DryRun {
		return out, nil
	}
	if err := note(ctx, &act, out); err != nil {
		return nil, err
	}
	if err := m.letGo(s); err != nil {
		return nil, err
	}
	m.Log.Info("an operator released a bundle that was held", "bundle", s.name, "by", act.By, "revision", out.Revision)
	if set != nil {
		s.seen, s.offered = l.is(), l
		m.swap(s, set)
	}
	return out, nil
}

// waits says for which source content has to wait, nil where for none.
func (m *Manager) waits(s *source, l *loaded) error {
	if l == nil || s.current != nil {
		return nil
	}
	_, err := m.beside(s, l)
	if w := (waiting{}); errors.As(err, &w) {
		return w
	}
	return nil
}

// letGo ends a hold.
func (m *Manager) letGo(s *source) error {
	if err := m.lift(s); err != nil {
		return fmt.Errorf("end the hold of the bundle %s: %w", s.name, err)
	}
	if s.current != nil {
		s.current.hold = nil
	}
	m.tellHolds()
	return nil
}

// change says what an act does.
func (m *Manager) change(s *source, l *loaded, how string, act *authz.BundleAct) *authz.BundleChange {
	out := &authz.BundleChange{Bundle: s.name, How: how, DryRun: act.DryRun}
	if s.current != nil {
		out.FromRevision, out.FromDigest = s.current.revision, s.current.content
	}
	if l != nil {
		out.Revision, out.Digest = l.revision, l.content
	}
	return out
}

// passGate sends content through the gate beside what the other sources have.
func (m *Manager) passGate(ctx context.Context, s *source, l *loaded) (*judgedSet, error) {
	candidates, err := m.beside(s, l)
	if err != nil {
		return nil, &authz.BundleError{Kind: authz.BundleConflict, Detail: err.Error()}
	}
	set, err := m.judged(ctx, &m.Options, candidates)
	for _, one := range candidates {
		one.rest()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &authz.BundleError{Kind: authz.BundleRefused, Detail: "the gate refuses it, and nothing was changed: " + err.Error()}
	}
	return set, nil
}

// note has an act written into the audit log before it is done.
func note(ctx context.Context, act *authz.BundleAct, out *authz.BundleChange) error {
	details := map[string]any{"bundle": out.Bundle}
	for name, text := range map[string]string{"from_revision": out.FromRevision, "from_digest": out.FromDigest, "revision": out.Revision, "digest": out.Digest} {
		if text != "" {
			details[name] = text
		}
	}
	return written(ctx, act, details)
}

// patience is how long an act waits for the audit log, while others wait for it.
const patience = 10 * time.Second

func written(ctx context.Context, act *authz.BundleAct, details map[string]any) error {
	if act.Note == nil {
		return nil
	}
	ctx, end := context.WithTimeout(ctx, patience)
	defer end()
	return act.Note(ctx, details)
}
