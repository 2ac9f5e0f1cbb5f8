package decide

import (
	"context"
	"errors"
	"fmt"

	"github.com/patrol-authz/patrol/authz"
)

// evaluate asks Rego about each organization. All must allow; the first
// refusal in the order of the list is the answer.
func (r *run) evaluate(ctx context.Context, all []*authz.Facts) {
	r.out.Evaluator = r.rules.Evaluator.Name()
	var first judged
	shown := r.shown[:0]
	for i, f := range all {
		j, err := r.judge(ctx, f)
		if err != nil {
			r.out.Facts = f
			r.refuse(err)
			return
		}
		if j.decision.RequestApproval {
			j.approval = r.openRequest(ctx, f)
		}
		if f.Organization != nil && j.decision.Allowed {
			shown = append(shown, f.Organization.Name)
		}
		switch {
		case i == 0, first.decision.Allowed && !j.decision.Allowed:
			first = j
		case first.decision.Allowed && j.decision.Allowed:
			first.absorb(&j)
		}
	}
	r.out.Facts = first.facts
	r.out.Decision = first.decision
	r.out.Conflict = first.conflict
	r.out.Approval = first.approval
	r.out.Reason = r.rules.Catalogue.Get(first.decision.Reason)
	if first.facts.Organization != nil {
		r.out.Policy = first.facts.Organization.TokenPolicy
	}
	if r.out.Decision.Allowed {
		if len(shown) > 0 {
			r.out.Shown = shown
		}
		if len(all) > 1 {
			r.out.Others = all[1:]
		}
		r.warn(all)
	}
}

// judged is the decision on one organization.
type judged struct {
	facts    *authz.Facts
	decision authz.Decision
	conflict string
	approval *authz.ApprovalRequest
}

// absorb keeps, of two allows, what must not be lost: anonymity, and what was
// waived.
func (j *judged) absorb(other *judged) {
	j.decision.Anonymous = j.decision.Anonymous || other.decision.Anonymous
	j.decision.Reasons = append(j.decision.Reasons, other.decision.Reasons...)
	j.decision.Next = append(j.decision.Next, other.decision.Next...)
	if j.approval == nil {
		j.approval = other.approval
	}
}

func (r *run) judge(ctx context.Context, f *authz.Facts) (judged, error) {
	return judge(ctx, r.rules, f)
}

// Judge decides on facts that somebody put together, as the pipeline decides on
// those of a request: Rego, its catalogue, and the safety net. It opens, counts
// and records nothing. An error is no allow.
func Judge(ctx context.Context, rules *authz.Ruleset, f *authz.Facts) (authz.Decision, error) {
	if rules == nil || rules.Evaluator == nil {
		return authz.Decision{}, errors.New("no policy bundle is active")
	}
	j, err := judge(ctx, rules, f)
	return j.decision, err
}

func judge(ctx context.Context, rules *authz.Ruleset, f *authz.Facts) (judged, error) {
	d, err := rules.Evaluator.Evaluate(ctx, f)
	if err != nil {
		return judged{}, fmt.Errorf("evaluate the policy: %w", err)
	}
	if d.Reason == "" {
		// A boolean policy says no more than yes or no.
		d.Reason = authz.ReasonPolicyDenied
		if d.Allowed {
			d.Reason = "allowed"
		}
	}
	entry := rules.Catalogue.Get(d.Reason)
	if entry == nil || authz.BuiltinReasons[d.Reason] != nil {
		return judged{}, fmt.Errorf("the policy gave the reason %q, which its catalogue does not declare", d.Reason)
	}
	if entry.Allow != d.Allowed {
		return judged{}, fmt.Errorf("the policy gave the reason %q with allowed %t", d.Reason, d.Allowed)
	}
	j := judged{facts: f, decision: d}
	if d.Allowed {
		if reason := safetyNet(f, &j.decision); reason != "" {
			j.conflict = d.Reason
			j.decision = authz.Decision{Reason: reason, Reasons: append([]string{reason}, d.Reasons...)}
		}
	}
	return j, nil
}

// safetyNet returns the reason for which Go refuses what Rego allowed, or "".
// Whatever Rego says, a malformed, unknown, expired, disabled, suspended or
// revoked token never passes on a route of an organization; an organization
// that only observes waives unknown and expired ones. (Malformed ones do not
// come this far.)
func safetyNet(f *authz.Facts, d *authz.Decision) string {
	if f.Route == nil {
		return authz.ReasonRouteUnknown
	}
	if f.Route.Access != authz.AccessOrganization && f.Route.Access != authz.AccessAuthenticated {
		return ""
	}
	observed := f.Organization != nil && f.Organization.Enforcement == authz.Observe
	if a := f.Authorization; a != nil {
		if a.State == authz.StateRevoked {
			return authz.ReasonTokenRevoked
		}
		if a.Suspended {
			return authz.ReasonTokenSuspended
		}
	}
	public := f.Route.Resource != nil && f.Route.Resource.Visibility == "public"
	switch {
	case f.Credential.Disabled:
		return authz.ReasonTokenUnknown
	case d.Anonymous:
		// Served without the credential: nothing to hold against it. Only a
		// resource that is public may be.
		if !public {
			return authz.ReasonCredentialMissing
		}
		return ""
	case observed, public && f.Credential.State == authz.CredentialMissing:
		return ""
	case f.Credential.State != authz.CredentialPresent:
		return authz.ReasonCredentialMissing
	case f.Token == nil || f.Token.Disabled:
		return authz.ReasonTokenUnknown
	case f.Token.Expired(f.Now):
		return authz.ReasonTokenExpired
	}
	return ""
}
