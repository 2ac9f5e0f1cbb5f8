package inventory

import (
	"fmt"
	"maps"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// Document is the input of the review rules. Where it says the same as the
// input of a decision it has the same names; what is asked is under "asked".
// As there, an absent fact is an absent key.
func (f ReviewFacts) Document() map[string]any {
	o, t := f.Organization, f.Token
	settings := map[string]any{"max_token_age_days": 0, "max_token_lifetime_days": 0, "public_read": "anonymous", SettingFourEyes: false}
	maps.Copy(settings, o.Settings)
	present, next := o.Policies(f.Now)
	organization := map[string]any{
		"id": o.ID, "name": o.Name, "type": o.Type, "token_policy": present, "enforcement": o.Enforcement, "managed_by": o.ManagedBy, "settings": settings,
	}
	if next != "" {
		organization["next_token_policy"], organization["enforce_at"] = next, o.EnforceAt.UTC().Format(time.RFC3339)
	}
	doc := map[string]any{"now": f.Now.UTC().Format(time.RFC3339), "organization": organization, "token": f.token(t)}
	if f.Membership != nil {
		doc["membership"] = map[string]any{"role": f.Membership.Role, "since": f.Membership.Since.UTC().Format(time.RFC3339)}
	}
	a := f.Authorization
	if a == nil {
		a = &Authorization{State: authz.StateNone}
	}
	held := map[string]any{"state": a.State, "suspended": a.Suspended, "expired": ended(a.ExpiresAt, f.Now)}
	if len(a.Grants) > 0 {
		held["grants"] = grantsDocument(a.Grants)
	}
	if !a.ExpiresAt.IsZero() {
		held["expires_at"] = a.ExpiresAt.UTC().Format(time.RFC3339)
	}
	doc["authorization"] = held
	doc["asked"] = f.asked(a)
	return doc
}

func (f ReviewFacts) token(t *Token) map[string]any {
	token := map[string]any{
		"id": t.ID, "display_name": t.DisplayName, "last4": t.Last4, "kind": t.Kind, "source": t.Source,
		"created_at": t.CreatedAt.UTC().Format(time.RFC3339), "age_seconds": int64(f.Now.Sub(t.CreatedAt).Seconds()), "expired": ended(t.ExpiresAt, f.Now),
	}
	if !t.ExpiresAt.IsZero() {
		token["expires_at"] = t.ExpiresAt.UTC().Format(time.RFC3339)
		token["remaining_seconds"] = int64(t.ExpiresAt.Sub(f.Now).Seconds())
	}
	if f.Owner != nil {
		token["owner"] = map[string]any{"name": f.Owner.Name, "type": f.Owner.Type}
	}
	return token
}

func (f ReviewFacts) asked(a *Authorization) map[string]any {
	purpose := f.Request.Purpose
	if purpose == "" {
		purpose = f.Token.Purpose
	}
	previous := a.State
	if previous == authz.StateNone && f.Request.Round > 0 {
		previous = authz.RequestWithdrawn
	}
	return map[string]any{
		"by": f.Request.OpenedBy, "round": f.Request.Round, "purpose": purpose, "contact": f.Token.Contact, "previous": previous,
		"grants": grantsDocument(f.Request.Grants), "added": grantsDocument(Beyond(a.Grants, f.Request.Grants)),
	}
}

func grantsDocument(grants []authz.Grant) []any {
	out := make([]any, len(grants))
	for i, g := range grants {
		permissions := make([]any, len(g.Permissions))
		for j, p := range g.Permissions {
			permissions[j] = p
		}
		entity := map[string]any{"type": g.Entity.Type, "name": g.Entity.Name, "namespace": g.Entity.Namespace}
		if g.Entity.ID != "" {
			entity["id"] = g.Entity.ID
		}
		out[i] = map[string]any{"entity": entity, "permissions": permissions}
	}
	return out
}

// Check says what is wrong with a recommendation, if anything.
func (r *Recommendation) Check() error {
	if r.UntilDays < 0 || r.UntilDays > 3650 {
		return fmt.Errorf("the recommendation's until_days is %d; it must be 0 to 3650", r.UntilDays)
	}
	for _, action := range append([]string{r.Action}, actionsOf(r.Reasons)...) {
		switch action {
		case RecommendApprove, RecommendDeny, RecommendEscalate:
		default:
			return fmt.Errorf("the recommendation's action is %q; there are approve, deny and escalate", action)
		}
	}
	return nil
}

func actionsOf(reasons []RecommendationReason) []string {
	out := make([]string, len(reasons))
	for i := range reasons {
		out[i] = reasons[i].Action
	}
	return out
}
