package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// planned is a change that apply makes.
type planned struct {
	Action string `json:"action"` // create, change, remove
	What   string `json:"what"`   // organization acme, member bob of acme
	// Details tell what becomes what.
	Details []string `json:"details,omitempty"`
	do      func(context.Context, *client.Client) error
}

func (p planned) String() string {
	sign := map[string]string{"create": "+", "change": "~", "remove": "-"}[p.Action]
	text := sign + " " + p.What
	if len(p.Details) > 0 {
		text += ": " + strings.Join(p.Details, ", ")
	}
	return text
}

// present is an organization as the server has it.
type present struct {
	row     *inventory.OrganizationRow // nil: there is none
	members []inventory.MemberRow
}

// planner compares what is declared with what is present.
type planner struct {
	prune bool
	force bool
	on    *basis // the organization at hand
	users map[string]*inventory.MemberRow
	steps []planned
	// last are removals of organizations, after all else.
	last []planned
}

func (p *planner) add(action, what string, details []string, do func(context.Context, *client.Client) error) {
	p.steps = append(p.steps, planned{action, what, details, do})
}

func (p *planner) basis(row *inventory.OrganizationRow) *basis {
	if p.users == nil {
		p.users = map[string]*inventory.MemberRow{}
	}
	return &basis{row: *row, users: p.users, force: p.force}
}

