package inventory

import (
	"fmt"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// DefaultPolicy is the token policy of a new organization.
const DefaultPolicy = "allow_user_access_tokens"

var roles = map[string]bool{"admin": true, "write": true, "contributor": true, "read": true, "no_access": true}

func (r *rules) checkPolicy(field, policy string) error {
	if !r.policies.HasPolicy(policy) {
		return &Invalid{field, fmt.Sprintf("%q is no token policy of the active bundle; there are %s", policy, strings.Join(r.policies.PolicyNames(), ", "))}
	}
	return nil
}

func checkEnforcement(e string) error {
	if e != authz.Enforce && e != authz.Observe {
		return &Invalid{"enforcement", fmt.Sprintf("%q is neither enforce nor observe", e)}
	}
	return nil
}

// checkSettings checks the settings that the base bundle reads; others are an
// operator's own.
func checkSettings(settings map[string]any) error {
	for _, key := range []string{"max_token_age_days", "max_token_lifetime_days"} {
		v, ok := settings[key]
		if !ok {
			continue
		}
		days, ok := v.(float64)
		if n, isInt := v.(int); isInt {
			days, ok = float64(n), true
		}
		if !ok || days < 0 || days != float64(int(days)) || days > 36500 {
			return &Invalid{"settings." + key, "must be a whole number of days, 0 for no limit"}
		}
	}
	if v, ok := settings["public_read"]; ok && v != "anonymous" && v != "refuse" {
		return &Invalid{"settings.public_read", "must be anonymous or refuse"}
	}
	return nil
}

func (r *rules) createOrganization(c CreateOrganization) error {
	name, err := checkName("name", c.Name)
	if err != nil {
		return err
	}
	if c.TokenPolicy == "" {
		c.TokenPolicy = DefaultPolicy
	}
	if c.Enforcement == "" {
		c.Enforcement = authz.Enforce
	}
	if err := r.checkPolicy("token_policy", c.TokenPolicy); err != nil {
		return err
	}
	if err := checkEnforcement(c.Enforcement); err != nil {
		return err
	}
	if err := checkSettings(c.Settings); err != nil {
		return err
	}
	if taken, err := r.OrganizationByName(name); err != nil {
		return err
	} else if taken != nil {
		return &Conflict{Problem: fmt.Sprintf("the name %s is taken", name)}
	}
	id, err := newID()
	if err != nil {
		return err
	}
	o := &Organization{
		ID: id, Name: name, Type: authz.TypeOrganization, TokenPolicy: c.TokenPolicy, Enforcement: c.Enforcement,
		ManagedBy: c.ManagedBy, Settings: c.Settings, CreatedAt: r.now, Version: 1,
	}
	r.change.Records.Organizations = append(r.change.Records.Organizations, o)
	r.change.Subject.OrganizationID = id
	r.audit(id, "", map[string]any{"name": name, "token_policy": o.TokenPolicy, "enforcement": o.Enforcement})
	return nil
}

func (r *rules) setPolicy(c SetPolicy) error {
	before, err := r.organization(c.Organization)
	if err != nil {
		return err
	}
	if before.Type == authz.TypeUser {
		return &Invalid{"organization", before.Name + " is a user namespace, which has no token policy"}
	}
	o := *before
	if present, next := o.Policies(r.now); next == "" { // a dated change that has come
		o.TokenPolicy, o.NextTokenPolicy, o.EnforceAt = present, "", time.Time{}
	}
	details := map[string]any{"from": o.TokenPolicy}
	if c.ClearNext {
		o.NextTokenPolicy, o.EnforceAt = "", time.Time{}
		details["next"] = "cleared"
	}
	if err := r.choosePolicy(&o, c, details); err != nil {
		return err
	}
	if c.Enforcement != "" {
		if err := checkEnforcement(c.Enforcement); err != nil {
			return err
		}
		o.Enforcement = c.Enforcement
		details["enforcement"] = c.Enforcement
	}
	r.change.Subject.OrganizationID = o.ID
	if o.TokenPolicy == before.TokenPolicy && o.NextTokenPolicy == before.NextTokenPolicy && o.Enforcement == before.Enforcement && o.EnforceAt.Equal(before.EnforceAt) {
		return nil
	}
	o.Version++
	r.change.Records.Organizations = append(r.change.Records.Organizations, &o)
	r.audit(o.ID, "", details)
	return nil
}

func (r *rules) choosePolicy(o *Organization, c SetPolicy, details map[string]any) error {
	if c.TokenPolicy == "" {
		if !c.EnforceAt.IsZero() {
			return &Invalid{"enforce_at", "needs a token_policy to enforce then"}
		}
		return nil
	}
	if err := r.checkPolicy("token_policy", c.TokenPolicy); err != nil {
		return err
	}
	details["to"] = c.TokenPolicy
	if c.EnforceAt.IsZero() {
		o.TokenPolicy, o.NextTokenPolicy, o.EnforceAt = c.TokenPolicy, "", time.Time{}
		return nil
	}
	switch {
	case !c.EnforceAt.After(r.now):
		return &Invalid{"enforce_at", "lies in the past"}
	case c.EnforceAt.Sub(r.now) > MaxDated:
		return &Invalid{"enforce_at", "lies more than 90 days ahead"}
	}
	o.NextTokenPolicy, o.EnforceAt = c.TokenPolicy, c.EnforceAt.UTC().Truncate(time.Second)
	details["enforce_at"] = o.EnforceAt.Format(time.RFC3339)
	return nil
}

func (r *rules) deleteOrganization(c DeleteOrganization) error {
	before, err := r.organization(c.Organization)
	if err != nil {
		return err
	}
	if before.Type == authz.TypeUser {
		return &Invalid{"organization", before.Name + " is a user namespace: it goes with its user"}
	}
	members, err := r.Members(before.ID)
	if err != nil {
		return err
	}
	if members > 0 {
		return &Conflict{Problem: fmt.Sprintf("%s still has %d members: remove them first", before.Name, members)}
	}
	o := *before
	o.Deleted, o.Version = true, o.Version+1
	r.change.Records.Organizations = append(r.change.Records.Organizations, &o)
	r.audit(o.ID, "", map[string]any{"name": o.Name})
	return nil
}

// user finds a user, or makes one with a namespace of the same name.
func (r *rules) user(name, kind, email string) (*User, error) {
	u, err := r.UserByName(name)
	if err != nil || u != nil {
		return u, err
	}
	if taken, err := r.OrganizationByName(name); err != nil {
		return nil, err
	} else if taken != nil {
		return nil, &Conflict{Problem: fmt.Sprintf("the name %s is taken by an organization", name)}
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	space, err := newID()
	if err != nil {
		return nil, err
	}
	u = &User{ID: id, Name: name, Type: kind, Email: email, CreatedAt: r.now}
	r.change.Records.Users = append(r.change.Records.Users, u)
	r.change.Records.Organizations = append(r.change.Records.Organizations, &Organization{
		ID: space, Name: name, Type: authz.TypeUser, OwnerID: id, Enforcement: authz.Enforce, CreatedAt: r.now, Version: 1,
	})
	return u, nil
}

func (r *rules) addMember(c AddMember) error {
	o, err := r.organization(c.Organization)
	if err != nil {
		return err
	}
	name, err := checkName("user", c.User)
	if err != nil {
		return err
	}
	if c.Type == "" {
		c.Type = "user"
	}
	switch {
	case o.Type == authz.TypeUser:
		return &Invalid{"organization", o.Name + " is a user namespace: it has no members"}
	case c.Type != "user" && c.Type != "service_account":
		return &Invalid{"type", fmt.Sprintf("%q is neither user nor service_account", c.Type)}
	case !roles[c.Role]:
		return &Invalid{"role", fmt.Sprintf("%q is none of admin, write, contributor, read, no_access", c.Role)}
	case c.Email != "" && (!strings.Contains(c.Email, "@") || strings.ContainsAny(c.Email, " \r\n\t,;<>") || len(c.Email) > 254):
		return &Invalid{"email", "is no address"}
	}
	u, err := r.user(name, c.Type, c.Email)
	if err != nil {
		return err
	}
	if c.Email != "" && u.Email != c.Email {
		changed := *u
		changed.Email = c.Email
		u = &changed
		r.change.Records.Users = append(r.change.Records.Users, u)
		r.audit(o.ID, "", map[string]any{"user": name, "email": "changed"})
	}
	r.change.Subject = Subject{OrganizationID: o.ID, UserID: u.ID}
	periods, err := r.Periods(o.ID, u.ID)
	if err != nil {
		return err
	}
	details := map[string]any{"user": name, "role": c.Role}
	if now := present(periods); now != nil {
		if now.Role == c.Role {
			return nil
		}
		ended := *now
		ended.Until = r.now
		details["from"] = now.Role
		r.change.Records.Periods = append(r.change.Records.Periods, &ended)
	}
	since := r.now
	if n := len(periods); n > 0 && !since.After(periods[n-1].Since) {
		since = periods[n-1].Since.Add(time.Millisecond) // two changes within one tick keep their order
	}
	r.change.Records.Periods = append(r.change.Records.Periods, &Period{OrganizationID: o.ID, UserID: u.ID, Role: c.Role, Since: since})
	r.audit(o.ID, "", details)
	return nil
}

// removeMember ends a membership. The approvals of the user's tokens end with
// it: who comes back asks again.
func (r *rules) removeMember(c RemoveMember) error {
	o, err := r.organization(c.Organization)
	if err != nil {
		return err
	}
	u, err := r.UserByName(Fold(c.User))
	if err != nil {
		return err
	}
	if u == nil {
		return &NotFound{"user", c.User}
	}
	periods, err := r.Periods(o.ID, u.ID)
	if err != nil {
		return err
	}
	now := present(periods)
	if now == nil {
		return &NotFound{"member", c.User}
	}
	ended := *now
	ended.Until = r.now
	r.change.Records.Periods = append(r.change.Records.Periods, &ended)
	tokens, err := r.TokensOf(u.ID)
	if err != nil {
		return err
	}
	reset := 0
	for _, t := range tokens {
		a, err := r.State.Authorization(t.ID, o.ID)
		if err != nil {
			return err
		}
		if a != nil && a.State == authz.StateApproved {
			copied := *a
			copied.State, copied.Grants, copied.ExpiresAt = authz.StateNone, nil, time.Time{}
			copied.ChangedAt, copied.ChangedBy = r.now, r.actor.Name
			r.change.Records.Authorizations = append(r.change.Records.Authorizations, &copied)
			reset++
		}
		if err := r.closeRequest(t.ID, o.ID, authz.RequestWithdrawn, "", ""); err != nil {
			return err
		}
	}
	r.change.Subject = Subject{OrganizationID: o.ID, UserID: u.ID}
	r.audit(o.ID, "", map[string]any{"user": u.Name, "role": now.Role, "approvals_ended": reset})
	return nil
}
