package main

import (
	"cmp"
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
	row  inventory.OrganizationRow
	ours int // changes of the organization itself that this run made
	// users are those whom this run has set, as it left them: type and address are
	// so in every organization.
	users map[string]*inventory.MemberRow
	// force changes the last administrator too.
	force bool
}

// set makes a member what is wanted, as it was read; was is nil for none.
func (b *basis) set(m *listedMember, was *inventory.MemberRow) func(context.Context, *client.Client) error {
	return func(ctx context.Context, cl *client.Client) error {
		version, err := b.version(ctx, cl, was)
		if err != nil {
			return err
		}
		row, err := cl.SetMember(ctx, b.row.Name, m.User, m.body(), client.MemberAt{Version: version, Force: b.force})
		if err == nil {
			b.users[m.User] = row
		}
		return b.ofMember(m.User, was, err)
	}
}

// remove takes a member out, as it was read.
func (b *basis) remove(was *inventory.MemberRow) func(context.Context, *client.Client) error {
	return func(ctx context.Context, cl *client.Client) error {
		version, err := b.version(ctx, cl, was)
		if err != nil {
			return err
		}
		return b.ofMember(was.User, was, cl.RemoveMember(ctx, b.row.Name, was.User, client.MemberAt{Version: version, Force: b.force}))
	}
}

// version is that of a member as it was read (nil: there was none), or as it is
// now where nothing is otherwise but what this run made so.
func (b *basis) version(ctx context.Context, cl *client.Client, was *inventory.MemberRow) (int64, error) {
	if was == nil {
		return client.NotThere, nil
	}
	if b.users[was.User] == nil {
		return was.Version, nil
	}
	now, err := cl.Member(ctx, b.row.Name, was.User)
	if err != nil {
		return 0, b.ofMember(was.User, was, err)
	}
	left := b.left(was)
	left.Version = now.Version
	if reflect.DeepEqual(left, now) {
		return now.Version, nil
	}
	return was.Version, nil
}

// left is a member as it was read, but for what this run has made of the user.
func (b *basis) left(was *inventory.MemberRow) *inventory.MemberRow {
	if was == nil {
		return nil
	}
	left := *was
	if ours := b.users[was.User]; ours != nil {
		left.Type, left.Email, left.EmailConfirmedAt = ours.Type, ours.Email, ours.EmailConfirmedAt
	}
	return &left
}

// ofMember finds out what kept a member from being changed; was is what was read,
// nil for none.
func (b *basis) ofMember(user string, was *inventory.MemberRow, err error) error {
	if err == nil {
		return nil
	}
	if changed := memberChanged(b.left(was), err); changed != "" {
		return &outdated{basis: b, user: user, changed: []string{changed}}
	}
	return b.made(nil, err)
}

// memberChanged tells what somebody else made of a member since it was read (nil:
// there was none), where an error says so; else "".
func memberChanged(was *inventory.MemberRow, err error) string {
	var said *client.Error
	if !errors.As(err, &said) || said.Status != http.StatusPreconditionFailed && said.Status != http.StatusNotFound {
		return ""
	}
	var now inventory.MemberRow
	there := said.Present != nil && json.Unmarshal(said.Present, &now) == nil && now.UserID != ""
	switch {
	case was == nil && there:
		return "was added as " + now.Role
	case was == nil:
		return ""
	case !there:
		return "was removed"
	}
	is := listedMember{Role: now.Role, Type: now.Type, Email: now.Email, Confirmed: new(now.EmailConfirmedAt != nil), Responsible: &now.Responsible}
	return cmp.Or(strings.Join(is.differs(was), ", "), "was changed, and changed back")
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
