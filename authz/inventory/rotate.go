package inventory

import (
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// MaxOverlap is how long an old secret may go on beside the new one.
const MaxOverlap = 30 * 24 * time.Hour

// maxFormer is how many former secrets a token's record tells of. None of them
// is ever forgotten as a digest: it can't come back as another token.
const maxFormer = 100

// reuseQuiet is how long after a report the reuse of a secret is not reported again.
const reuseQuiet = 24 * time.Hour

// rotateToken gives a token another secret. Nothing else of it changes: not
// what was approved, and above all not a revocation.
func (r *rules) rotateToken(c RotateToken) error {
	before, err := r.token(c.Token)
	if err == nil {
		err = ofElsewhere(before, "token", "is not rotated here")
	}
	if err != nil {
		return err
	}
	switch {
	case c.Digest == (authz.Digest{}):
		return &Invalid{"digest", "is missing"}
	case len(c.Last4) > 4:
		return &Invalid{"last4", "is longer than 4"}
	case c.Overlap < 0 || c.Overlap > MaxOverlap:
		return &Invalid{"overlap", "must be 0 to 30 days"}
	}
	if err := checkText("comment", c.Comment, maxText); err != nil {
		return err
	}
	if err := r.unusedDigest("digest", c.Digest); err != nil {
		return err
	}
	t := *before
	t.Digest, t.Last4, t.Version = c.Digest, c.Last4, t.Version+1
	t.Former = append([]Former{{Digest: before.Digest, At: r.now, Until: r.now.Add(c.Overlap)}}, before.Former...)
	for i := range t.Former[1:] { // never more than two secrets at a time
		if f := &t.Former[i+1]; f.Until.After(r.now) {
			f.Until = r.now
		}
	}
	t.Former = t.Former[:min(len(t.Former), maxFormer)]
	r.changeToken(before, &t)
	details := map[string]any{"comment": c.Comment}
	if c.Overlap > 0 {
		details["old_secret_until"] = r.now.Add(c.Overlap).Format(time.RFC3339)
	}
	r.audit("", t.ID, details)
	r.eventPerOrganization("token_rotated", &t)
	return nil
}

// unusedDigest refuses a secret that some token has or had.
func (r *rules) unusedDigest(field string, d authz.Digest) error {
	t, err := r.TokenByDigest(d)
	if err == nil && t == nil {
		t, err = r.TokenByFormer(d)
	}
	if err == nil && t != nil {
		err = &Invalid{field, "is that of a secret which a token has, or had before it was rotated"}
	}
	return err
}

func (r *rules) reportReuse(c ReportReuse) error {
	before, err := r.token(c.Token)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(before.Former, func(f Former) bool { return f.Digest == c.Digest })
	if i < 0 {
		return &NotFound{"former secret of token", c.Token}
	}
	r.change.Subject.TokenID = before.ID
	f := before.Former[i]
	if r.now.Before(f.Until) || !f.ReusedAt.IsZero() && r.now.Sub(f.ReusedAt) < reuseQuiet {
		return nil
	}
	t := *before
	t.Former = slices.Clone(before.Former)
	t.Former[i].ReusedAt = r.now
	r.change.Records.Tokens = append(r.change.Records.Tokens, &t) // what it may do is as it was: no new version
	r.audit("", t.ID, map[string]any{"rotated_at": f.At.Format(time.RFC3339)})
	r.eventPerOrganization("token_reused", &t)
	return nil
}

// eventPerOrganization tells each organization that a token's grants reach, or
// once nobody in particular.
func (r *rules) eventPerOrganization(kind string, t *Token) {
	reached := t.Namespaces()
	for _, id := range reached {
		r.event(kind, id, t.ID, "")
	}
	if len(reached) == 0 {
		r.event(kind, "", t.ID, "")
	}
}

// changeToken writes a token's next version, and keeps what the one before was.
func (r *rules) changeToken(before, after *Token) {
	v := before.Reviewable()
	v.ChangedAt, v.ChangedBy = r.now, r.actor.Name
	r.change.Records.Versions = append(r.change.Records.Versions, v)
	r.change.Records.Tokens = append(r.change.Records.Tokens, after)
	r.change.Subject.TokenID = after.ID
}
