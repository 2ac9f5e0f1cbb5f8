package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
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
	steps []planned
	// last are removals of organizations, after all else.
	last []planned
}

func (p *planner) add(action, what string, details []string, do func(context.Context, *client.Client) error) {
	p.steps = append(p.steps, planned{action, what, details, do})
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
	if len(details) > 0 {
		p.add("change", "organization "+o.Name, details, func(ctx context.Context, cl *client.Client) error {
			version := row.Version
			if change != (admin.PolicyChange{}) {
				now, err := cl.SetTokenPolicy(ctx, o.Name, change, version)
				if err != nil {
					return err
				}
				version = now.Version
			}
			if !next && (change.TokenPolicy == "" || o.NextTokenPolicy == "") {
				return nil
			}
			return setNext(ctx, cl, o, version)
		})
	}
	p.settings(o, row)
}

func nextDetail(o *declaredOrganization) string {
	return "next_token_policy " + o.NextTokenPolicy + " from " + o.enforceAt.Format(time.RFC3339)
}

func setNext(ctx context.Context, cl *client.Client, o *declaredOrganization, version int64) error {
	_, err := cl.SetTokenPolicy(ctx, o.Name, admin.PolicyChange{TokenPolicy: o.NextTokenPolicy, EnforceAt: &o.enforceAt}, version)
	return err
}

func (p *planner) creation(o *declaredOrganization) {
	var details []string
	for _, d := range [][2]string{{"token_policy", o.TokenPolicy}, {"enforcement", o.Enforcement}, {"managed_by", o.ManagedBy}} {
		if d[1] != "" {
			details = append(details, d[0]+" "+d[1])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(o.Settings)) {
		details = append(details, fmt.Sprintf("settings.%s %v", k, o.Settings[k]))
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
		return setNext(ctx, cl, o, row.Version)
	})
}

// settings sets the thresholds that differ; with prune, those that are not
// declared are taken back.
func (p *planner) settings(o *declaredOrganization, row *inventory.OrganizationRow) {
	changed := map[string]any{}
	var details []string
	for _, k := range slices.Sorted(maps.Keys(o.Settings)) {
		if have, there := row.Settings[k]; !there || !sameSetting(have, o.Settings[k]) {
			changed[k] = o.Settings[k]
			if there {
				details = append(details, fmt.Sprintf("settings.%s %v → %v", k, have, o.Settings[k]))
			} else {
				details = append(details, fmt.Sprintf("settings.%s %v", k, o.Settings[k]))
			}
		}
	}
	if p.prune {
		for _, k := range slices.Sorted(maps.Keys(row.Settings)) {
			if _, kept := o.Settings[k]; !kept {
				changed[k] = nil
				details = append(details, fmt.Sprintf("settings.%s %v taken back", k, row.Settings[k]))
			}
		}
	}
	if len(changed) > 0 {
		p.add("change", "organization "+o.Name, details, func(ctx context.Context, cl *client.Client) error {
			return cl.Do(ctx, http.MethodPatch, "/api/organizations/"+url.PathEscape(o.Name)+"/settings", map[string]any{"settings": changed}, nil)
		})
	}
}

// sameSetting compares a setting as JSON gave it with one as YAML did.
func sameSetting(a, b any) bool {
	number := func(v any) any {
		switch n := reflect.ValueOf(v); n.Kind() {
		case reflect.Int, reflect.Int64:
			return float64(n.Int())
		case reflect.Uint64:
			return float64(n.Uint())
		default:
			return v
		}
	}
	return fmt.Sprint(number(a)) == fmt.Sprint(number(b))
}

func (p *planner) members(o *declaredOrganization, have present) {
	of := " of " + o.Name
	present := map[string]inventory.MemberRow{}
	for _, m := range have.members {
		present[m.User] = m
	}
	declared := map[string]bool{}
	wanted := slices.Clone(o.Members)
	lastAccounts(wanted, func(m declaredMember) bool { return m.Responsible != nil })
	for i := range wanted {
		m := wanted[i].listed()
		declared[m.User] = true
		row, there := present[m.User]
		action, details := "create", []string{"role " + m.Role}
		if there {
			action = "change"
			if details = m.differs(&row); len(details) == 0 {
				continue
			}
		} else {
			details = append(details, m.differs(&inventory.MemberRow{Role: m.Role, Type: cmp.Or(m.Type, "user")})...)
		}
		p.add(action, "member "+m.User+of, details, func(ctx context.Context, cl *client.Client) error {
			_, err := cl.SetMember(ctx, o.Name, m.User, m.body())
			return err
		})
	}
	if !p.prune || o.Members == nil {
		return
	}
	for _, m := range have.members {
		if !declared[m.User] {
			p.add("remove", "member "+m.User+of, nil, removeMember(o.Name, m.User))
		}
	}
}

func removeMember(organization, user string) func(context.Context, *client.Client) error {
	return func(ctx context.Context, cl *client.Client) error { return cl.RemoveMember(ctx, organization, user) }
}

func (p *planner) removal(have present) {
	for _, m := range have.members {
		p.last = append(p.last, planned{"remove", "member " + m.User + " of " + have.row.Name, nil, removeMember(have.row.Name, m.User)})
	}
	p.last = append(p.last, planned{"remove", "organization " + have.row.Name, nil, func(ctx context.Context, cl *client.Client) error {
		return cl.DeleteOrganization(ctx, have.row.Name)
	}})
}
