package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// aDirectoryIsKept: what one organization's directory provisions is there whole,
// for another store too, and none of it for another organization.
func aDirectoryIsKept(t *testing.T, o Open) {
	s := open(t, o)
	ctx := context.Background()
	at := time.Date(2026, 11, 24, 12, 0, 0, int(5*time.Millisecond), time.UTC)
	bob := &inventory.Provisioned{
		Kind: inventory.KindUser, ID: "u1", Name: "bob@example.com", ExternalID: "x1", Subject: "bob", Version: 1, CreatedAt: at, Changed: at,
		Attributes: map[string]any{"userName": "Bob@example.com", "active": true, "emails": []any{map[string]any{"value": "bob@example.com"}}},
	}
	zoe := &inventory.Provisioned{Kind: inventory.KindUser, ID: "u2", Name: "zoe", Subject: "zoe", Version: 1, CreatedAt: at, Changed: at, Attributes: map[string]any{}}
	admins := &inventory.Provisioned{Kind: inventory.KindGroup, ID: "g1", Name: "admins", Version: 1, CreatedAt: at, Changed: at, Attributes: map[string]any{"displayName": "Admins"}}
	write := func(f func(inventory.Directory) error) {
		t.Helper()
		if err := s.WriteDirectory(ctx, "acme", f); err != nil {
			t.Fatal(err)
		}
	}
	write(func(d inventory.Directory) error {
		return errors.Join(d.Put(bob), d.Put(zoe), d.Put(admins), d.Join("g1", "u1"), d.Join("g1", "u1"), d.Join("g1", "u2"))
	})
	fails := errors.New("no")
	if err := s.WriteDirectory(ctx, "acme", func(d inventory.Directory) error {
		return errors.Join(d.Delete(inventory.KindUser, "u1"), fails)
	}); !errors.Is(err, fails) {
		t.Errorf("a change that fails: %v", err)
	}
	other := open(t, o)
	read := func(organization string) []string { return directoryShown(t, other, organization, bob) }
	want := []string{
		"by id true <nil>", "by name true <nil>", "by subject true <nil>", "by externalId [u1] <nil>", "page [u2] <nil>", "members [u1 u2] <nil>", "groups [g1] <nil>",
		"count 2 <nil>",
	}
	if got := read("acme"); !reflect.DeepEqual(got, want) {
		t.Errorf("another store shows %q", got)
	}
	none := []string{
		"by id false <nil>", "by name false <nil>", "by subject false <nil>", "by externalId [] <nil>", "page [] <nil>", "members [] <nil>", "groups [] <nil>",
		"count 0 <nil>",
	}
	if got := read("globex"); !reflect.DeepEqual(got, none) {
		t.Errorf("another organization sees %q", got)
	}
	write(func(d inventory.Directory) error {
		return errors.Join(d.Leave("g1", "u2"), d.Delete(inventory.KindUser, "u1"))
	})
	if got := read("acme"); got[5] != "members [] <nil>" || got[7] != "count 1 <nil>" {
		t.Errorf("after a deletion: %q", got)
	}
	taken := *zoe
	taken.ID = "u3"
	if err := s.WriteDirectory(ctx, "acme", func(d inventory.Directory) error { return d.Put(&taken) }); err == nil {
		t.Error("a name is there twice")
	}
}

// directoryShown is what a store finds of the users and groups of the test, by
// each way; a user that is found is the one given.
func directoryShown(t *testing.T, s Store, organization string, user *inventory.Provisioned) (got []string) {
	t.Helper()
	say := func(what string, v any, err error) { got = append(got, fmt.Sprint(what, " ", v, err)) }
	names := func(what string, all []*inventory.Provisioned, err error) {
		var list []string
		for _, p := range all {
			list = append(list, p.ID)
		}
		say(what, list, err)
	}
	err := s.ReadDirectory(context.Background(), organization, func(d inventory.Directory) error {
		one, err := d.ByID(inventory.KindUser, "u1")
		if one != nil && !reflect.DeepEqual(one, user) {
			t.Errorf("another store shows %+v", one)
		}
		say("by id", one != nil, err)
		one, err = d.ByName(inventory.KindUser, "bob@example.com")
		say("by name", one != nil, err)
		one, err = d.BySubject("bob")
		say("by subject", one != nil, err)
		all, err := d.ByExternal(inventory.KindUser, "x1")
		names("by externalId", all, err)
		all, err = d.Page(inventory.KindUser, 1, 5)
		names("page", all, err)
		all, err = d.Members("g1")
		names("members", all, err)
		all, err = d.GroupsOf("u1")
		names("groups", all, err)
		n, err := d.Count(inventory.KindUser)
		say("count", n, err)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
