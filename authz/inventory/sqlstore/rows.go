package sqlstore

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// result reads the rows that a command was about, as they stand after it.
func (s *Store) result(st *state, sub inventory.Subject) (inventory.Result, error) {
	st.forget()
	r := inventory.Result{Imported: sub.Imported}
	var o *inventory.Organization
	var err error
	if sub.OrganizationID != "" {
		if o, err = st.OrganizationByID(sub.OrganizationID); err != nil {
			return r, err
		}
		r.Organization = s.organizationRow(o)
	}
	if sub.UserID != "" && o != nil {
		if r.Member, err = memberRow(st, o, sub.UserID); err != nil {
			return r, err
		}
	}
	if sub.TokenID != "" {
		if r.Token, err = s.tokenRow(st, o, sub.TokenID); err != nil {
			return r, err
		}
	}
	if sub.RequestID != "" && sub.TokenID != "" && o != nil {
		q, err := st.LatestRequest(sub.TokenID, sub.OrganizationID)
		if err != nil {
			return r, err
		}
		if q != nil && r.Token != nil {
			r.Approval = s.approvalRow(o, q, r.Token)
		}
	}
	return r, nil
}

func (s *Store) organizationRow(o *inventory.Organization) *inventory.OrganizationRow {
	policy, next := o.Policies(s.Clock())
	row := &inventory.OrganizationRow{
		ID: o.ID, Name: o.Name, Type: o.Type, TokenPolicy: policy, NextTokenPolicy: next, Enforcement: o.Enforcement,
		ManagedBy: o.ManagedBy, Settings: o.Settings, Aliases: o.Aliases, CreatedAt: o.CreatedAt, Version: o.Version,
	}
	if next != "" {
		row.EnforceAt = optional(o.EnforceAt)
	}
	return row
}

// memberRow is a member, or who was one: then without a role.
func memberRow(st *state, o *inventory.Organization, userID string) (*inventory.MemberRow, error) {
	u, err := st.UserByID(userID)
	if err != nil || u == nil {
		return nil, err
	}
	periods, err := st.Periods(o.ID, userID)
	if err != nil || len(periods) == 0 {
		return nil, err
	}
	last := periods[len(periods)-1]
	row, err := st.member(o, u, last)
	if err == nil && !last.Until.IsZero() {
		row.Role, row.Version = "", 0
	}
	return row, err
}

// member is a member in a period of the membership.
func (s *state) member(o *inventory.Organization, u *inventory.User, p *inventory.Period) (*inventory.MemberRow, error) {
	row := &inventory.MemberRow{
		Organization: o.Name, User: u.Name, UserID: u.ID, Type: u.Type, Role: p.Role, Email: u.Email, Since: p.Since, EmailConfirmedAt: optional(u.ConfirmedAt),
	}
	var named []string
	if u.Type == inventory.TypeServiceAccount { // nobody answers for a person
		var err error
		if named, err = s.Responsible(o.ID, u.ID); err != nil {
			return nil, err
		}
		if row.Responsible, err = s.responsible(o, u.ID, u.Type); err != nil {
			return nil, err
		}
	}
	row.Version = inventory.MemberVersion(u, p, named)
	return row, nil
}

// tokenRow is a token as an organization sees it, or whole where o is nil. It
// is nil where the token is not there or does not concern the organization.
func (s *Store) tokenRow(st *state, o *inventory.Organization, id string) (*inventory.TokenRow, error) {
	t, err := st.TokenByID(id)
	if err != nil || t == nil || t.Deleted {
		return nil, err
	}
	return s.row(st, o, t)
}

