package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// DefaultPolicy is the token policy of a new organization.
const DefaultPolicy = "allow_user_access_tokens"

var roles = map[string]bool{"admin": true, "reviewer": true, "write": true, "contributor": true, "read": true, "no_access": true}

// ValidRole says whether a member can have a role.
func ValidRole(role string) bool { return roles[role] }

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
	if c.Existing != nil {
		if details["existing_tokens"], err = r.existing(&o, c.Existing); err != nil {
			return err
		}
	}
	same := o.TokenPolicy == before.TokenPolicy && o.NextTokenPolicy == before.NextTokenPolicy && o.Enforcement == before.Enforcement && o.EnforceAt.Equal(before.EnforceAt)
	if same && len(r.change.Records.Requests)+len(r.change.Records.Authorizations) == 0 {
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
	requests, err := r.RequestsOn(o.ID)
	if err != nil {
		return err
	}
	for _, q := range requests {
		if err := r.closeRequest(q.TokenID, o.ID, authz.RequestWithdrawn, "", "the organization was deleted"); err != nil {
			return err
		}
	}
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
		return &Invalid{"role", fmt.Sprintf("%q is none of admin, reviewer, write, contributor, read, no_access", c.Role)}
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
	next := &Period{OrganizationID: o.ID, UserID: u.ID, Role: c.Role, Since: since}
	r.change.Records.Periods = append(r.change.Records.Periods, next)
	r.audit(o.ID, "", details)
	return r.roleChanged(o, u, periods, next, details)
}

// roleChanged opens what tokens have to ask for after a change of their owner's
// role: those of who comes (back), and those that were exempt while their
// owner was an administrator.
func (r *rules) roleChanged(o *Organization, u *User, before []*Period, next *Period, details map[string]any) error {
	was := present(before)
	if was != nil && was.Role != "admin" {
		return nil
	}
	history := slices.Clone(before)
	if was != nil {
		ended := *was
		ended.Until = r.now
		history[len(history)-1] = &ended
	}
	r.history[[2]string{o.ID, u.ID}] = append(history, next)
	opened, err := r.openForMember(o, u.ID, "member")
	if opened > 0 {
		details["requests"] = opened
	}
	return err
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
			r.putAuthorization(&copied)
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
