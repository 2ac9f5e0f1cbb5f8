package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/admin/client"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// basis is what an organization's changes were planned on. The changes of one run
// follow each other, so each that is made is the next one's basis.
type basis struct {
	row     inventory.OrganizationRow
	members []inventory.MemberRow
	touched map[string]bool // members whom the plan changes
	looked  bool            // they were looked at again
	ours    int             // changes of the organization itself that this run made
}

func (b *basis) touch(user string) {
	if b != nil {
		b.touched[user] = true
	}
}

// remove takes a member out.
func (b *basis) remove(user string) func(context.Context, *client.Client) error {
	return func(ctx context.Context, cl *client.Client) error {
		if err := b.lookAtMembers(ctx, cl); err != nil {
			return err
		}
		return cl.RemoveMember(ctx, b.row.Name, user)
	}
}

// made takes note of a change that was made, or finds out what kept it from being.
func (b *basis) made(now *inventory.OrganizationRow, err error) error {
	if err == nil {
		if now.Version != b.row.Version {
			b.ours++
		}
		b.row = *now
		return nil
	}
	var said *client.Error
	if !errors.As(err, &said) {
		return err
	}
	switch said.Status {
	case http.StatusNotFound:
		return &outdated{basis: b, changed: []string{"it is gone"}}
	case http.StatusPreconditionFailed:
		var present inventory.OrganizationRow
		if json.Unmarshal(said.Present, &present) != nil || present.ID == "" {
			return err
		}
		return &outdated{basis: b, present: present.Name, changed: organizationDiffers(&b.row, &present)}
	}
	return err
}

// lookAtMembers reads the members once more, before the first of them is changed:
// they have no version of their own that the server could hold a change against.
func (b *basis) lookAtMembers(ctx context.Context, cl *client.Client) error {
	if b == nil || b.looked {
		return nil
	}
	b.looked = true
	rows, err := cl.Members(ctx, b.row.Name)
	if err != nil {
		return b.made(nil, err)
	}
	was, is := byUser(b.members), byUser(rows)
	for _, user := range slices.Sorted(maps.Keys(b.touched)) {
		before, now := was[user], is[user]
		var changed []string
		switch {
		case before == nil && now == nil:
		case before == nil:
			changed = []string{"was added as " + now.Role}
		case now == nil:
			changed = []string{"was removed"}
		default:
			changed = (&listedMember{Role: now.Role, Type: now.Type, Email: now.Email, Confirmed: new(bool), Responsible: &now.Responsible}).differs(before)
		}
		if len(changed) > 0 {
			return &outdated{basis: b, user: user, changed: changed}
		}
	}
	return nil
}

func byUser(rows []inventory.MemberRow) map[string]*inventory.MemberRow {
	out := make(map[string]*inventory.MemberRow, len(rows))
	for i := range rows {
		out[rows[i].User] = &rows[i]
	}
	return out
}

// outdated says that somebody else changed what a change was planned on.
type outdated struct {
	*basis
	present string // the organization's name now
	user    string // the member whom it is about; "": the organization itself
	changed []string
	by      []string // the entries of the audit log that tell of it
}

func (e *outdated) Error() string {
	text := "was changed by somebody else since it was read"
	if len(e.changed) > 0 {
		text += ": " + strings.Join(e.changed, ", ")
	}
	if len(e.by) > 0 {
		text += " (" + strings.Join(e.by, "; ") + ")"
	}
	return text
}

// findOut reads in the audit log who it was: since is its last entry before the
// plan was made.
func (e *outdated) findOut(ctx context.Context, cl *client.Client, since int64) {
	rows, err := cl.Audit(ctx, "", 1000)
	if err != nil {
		return // what changed is known; who did it, the audit log tells
	}
	slices.Reverse(rows)
	ours := e.ours // they came first: after somebody else's change none of ours was made
	for _, r := range rows {
		if r.Seq <= since || r.Organization != e.row.Name && (e.present == "" || r.Organization != e.present) {
			continue
		}
		if e.user != "" {
			if r.Details["user"] != e.user {
				continue
			}
		} else if !strings.HasPrefix(r.Action, "organization.") {
			continue
		} else if ours > 0 {
			ours--
			continue
		}
		e.by = append(e.by, fmt.Sprintf("%s by %s %s at %s, audit entry %d", r.Action, r.Actor.Kind, r.Actor.Name, r.Time.UTC().Format(time.RFC3339), r.Seq))
	}
}

// organizationDiffers tells what an organization has otherwise than it had.
func organizationDiffers(was, is *inventory.OrganizationRow) (what []string) {
	for _, d := range [][3]string{
		{"name", was.Name, is.Name},
		{"token_policy", was.TokenPolicy, is.TokenPolicy},
		{"next_token_policy", was.NextTokenPolicy, is.NextTokenPolicy},
		{"enforce_at", timeText(was.EnforceAt), timeText(is.EnforceAt)},
		{"enforcement", was.Enforcement, is.Enforcement},
	} {
		if d[1] != d[2] {
			what = append(what, d[0]+" "+dash(d[1])+" → "+dash(d[2]))
		}
	}
	keys := maps.Clone(was.Settings)
	if keys == nil {
		keys = map[string]any{}
	}
	maps.Copy(keys, is.Settings)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		before, had := was.Settings[k]
		now, has := is.Settings[k]
		switch {
		case !had:
			what = append(what, "settings."+k+" "+settingText(now))
		case !has:
			what = append(what, "settings."+k+" "+settingText(before)+" taken back")
		case !sameSetting(before, now):
			what = append(what, "settings."+k+" "+settingText(before)+" → "+settingText(now))
		}
	}
	return what
}

func timeText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// asJSON is a setting as the server has it, whether it came from YAML or JSON.
// What is no JSON is left as it is, for the server to refuse.
func asJSON(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if json.Unmarshal(text, &out) != nil {
		return v
	}
	return out
}

// sameSetting compares settings by value: 90 is 90.0, and no "90"; a list has an
// order.
func sameSetting(a, b any) bool { return reflect.DeepEqual(asJSON(a), asJSON(b)) }

// settingText is a setting as JSON, which tells a number from a text.
func settingText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
