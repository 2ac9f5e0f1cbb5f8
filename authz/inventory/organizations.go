package inventory

import (
	"fmt"
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
	if err := r.checkGiven(c.Settings); err != nil {
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