func (p *planner) plan(d *declared, have map[string]present) []planned {
	for i := range d.Organizations {
		o := &d.Organizations[i]
		p.organization(o, have[o.Name])
		p.members(o, have[o.Name])
	}
	if p.prune {
		declared := map[string]bool{}
		for _, o := range d.Organizations {
			declared[o.Name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(have)) {
			if !declared[name] && have[name].row != nil {
				p.removal(have[name])
			}
		}
	}
	return append(p.steps, p.last...)
}

func (p *planner) organization(o *declaredOrganization, have present) {
	if have.row == nil {
		p.on = p.basis(&inventory.OrganizationRow{Name: o.Name}) // made by then
		p.creation(o)
		return
	}
	row := have.row
	var details []string
	change := admin.PolicyChange{}
	if o.TokenPolicy != "" && o.TokenPolicy != row.TokenPolicy {
		change.TokenPolicy = o.TokenPolicy
		details = append(details, "token_policy "+row.TokenPolicy+" → "+o.TokenPolicy)
	}
	if o.Enforcement != "" && o.Enforcement != row.Enforcement {
		change.Enforcement = o.Enforcement
		details = append(details, "enforcement "+row.Enforcement+" → "+o.Enforcement)
	}
	next := o.NextTokenPolicy != "" && (o.NextTokenPolicy != row.NextTokenPolicy || row.EnforceAt == nil || !row.EnforceAt.Equal(o.enforceAt))
	if o.NextTokenPolicy == "" && row.NextTokenPolicy != "" && p.prune {
		change.ClearNext = true
		details = append(details, "next_token_policy "+row.NextTokenPolicy+" taken back")
	}
	if next {
		details = append(details, nextDetail(o))
	}
	on := p.basis(row)
	p.on = on
	if len(details) > 0 {
		p.add("change", "organization "+o.Name, details, func(ctx context.Context, cl *client.Client) error {
			if change != (admin.PolicyChange{}) {
				if err := on.made(cl.SetTokenPolicy(ctx, o.Name, change, on.row.Version)); err != nil {
					return err
				}
			}
			if !next && (change.TokenPolicy == "" || o.NextTokenPolicy == "") {
				return nil
			}
			return on.made(setNext(ctx, cl, o, on.row.Version))
		})
	}
	p.settings(o, on)
}

func nextDetail(o *declaredOrganization) string {
	return "next_token_policy " + o.NextTokenPolicy + " from " + o.enforceAt.Format(time.RFC3339)
}

func setNext(ctx context.Context, cl *client.Client, o *declaredOrganization, version int64) (*inventory.OrganizationRow, error) {
	return cl.SetTokenPolicy(ctx, o.Name, admin.PolicyChange{TokenPolicy: o.NextTokenPolicy, EnforceAt: &o.enforceAt}, version)
}

func (p *planner) creation(o *declaredOrganization) {
	var details []string
	for _, d := range [][2]string{{"token_policy", o.TokenPolicy}, {"enforcement", o.Enforcement}, {"managed_by", o.ManagedBy}} {
		if d[1] != "" {
			details = append(details, d[0]+" "+d[1])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(o.Settings)) {
		details = append(details, "settings."+k+" "+settingText(o.Settings[k]))
	}
	if o.NextTokenPolicy != "" {
		details = append(details, nextDetail(o))
	}
	p.add("create", "organization "+o.Name, details, func(ctx context.Context, cl *client.Client) error {
		row, err := cl.CreateOrganization(ctx, admin.NewOrganization{
			Name: o.Name, TokenPolicy: o.TokenPolicy, Enforcement: o.Enforcement, ManagedBy: o.ManagedBy, Settings: o.Settings,
		})
		if err != nil || o.NextTokenPolicy == "" {
			return err
		}
		_, err = setNext(ctx, cl, o, row.Version)
		return err
	})
}

// settings sets the thresholds that differ; with prune, those that are not
// declared are taken back. A setting that is declared as null is taken back.
func (p *planner) settings(o *declaredOrganization, on *basis) {
	changed := map[string]any{}
	var details []string
	for _, k := range slices.Sorted(maps.Keys(o.Settings)) {
		wanted := o.Settings[k]
		have, there := on.row.Settings[k]
		switch {
		case wanted == nil && !there, there && sameSetting(have, wanted):
			continue
		case wanted == nil:
			details = append(details, "settings."+k+" "+settingText(have)+" taken back")
		case there:
			details = append(details, "settings."+k+" "+settingText(have)+" → "+settingText(wanted))
		default:
			details = append(details, "settings."+k+" "+settingText(wanted))
		}
		changed[k] = wanted
	}
	if p.prune {
		for _, k := range slices.Sorted(maps.Keys(on.row.Settings)) {
			if _, kept := o.Settings[k]; !kept {
				changed[k] = nil
				details = append(details, "settings."+k+" "+settingText(on.row.Settings[k])+" taken back")
			}
		}
	}
	if len(changed) > 0 {
		p.add("change", "organization "+o.Name, details, func(ctx context.Context, cl *client.Client) error {
			return on.made(cl.ChangeSettings(ctx, o.Name, changed, on.row.Version))
		})
	}
}

func (p *planner) members(o *declaredOrganization, have present) {
	of, on := " of "+o.Name, p.on
	present := map[string]*inventory.MemberRow{}
	for i := range have.members {
		present[have.members[i].User] = &have.members[i]
	}
	declared := map[string]bool{}
	wanted := slices.Clone(o.Members)
	lastAccounts(wanted, func(m declaredMember) bool { return m.Responsible != nil })
	lastDemotions(wanted, func(m declaredMember) bool {
		was := present[m.User]
		return was != nil && demotes(was.Role, m.Role)
	})
	for i := range wanted {
		m := wanted[i].listed()
		declared[m.User] = true
		was := present[m.User]
		action, details := "create", []string{"role " + m.Role}
		if was != nil {
			action = "change"
			if details = m.differs(was); len(details) == 0 {
				continue
			}
		} else {
			details = append(details, m.differs(&inventory.MemberRow{Role: m.Role, Type: cmp.Or(m.Type, "user")})...)
		}
		p.add(action, "member "+m.User+of, details, on.set(m, was))
	}
	if !p.prune || o.Members == nil {
		return
	}
	for _, m := range accountsFirst(have.members) {
		if !declared[m.User] {
			p.add("remove", "member "+m.User+of, nil, on.remove(m))
		}
	}
}

func (p *planner) removal(have present) {
	on := p.basis(have.row)
	on.force = true // nobody is left on purpose
	for _, m := range accountsFirst(have.members) {
		p.last = append(p.last, planned{"remove", "member " + m.User + " of " + have.row.Name, nil, on.remove(m)})
	}
	p.last = append(p.last, planned{"remove", "organization " + have.row.Name, nil, func(ctx context.Context, cl *client.Client) error {
		err := cl.DeleteOrganization(ctx, have.row.Name, on.row.Version)
		return on.made(&on.row, err)
	}})
}

// accountsFirst puts service accounts before the people who answer for them.
func accountsFirst(rows []inventory.MemberRow) []*inventory.MemberRow {
	out := make([]*inventory.MemberRow, len(rows))
	for i := range rows {
		out[i] = &rows[len(rows)-1-i]
	}
	lastAccounts(out, func(m *inventory.MemberRow) bool { return m.Type == inventory.TypeServiceAccount })
	slices.Reverse(out)
	return out
}
