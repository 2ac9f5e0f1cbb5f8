package inventory

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// What becomes of tokens that are there.
const (
	ExistingAsk     = "ask"
	ExistingApprove = "approve_used_within"
)

// check says what is wrong with it for an organization, whose policy asks for
// approvals or does not.
func (c *ExistingTokens) check(o *Organization, asks bool, now time.Time) error {
	switch {
	case c.Mode != ExistingAsk && c.Mode != ExistingApprove:
		return &Invalid{"existing_tokens.mode", "must be ask or approve_used_within"}
	case !asks:
		return &Invalid{"existing_tokens", "belong to a policy that asks for an approval"}
	case c.Mode == ExistingAsk:
		return nil
	case o.FourEyes():
		return &Forbidden{o.Name + " asks for two people on each approval: existing tokens are not approved by one command"}
	case c.Days < 1 || c.Days > 365:
		return &Invalid{"existing_tokens.days", "must be 1 to 365"}
	case !c.Until.After(now):
		return &Invalid{"existing_tokens.until", "must be given, and lie ahead"}
	}
	return nil
}

// Approves says whether a token that has to be asked for would be approved: one
// that nobody has decided on, that is not suspended and was used of late (used
// is zero where it never was).
func (c *ExistingTokens) Approves(state string, suspended bool, used, now time.Time) bool {
	return c.Mode == ExistingApprove && state == authz.StateNone && !suspended &&
		!used.IsZero() && now.Sub(used) <= time.Duration(c.Days)*24*time.Hour
}

// Would returns an organization as it is, and as a change of its policy and of
// its settings would leave it. The change's errors are those that it would meet.
func Would(s State, p Policies, set SetPolicy, settings map[string]any, now time.Time) (before, after *Organization, err error) {
	existing := set.Existing
	set.Existing = nil
	one := func(c Command) (*Organization, error) {
		change, err := Apply(s, p, Actor{Kind: "system"}, c, now)
		if err != nil || len(change.Records.Organizations) == 0 {
			return before, err
		}
		return change.Records.Organizations[0], nil
	}
	if before, err = s.OrganizationByName(Fold(set.Organization)); err != nil {
		return nil, nil, err
	}
	if before == nil {
		return nil, nil, &NotFound{"organization", set.Organization}
	}
	changed, err := one(set)
	if err != nil {
		return nil, nil, err
	}
	o := *changed
	if len(settings) > 0 {
		if changed, err = one(ChangeSettings{Organization: set.Organization, Settings: settings}); err != nil {
			return nil, nil, err
		}
		o.Settings = changed.Settings
	}
	if existing != nil {
		_, asks := o.AsksForApproval(p, now)
		if err := existing.check(&o, asks, now); err != nil {
			return nil, nil, err
		}
	}
	return before, &o, nil
}

// existing decides on the tokens that an approval policy meets.
func (r *rules) existing(o *Organization, c *ExistingTokens) (map[string]any, error) {
	if err := c.check(o, r.asks(o), r.now); err != nil {
		return nil, err
	}
	tokens, err := r.TokensOn(o.ID)
	if err != nil {
		return nil, err
	}
	approved := 0
	for _, t := range tokens {
		if t.Deleted {
			continue
		}
		if c.Mode == ExistingAsk {
			if _, err := r.open(o, t, "policy", false); err != nil {
				return nil, err
			}
			continue
		}
		yes, err := r.approveUsed(o, t, c)
		if err != nil {
			return nil, err
		}
		if yes {
			approved++
		}
	}
	details := map[string]any{"mode": c.Mode}
	if c.Mode == ExistingAsk {
		details["asked"] = len(r.change.Records.Requests)
	} else {
		details["approved"], details["days"], details["until"] = approved, c.Days, c.Until.UTC().Format(time.RFC3339)
	}
	return details, nil
}

// approveUsed approves a token that nobody has decided on, for a time, if it
// was used of late.
func (r *rules) approveUsed(o *Organization, t *Token, c *ExistingTokens) (bool, error) {
	needed, err := r.needsApproval(o, t, false)
	if err != nil || !needed {
		return false, err
	}
	a, err := r.authorization(t.ID, o.ID)
	if err != nil {
		return false, err
	}
	used, err := r.LastUsed(t.ID, o.ID)
	if err != nil {
		return false, err
	}
	if a == nil {
		a = &Authorization{State: authz.StateNone}
	}
	if !c.Approves(a.State, a.Suspended, used, r.now) {
		return false, nil
	}
	a = &Authorization{TokenID: t.ID, OrganizationID: o.ID}
	err = r.settle(a, authz.StateApproved, t.On(o.ID), wholeSeconds(c.Until), "in use when the policy came to ask for approvals", r.actor.Name)
	return err == nil, err
}
