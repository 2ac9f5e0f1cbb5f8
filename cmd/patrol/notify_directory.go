package main

import (
	"context"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/notify"
	"github.com/patrol-authz/patrol/authz/preview"
)

// directory is the store as the sender reads it.
type directory struct{ *App }

func (d directory) Subject(ctx context.Context, e notify.Event) (*notify.Subject, error) {
	if e.Kind == notify.Test {
		return &notify.Subject{}, nil
	}
	if e.Kind == notify.PolicyDated || e.Kind == notify.PolicyComing {
		return d.stopped(ctx, e)
	}
	if e.Kind == notify.PolicyMoved {
		return d.moved(ctx, e)
	}
	if e.Kind == notify.AddressConfirmation {
		return d.confirmation(ctx, e)
	}
	c, err := d.Store.Concerned(ctx, e.Organization, e.Token)
	if err != nil || c == nil {
		return nil, err
	}
	o := c.Organization
	s, err := d.subject(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.Token != nil {
		s.Token = told(c.Token)
		s.Token.Excepted = d.excepted(ctx, o.Name, c.Token.ID)
		if a := c.Token.Authorization; a != nil && a.State == authz.StateDenied && a.ChangedAt != nil {
			s.Token.AgainFrom = a.ChangedAt.Add(o.Cooldown())
		}
	}
	if e.Kind == notify.HygieneDigest {
		if s.Findings, s.More, err = d.digest(ctx, o.Name); err != nil || len(s.Findings) == 0 {
			return nil, err
		}
	}
	if e.Kind == notify.OwnerAsked && s.Token != nil {
		s.Token.Comment, s.Token.By = question(c.Token)
	}
	return s, nil
}

// excepted says whether an exception lets a token in at present. Where that cannot
// be judged it is not said.
func (d directory) excepted(ctx context.Context, organization, token string) bool {
	all, err := d.Preview.Stand(ctx, organization, []string{token}, preview.FewTries)
	return err == nil && all[token] != nil && all[token].Allowed && all[token].Reason == "exception"
}

// mostHelpers is how many administrators a mail names.
const mostHelpers = 5

// subject is whom an event concerns, and who can help.
func (d directory) subject(ctx context.Context, c *sqlstore.Concerned) (*notify.Subject, error) {
	s := &notify.Subject{Organization: d.shown(c.Organization), Owner: notify.Person(c.Owner), Responsible: persons(c.Responsible)}
	if c.Owner.Name == "" {
		return s, nil
	}
	roles, err := d.Store.Roles(ctx, c.Owner.Name)
	if err != nil || roles[c.Organization.Name] == "" { // who is no member is told no names
		return s, err
	}
	helpers, err := d.Store.ReachableAdministrators(ctx, c.Organization.ID)
	for i := 0; i < len(helpers) && i < mostHelpers; i++ {
		s.Helpers = append(s.Helpers, helpers[i].Name)
	}
	return s, err
}

// shown is an organization as messages show it.
func (d directory) shown(o *inventory.Organization) notify.Organization {
	gather, _ := o.Settings[inventory.SettingGather].(string)
	out := notify.Organization{
		ID: o.ID, Name: o.Name, TokenPolicy: o.TokenPolicy, NextTokenPolicy: o.NextTokenPolicy, EnforceAt: o.EnforceAt,
		Observes: o.Enforcement == authz.Observe, Gather: gather,
	}
	out.AsksFrom, _ = o.AsksForApproval(d.Bundles, d.Clock())
	if r := d.Bundles.Ruleset(); r != nil {
		for i := range r.Policies {
			p := &r.Policies[i]
			if p.Name == o.TokenPolicy {
				out.Title = p.Title
			}
			if p.Name == o.NextTokenPolicy {
				out.NextTitle = p.Title
			}
		}
	}
	return out
}

func (d directory) Administrators(ctx context.Context, organizationID string) ([]notify.Person, error) {
	rows, err := d.Store.ReachableAdministrators(ctx, organizationID)
	return persons(rows), err
}

func persons(rows []sqlstore.Address) []notify.Person {
	out := make([]notify.Person, len(rows))
	for i, r := range rows {
		out[i] = notify.Person(r)
	}
	return out
}

// told is a token as messages show it.
func told(t *inventory.TokenRow) *notify.Token {
	out := &notify.Token{
		ID: t.ID, Name: t.DisplayName, Last4: t.Last4, Kind: t.Kind, Owner: t.Owner, Purpose: t.SaidPurpose(), Grants: granted(t.Grants), CreatedAt: t.CreatedAt,
	}
	if t.ExpiresAt != nil {
		out.Expires = *t.ExpiresAt
	}
	if t.OldSecretUntil != nil {
		out.OldUntil = *t.OldSecretUntil
	}
	if a := t.Authorization; a != nil {
		out.Status, out.Comment = a.Status, a.Comment
		if a.State == authz.StateApproved {
			out.Approved = granted(a.Grants)
		}
		if a.ExpiresAt != nil {
			out.Until = *a.ExpiresAt
		}
		if q := a.Request; q != nil {
			out.Request, out.AskedAt, out.Assignee = q.State, q.OpenedAt, q.Assignee
			for _, v := range q.Votes {
				out.Votes = append(out.Votes, v.Name)
			}
			out.Recommendation, out.Escalated = recommended(q.Recommendation), q.Escalated
		}
	}
	return out
}

// question is the last one that the owner was asked, and by whom; who is on the
// machine has no name that says anything to an owner.
func question(t *inventory.TokenRow) (text, by string) {
	if t == nil || t.Authorization == nil || t.Authorization.Request == nil {
		return "", ""
	}
	for _, n := range t.Authorization.Request.Notes {
		if n.Kind == "question" {
			text, by = n.Text, n.By
		}
	}
	if strings.HasPrefix(by, "uid:") {
		by = ""
	}
	return text, by
}

// recommended is a recommendation as messages tell it.
func recommended(r *inventory.Recommendation) *notify.Recommendation {
	if r == nil {
		return nil
	}
	out := &notify.Recommendation{Action: r.Action}
	for _, one := range r.Reasons {
		out.Reasons = append(out.Reasons, notify.RecommendationReason(one))
	}
	return out
}

func granted(grants []authz.Grant) []string {
	var out []string
	for _, g := range grants {
		out = append(out, strings.Join(g.Permissions, ", ")+" on "+g.Entity.Type+" "+g.Entity.Name)
	}
	return out
}

// digest is the gravest of what was found on an organization's tokens, and of
// itself; more is how much is not listed.
func (d directory) digest(ctx context.Context, organization string) (out []notify.Finding, more int, err error) {
	counts, err := d.Store.CountFindingsOf(ctx, organization)
	for _, n := range counts {
		more += int(n.Tokens)
		if n.Organization {
			more++
		}
	}
	for _, severity := range []string{hygiene.SeverityHigh, hygiene.SeverityMedium, hygiene.SeverityLow} {
		if err != nil || len(out) == maxDigest {
			break
		}
		var rows []hygiene.Row
		rows, _, err = d.Store.Findings(ctx, organization, hygiene.Filter{Severity: severity}, inventory.Page{Limit: 1000})
		for _, r := range rows {
			if r.Severity != severity || len(out) == maxDigest {
				continue // graver ones are listed already
			}
			out = append(out, notify.Finding{
				Title: r.Title, Severity: r.Severity, Advice: r.Do, Token: notify.Token{ID: r.Token, Name: r.DisplayName, Last4: r.Last4, Owner: r.Owner},
			})
		}
	}
	return out, max(0, more-len(out)), err
}
