package storetest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// membersAreKept: who answers for a service account, and whether an address is
// confirmed, is there for another store too, and shown wherever members are.
func membersAreKept(t *testing.T, o Open) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := openWith(t, o, Options{Clock: func() time.Time { return at }})
	acme(t, s)
	responsible := func(names ...string) *[]string { return &names }
	add := func(c inventory.AddMember) *inventory.MemberRow {
		t.Helper()
		c.Organization, c.Role = "acme", "write"
		return do(t, s, c).Member
	}
	add(inventory.AddMember{User: "rita", Email: "rita@example.com"})
	add(inventory.AddMember{User: "bob", Email: "bob@example.com", Confirmed: inventory.ConfirmedByDirectory})
	made := add(inventory.AddMember{User: "ci", Type: "service_account", Responsible: responsible("rita", "bob")})
	if !reflect.DeepEqual(made.Responsible, []string{"bob", "rita"}) {
		t.Errorf("the answer names %v", made.Responsible)
	}
	token := do(t, s, issue("ci", 9)).Token
	other := open(t, o)
	ctx := context.Background()
	shown := func() map[string]inventory.MemberRow {
		t.Helper()
		rows, _, err := other.Members(ctx, "acme", inventory.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		by := map[string]inventory.MemberRow{}
		for _, r := range rows {
			by[r.User] = r
			if one, err := other.Member(ctx, "ACME", strings.ToUpper(r.User)); err != nil || !reflect.DeepEqual(one, &r) || r.Version == 0 {
				t.Errorf("listed %+v, read %+v, %v", r, one, err)
			}
		}
		return by
	}
	rows := shown()
	if got := rows["ci"].Version; got != made.Version {
		t.Errorf("made at version %d, listed at %d", made.Version, got)
	}
	if got := rows["ci"]; !reflect.DeepEqual(got.Responsible, []string{"bob", "rita"}) || got.Type != "service_account" {
		t.Errorf("the listing shows %+v", got)
	}
	if got := rows["bob"]; got.EmailConfirmedAt == nil || !got.EmailConfirmedAt.Equal(at) {
		t.Errorf("a confirmed address is shown as %+v", got)
	}
	if got := rows["rita"]; got.EmailConfirmedAt != nil || got.Email == "" {
		t.Errorf("an address that is not confirmed is shown as %+v", got)
	}
	if row, err := other.Token(ctx, "acme", token.ID); err != nil || !reflect.DeepEqual(row.Responsible, []string{"bob", "rita"}) {
		t.Errorf("the token shows %+v, %v", row, err)
	}
	accounts := func(person string) []inventory.Account {
		t.Helper()
		list, err := other.AccountsOf(ctx, person)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if got := accounts("Bob"); !reflect.DeepEqual(got, []inventory.Account{{Organization: "acme", User: "ci"}}) {
		t.Errorf("bob answers for %v", got)
	}
	if got := append(accounts("alice"), accounts("nobody")...); len(got) > 0 {
		t.Errorf("who was not named answers for %v", got)
	}

	do(t, s, inventory.ConfirmAddress{Organization: "acme", User: "rita", By: inventory.ConfirmedByAdministrator})
	do(t, s, inventory.RemoveMember{Organization: "acme", User: "bob"})
	for _, name := range []string{"bob", "nobody"} {
		if one, err := other.Member(ctx, "acme", name); one != nil || !isNotFound(err) {
			t.Errorf("%s is no member: %+v, %v", name, one, err)
		}
	}
	rows = shown()
	if got := rows["ci"].Responsible; !reflect.DeepEqual(got, []string{"rita"}) || len(accounts("bob")) > 0 {
		t.Errorf("bob has left, and %v answer", got)
	}
	if rows["rita"].EmailConfirmedAt == nil {
		t.Error("an address that was confirmed is not")
	}
	add(inventory.AddMember{User: "bob"})
	if got := shown()["ci"].Responsible; !reflect.DeepEqual(got, []string{"bob", "rita"}) {
		t.Errorf("bob is back, and %v answer", got)
	}
	do(t, s, inventory.AddMember{Organization: "acme", User: "bob", Role: "admin"})
	kept := inventory.RemoveMember{Organization: "acme", User: "alice", KeepsAdmin: true}
	do(t, s, inventory.AddMember{Organization: "acme", User: "bob", Role: "write", KeepsAdmin: true})
	var conflict *inventory.Conflict
	if _, err := s.Do(ctx, operator, kept); !errors.As(err, &conflict) {
		t.Errorf("the last administrator goes: %v", err)
	}
	do(t, s, inventory.AddMember{Organization: "acme", User: "bob", Role: "admin"})
	do(t, s, kept)
	add(inventory.AddMember{User: "ci", Type: "user", Whole: true})
	if got := shown()["ci"]; got.Responsible != nil || got.Type != "user" || len(accounts("rita")) > 0 {
		t.Errorf("people answer for a person: %+v", got)
	}
	u, err := other.User(ctx, "RITA")
	if err != nil || u == nil || u.ConfirmedBy != inventory.ConfirmedByAdministrator || !u.AskedAt.IsZero() {
		t.Errorf("rita is %+v, %v", u, err)
	}
}

// whoAnsweredIsKept: who was taken off answers no more, and is no other person on
// what the account asks for, also for another store.
func whoAnsweredIsKept(t *testing.T, o Open) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := openWith(t, o, Options{Clock: func() time.Time { return at }})
	acme(t, s)
	do(t, s, inventory.ChangeSettings{Organization: "acme", Settings: map[string]any{inventory.SettingFourEyes: true}})
	for _, name := range []string{"rita", "rob"} {
		do(t, s, inventory.AddMember{Organization: "acme", User: name, Role: "admin"})
	}
	answering := func(people ...string) {
		t.Helper()
		row := do(t, s, inventory.AddMember{Organization: "acme", User: "ci", Type: "service_account", Role: "write", Responsible: &people}).Member
		if !reflect.DeepEqual(row.Responsible, people) && len(people)+len(row.Responsible) > 0 {
			t.Errorf("%v were named, and %v answer", people, row.Responsible)
		}
	}
	approved := func(n byte, who string) bool {
		t.Helper()
		token := do(t, s, issue("ci", n)).Token
		_, err := open(t, o).Do(context.Background(), inventory.Actor{Kind: "console", Name: who}, inventory.Approve{Organization: "acme", Token: token.ID, Version: 1})
		var forbidden *inventory.Forbidden
		if err != nil && !errors.As(err, &forbidden) {
			t.Fatal(err)
		}
		return err == nil
	}
	answering("rita", "rob")
	answering("rita")
	at = at.Add(time.Hour)
	if approved(20, "rob") || approved(21, "rita") || !approved(22, "alice") {
		t.Error("who answers or did of late is another person, or who never did is none")
	}
	answering()
	if list, err := s.AccountsOf(context.Background(), "rita"); err != nil || len(list) > 0 {
		t.Errorf("rita was taken off and answers for %v, %v", list, err)
	}
	answering("rob")
	at = at.Add(30 * 24 * time.Hour)
	if !approved(23, "rita") || approved(24, "rob") {
		t.Error("who answered a month ago is no other person, or who answers again is one")
	}
}

func isNotFound(err error) bool {
	var missing *inventory.NotFound
	return errors.As(err, &missing)
}
