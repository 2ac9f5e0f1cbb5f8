package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/patrol-authz/patrol/authz"
)

// user finds a user, as a copy, or makes one with a namespace of the same name.
func (r *rules) user(name, kind string) (*User, error) {
	known, err := r.UserByName(name)
	if err != nil {
		return nil, err
	}
	if known != nil {
		u := *known
		return &u, nil
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
	u := &User{ID: id, Name: name, Type: kind, CreatedAt: r.now}
	r.putUser(u)
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
	switch {
	case o.Type == authz.TypeUser:
		return &Invalid{"organization", o.Name + " is a user namespace: it has no members"}
	case c.Type != "" && c.Type != TypePerson && c.Type != TypeServiceAccount:
		return &Invalid{"type", fmt.Sprintf("%q is neither user nor service_account", c.Type)}
	case c.Role != "" && !roles[c.Role]:
		return &Invalid{"role", fmt.Sprintf("%q is none of admin, reviewer, write, contributor, read, no_access", c.Role)}
	}
	u, err := r.user(name, cmp.Or(c.Type, TypePerson))
	if err != nil {
		return err
	}
	r.change.Subject = Subject{OrganizationID: o.ID, UserID: u.ID}
	if c.Type == TypeServiceAccount && u.Type == TypePerson {
		if err := r.keepAdmin(o, u, c.KeepsAdmin); err != nil {
			return err
		}
	}
	details := map[string]any{"user": name}
	changed, err := r.described(o, u, &c, details)
	if err != nil {
		return err
	}
	named, err := r.nameResponsible(o, u, c.Responsible, details)
	if err != nil {
		return err
	}
	moved, err := r.giveRole(o, u, &c, details)
	if err == nil && (changed || named || moved) {
		r.audit(o.ID, "", details)
	}
	return err
}

// described changes what is known of a user: type and address. It returns false
// where all of it was so already; u is what is known then.
func (r *rules) described(o *Organization, u *User, c *AddMember, details map[string]any) (bool, error) {
	before := *u
	if c.Type != "" && c.Type != u.Type {
		if !c.Whole {
			return false, &Invalid{"type", u.Name + " is known as " + u.Type + ", which only those who run patrol change"}
		}
		u.Type = c.Type
		details["type"] = "changed"
	}
	if err := r.giveAddress(o, u, c.Email, c.Confirmed, details); err != nil {
		return false, err
	}
	if *u == before {
		return false, nil
	}
	r.putUser(u)
	return true, nil
}

// putUser writes a user; nobody who read it before has it.
func (r *rules) putUser(u *User) {
	written := *u
	r.change.Records.Users = append(r.change.Records.Users, &written)
}

// giveRole begins a period in which the user has a role; false where it has it
// already, or it is to stay.
func (r *rules) giveRole(o *Organization, u *User, c *AddMember, details map[string]any) (bool, error) {
	periods, err := r.Periods(o.ID, u.ID)
	if err != nil {
		return false, err
	}
	role := cmp.Or(c.Role, "read")
	if now := present(periods); now != nil {
		if c.Role == "" || now.Role == role {
			return false, nil
		}
		if err := r.keepAdmin(o, u, c.KeepsAdmin); err != nil {
			return false, err
		}
		ended := *now
		ended.Until = r.now
		details["from"] = now.Role
		r.change.Records.Periods = append(r.change.Records.Periods, &ended)
	}
	details["role"] = role
	since := r.now
	if n := len(periods); n > 0 && !since.After(periods[n-1].Since) {
		since = periods[n-1].Since.Add(time.Millisecond) // two changes within one tick keep their order
	}
	next := &Period{OrganizationID: o.ID, UserID: u.ID, Role: role, Since: since}
	r.change.Records.Periods = append(r.change.Records.Periods, next)
	return true, r.roleChanged(o, u, periods, next, details)
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

// keepAdmin refuses, where it is asked to, that the only administrator of an
// organization, or the only one who is a person, is one no more.
func (r *rules) keepAdmin(o *Organization, u *User, asked bool) error {
	if !asked {
		return nil
	}
	periods, err := r.Periods(o.ID, u.ID)
	if now := present(periods); err != nil || now == nil || now.Role != "admin" {
		return err
	}
	people, err := r.Administrators(o.ID, TypePerson)
	if err != nil {
		return err
	}
	accounts, err := r.Administrators(o.ID, TypeServiceAccount)
	if err == nil && (people+accounts < 2 || u.Type == TypePerson && people < 2) {
		err = &Conflict{Problem: fmt.Sprintf("%s is the last administrator of %s: no administrator would be left who is a person; make somebody else one first, or force it (--force, in the API ?force=true)", u.Name, o.Name)}
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
	if err := r.keepAdmin(o, u, c.KeepsAdmin); err != nil {
		return err
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
