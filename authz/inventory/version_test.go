package inventory_test

import (
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/inventorytest"
)

// versionOf is the version at which a command on a member is carried out.
func versionOf(l *inventorytest.Lab, organization, name string) int64 {
	l.T.Helper()
	e := inventorytest.Refused[*inventory.Stale](l, inventorytest.Operator, inventory.IfVersion{
		Command: inventory.AddMember{Organization: organization, User: name, Role: "read"}, Version: -7,
	})
	return e.Present
}

// TestAMemberHasAnotherVersionAfterEachChange: of the membership, of what is known
// of the user, and of who answers for a service account.
func TestAMemberHasAnotherVersionAfterEachChange(t *testing.T) {
	l := account(t)
	l.Must(inventorytest.Operator, inventory.CreateOrganization{Name: "globex"})
	l.Must(inventorytest.Operator, inventory.AddMember{Organization: "globex", User: "ci", Role: "read"})
	seen := map[int64]string{}
	last := int64(0)
	for _, step := range []struct {
		name    string
		changes bool
		command inventory.Command
	}{
		{"as it is", true, nil},
		{"the same once more", false, inventory.AddMember{Organization: "acme", User: "ci", Role: "write", Responsible: named("bob")}},
		{"another role", true, inventory.AddMember{Organization: "acme", User: "ci", Role: "read"}},
		{"the role before, again", true, inventory.AddMember{Organization: "acme", User: "ci", Role: "write"}},
		{"another role elsewhere", false, inventory.AddMember{Organization: "globex", User: "ci", Role: "write"}},
		{"an address", true, inventory.AddMember{Organization: "acme", User: "ci", Role: "write", Email: "ci@example.com"}},
		{"an address, set elsewhere", true, inventory.AddMember{Organization: "globex", User: "ci", Role: "write", Email: "ci@example.org"}},
		{"a confirmed address", true, inventory.ConfirmAddress{Organization: "acme", User: "ci", By: inventory.ConfirmedByAdministrator}},
		{"confirmed again", false, inventory.ConfirmAddress{Organization: "acme", User: "ci", By: inventory.ConfirmedByAdministrator}},
		{"others who answer for it", true, inventory.AddMember{Organization: "acme", User: "ci", Role: "write", Responsible: named("alice", "bob")}},
		{"nobody who answers for it", true, inventory.AddMember{Organization: "acme", User: "ci", Role: "write", Responsible: named()}},
		{"a person", true, inventory.AddMember{Organization: "acme", User: "ci", Role: "write", Type: "user", Whole: true}},
		{"somebody else", false, inventory.AddMember{Organization: "acme", User: "bob", Role: "read"}},
		{"gone", true, inventory.RemoveMember{Organization: "acme", User: "ci"}},
		{"back", true, inventory.AddMember{Organization: "acme", User: "ci", Role: "write"}},
	} {
		l.After(time.Minute)
		if step.command != nil {
			l.Must(inventorytest.Operator, step.command)
		}
		now := versionOf(l, "acme", "ci")
		if (now != last) != step.changes || step.changes && seen[now] != "" {
			t.Errorf("%s: version %d, before %d, and that of %q", step.name, now, last, seen[now])
		}
		if gone := step.name == "gone"; (now == 0) != gone || now < 0 || now >= 1<<53 {
			t.Errorf("%s: version %d", step.name, now)
		}
		seen[now], last = step.name, now
	}
}

// TestAMemberIsChangedAtItsVersionAlone: whoever read another one changes nothing.
func TestAMemberIsChangedAtItsVersionAlone(t *testing.T) {
	l := account(t)
	l.Must(inventorytest.Operator, inventory.AddMember{Organization: "acme", User: "bob", Role: "write", Email: "bob@example.com"})
	l.After(2 * time.Hour)
	at := func(c inventory.Command, version int64) inventory.Command {
		return inventory.IfVersion{Command: c, Version: version}
	}
	set := func(name string) inventory.Command {
		return inventory.AddMember{Organization: "acme", User: name, Role: "admin"}
	}
	remove := func(name string) inventory.Command { return inventory.RemoveMember{Organization: "acme", User: name} }
	bob := versionOf(l, "acme", "bob")
	for name, c := range map[string]inventory.Command{
		"another version":                   at(set("bob"), bob+1),
		"one who is to be none":             at(set("bob"), 0),
		"removing at another version":       at(remove("bob"), bob+1),
		"removing at none":                  at(remove("bob"), 0),
		"confirming at another version":     at(inventory.ConfirmAddress{Organization: "acme", User: "bob", By: inventory.ConfirmedByAdministrator}, bob+1),
		"asking at another version":         at(inventory.AskConfirmation{Organization: "acme", User: "bob"}, bob+1),
		"who is no member, at a version":    at(set("outsider"), bob),
		"who is no member, at any version":  at(set("outsider"), inventory.AnyVersion),
		"who is nobody, at another's":       at(set("nobody"), bob),
		"another member's version":          at(set("alice"), bob),
		"the version of another membership": at(set("ci"), bob),
	} {
		if e := inventorytest.Refused[*inventory.Stale](l, inventorytest.Operator, c); e.What != "member" || e.Error() == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	inventorytest.Refused[*inventory.NotFound](l, inventorytest.Operator, at(remove("nobody"), bob))
	inventorytest.Refused[*inventory.NotFound](l, inventorytest.Operator, at(inventory.AddMember{Organization: "nowhere", User: "bob", Role: "read"}, bob))
	for _, c := range []inventory.Command{
		at(inventory.ConfirmAddress{Organization: "acme", User: "bob", By: inventory.ConfirmedByAdministrator}, bob),
		at(set("bob"), inventory.AnyVersion), at(set("nobody"), 0),
	} {
		l.Must(inventorytest.Operator, c)
	}
	l.Must(inventorytest.Operator, at(remove("bob"), versionOf(l, "acme", "bob")))
}