func (s *Store) row(st *state, o *inventory.Organization, t *inventory.Token) (*inventory.TokenRow, error) {
	u, err := st.UserByID(t.OwnerID)
	if err != nil {
		return nil, err
	}
	row := &inventory.TokenRow{
		ID: t.ID, DisplayName: t.DisplayName, Last4: t.Last4, Kind: t.Kind, Source: t.Source, Grants: t.Grants, Global: t.Global,
		Purpose: t.Purpose, Contact: t.Contact, CreatedAt: t.CreatedAt, ExpiresAt: optional(t.ExpiresAt), Disabled: t.Disabled, Version: t.Version,
	}
	if u != nil {
		row.Owner = u.Name
	}
	s.rotations(row, t)
	if o == nil {
		return row, nil
	}
	// What the token may do elsewhere is none of this organization's business.
	row.Organization, row.Grants = o.Name, t.On(o.ID)
	periods, err := st.Periods(o.ID, t.OwnerID)
	if err != nil {
		return nil, err
	}
	a, err := st.Authorization(t.ID, o.ID)
	if err != nil {
		return nil, err
	}
	if a == nil {
		if len(periods) == 0 && len(row.Grants) == 0 {
			return nil, nil
		}
		a = &inventory.Authorization{State: authz.StateNone}
	}
	q, err := st.LatestRequest(t.ID, o.ID)
	if err != nil {
		return nil, err
	}
	out := &inventory.AuthorizationRow{
		State: a.State, Suspended: a.Suspended, AdminCreated: inventory.AdminCreated(t, periods), Grants: a.Grants,
		ExpiresAt: optional(a.ExpiresAt), ChangedAt: optional(a.ChangedAt), Comment: a.Comment,
	}
	out.Status = s.status(o, a, q)
	row.Authorization = out
	if q != nil {
		out.Request = s.approvalRow(o, q, row)
	}
	return row, nil
}

// rotations tells of the secrets that a token had before.
func (s *Store) rotations(row *inventory.TokenRow, t *inventory.Token) {
	for i, f := range t.Former {
		if i == 0 {
			row.RotatedAt = optional(f.At)
		}
		if f.Until.After(s.Clock()) {
			row.OldSecretUntil = optional(f.Until)
		}
		if !f.ReusedAt.IsZero() && (row.ReusedAt == nil || f.ReusedAt.After(*row.ReusedAt)) {
			row.ReusedAt = optional(f.ReusedAt)
		}
	}
}

// asks says whether the present or the next policy asks for an approval.
func (s *Store) asks(o *inventory.Organization) bool {
	_, asks := o.AsksForApproval(s.Policies, s.Clock())
	return asks
}

func (s *Store) status(o *inventory.Organization, a *inventory.Authorization, q *inventory.Request) string {
	switch {
	case a.State == authz.StateRevoked:
		return "revoked"
	case a.Suspended:
		return "suspended"
	case a.State == authz.StateDenied:
		return "denied"
	case q != nil && q.State == authz.RequestOpen && (a.State == authz.StateNone || ended(a.ExpiresAt, s.Clock())):
		if !s.asks(o) {
			return "pending_frozen"
		}
		return "pending"
	case a.State == authz.StateApproved && ended(a.ExpiresAt, s.Clock()):
		return "approval_ended"
	case a.State == authz.StateApproved:
		return "approved"
	}
	return "none"
}

func ended(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }

func (s *Store) approvalRow(o *inventory.Organization, q *inventory.Request, t *inventory.TokenRow) *inventory.ApprovalRow {
	row := &inventory.ApprovalRow{
		ID: q.ID, Organization: o.Name, Token: t.ID, DisplayName: t.DisplayName, Last4: t.Last4, Owner: t.Owner, State: q.State,
		Grants: q.Grants, Purpose: q.Purpose, OpenedAt: q.OpenedAt, OpenedBy: q.OpenedBy, DecidedAt: optional(q.DecidedAt),
		DecidedBy: q.DecidedBy, Decision: q.Decision, Comment: q.Comment, Version: t.Version,
		Group: inventory.GroupKey(o.ID, q.Grants), Contact: t.Contact, Assignee: q.Assignee, Escalated: q.Escalated,
		WaitsForOwner: q.WaitsForOwner, Needs: 1, Votes: q.Votes, Notes: q.Notes, RemindedAt: optional(q.RemindedAt), Recommendation: q.Recommendation,
	}
	if row.Purpose == "" {
		row.Purpose = t.Purpose
	}
	if o.FourEyes() {
		row.Needs = 2
	}
	if q.State == authz.RequestOpen && !s.asks(o) {
		row.State = authz.RequestFrozen
	}
	return row
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
