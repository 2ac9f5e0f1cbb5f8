package decide

import (
	"fmt"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// warn tells the client, on an allow, what will not stay so.
func (r *run) warn(all []*authz.Facts) {
	d := &r.out.Decision
	f := r.out.Facts
	if d.Reason == authz.ReasonObserved && f.Organization != nil {
		r.warning("observed", fmt.Sprintf("%s only observes its token policy; enforced, this request would be refused (%s)",
			f.Organization.Name, strings.Join(d.Reasons, ", ")))
	}
	if len(d.Next) > 0 && f.Organization != nil {
		r.warning("grace_period", fmt.Sprintf("from %s on, the token policy of %s will refuse this request (%s)",
			f.Organization.EnforceAt.UTC().Format(time.DateOnly), f.Organization.Name, strings.Join(d.Next, ", ")))
	}
	if t := f.Token; t != nil && !r.formerUntil.IsZero() {
		r.warning("token_rotated", fmt.Sprintf("the secret of the token %s was rotated; this one is accepted until %s", t.DisplayName, r.formerUntil.UTC().Format(time.RFC3339)))
	}
	if t := f.Token; t != nil && r.soon(t.ExpiresAt) {
		r.warning("token_expires", fmt.Sprintf("the token %s expires on %s", t.DisplayName, t.ExpiresAt.UTC().Format(time.DateOnly)))
	}
	for _, f := range all {
		if a := f.Authorization; a != nil && a.State == authz.StateApproved && r.soon(a.ExpiresAt) {
			r.warning("approval_expires", fmt.Sprintf("the approval by %s ends on %s", f.Organization.Name, a.ExpiresAt.UTC().Format(time.DateOnly)))
		}
	}
}

func (r *run) warning(topic, text string) {
	r.out.Warnings = append(r.out.Warnings, authz.Warning{Topic: topic, Text: text})
}

func (r *run) soon(end time.Time) bool {
	return !end.IsZero() && end.After(r.now) && end.Sub(r.now) <= r.WarnBefore
}
