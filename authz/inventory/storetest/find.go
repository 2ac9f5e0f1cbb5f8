package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

func membersAreFound(t *testing.T, o Open) {
	s := open(t, o)
	acme(t, s) // alice, admin; bob, write
	do(t, s, inventory.AddMember{Organization: "acme", User: "carol_x", Role: "read", Email: "Carol@Example.com", Confirmed: inventory.ConfirmedByAdministrator})
	do(t, s, inventory.AddMember{Organization: "acme", User: "carolyx", Role: "read", Email: "other@example.com"})
	do(t, s, inventory.AddMember{Organization: "acme", User: "builder", Role: "write", Type: "service_account"})
	do(t, s, inventory.AddMember{Organization: "acme", User: "gone", Role: "read", Email: "gone@example.com"})
	do(t, s, inventory.RemoveMember{Organization: "acme", User: "gone"})
	for _, c := range []struct {
		filter inventory.MemberFilter
		want   []string
	}{
		{inventory.MemberFilter{}, []string{"alice", "bob", "builder", "carol_x", "carolyx"}},
		{inventory.MemberFilter{Role: "read"}, []string{"carol_x", "carolyx"}},
		{inventory.MemberFilter{Role: "reviewer"}, nil},
		{inventory.MemberFilter{Type: "service_account"}, []string{"builder"}},
		{inventory.MemberFilter{Type: "user", Role: "write"}, []string{"bob"}},
		{inventory.MemberFilter{Address: inventory.AddressConfirmed}, []string{"carol_x"}},
		{inventory.MemberFilter{Address: inventory.AddressUnconfirmed}, []string{"carolyx"}},
		{inventory.MemberFilter{Address: inventory.AddressNone}, []string{"alice", "bob", "builder"}},
		{inventory.MemberFilter{Query: "ROL_"}, []string{"carol_x"}},
		{inventory.MemberFilter{Query: "carol@example"}, []string{"carol_x"}},
		{inventory.MemberFilter{Query: "%"}, nil},
		{inventory.MemberFilter{Query: "b", Role: "write"}, []string{"bob", "builder"}},
	} {
		for _, limit := range []int{1, 2, 1000} {
			rows := read(t, limit, func(p inventory.Page) ([]inventory.MemberRow, string, error) {
				return s.FindMembers(context.Background(), "acme", c.filter, p)
			})
			if got := keys(rows, func(r inventory.MemberRow) string { return r.User }); !slices.Equal(got, c.want) {
				t.Errorf("%+v by pages of %d: %q, want %q", c.filter, limit, got, c.want)
			}
		}
	}
	var invalid *inventory.Invalid
	if _, _, err := s.FindMembers(context.Background(), "acme", inventory.MemberFilter{Address: "odd"}, inventory.Page{}); !errors.As(err, &invalid) || invalid.Field != "address" {
		t.Errorf("an odd state: %v", err)
	}
	var missing *inventory.NotFound
	if _, _, err := s.FindMembers(context.Background(), "nowhere", inventory.MemberFilter{}, inventory.Page{}); !errors.As(err, &missing) {
		t.Errorf("nowhere: %v", err)
	}
}

func theAuditIsSearched(t *testing.T, o Open) {
	clock := time.Now().UTC().Truncate(time.Millisecond)
	s := openWith(t, o, Options{Clock: func() time.Time { return clock }})
	token := acme(t, s) // 1 to 4: organization, two members, token
	ctx := context.Background()
	begin := clock
	clock = clock.Add(time.Hour)
	alice := inventory.Actor{Kind: "console", Name: "alice"}
	act := func(c inventory.Command) {
		t.Helper()
		if _, err := s.Do(ctx, alice, c); err != nil {
			t.Fatal(err)
		}
	}
	act(inventory.SuspendToken{Organization: "acme", Token: token.ID})                      // 5
	act(inventory.ResumeToken{Organization: "acme", Token: token.ID})                       // 6
	do(t, s, inventory.CreateOrganization{Name: "beta"})                                    // 7
	do(t, s, inventory.AddMember{Organization: "beta", User: "bob", Role: "read"})          // 8
	do(t, s, inventory.AddMember{Organization: "beta", User: "bobby", Role: "read"})        // 9
	do(t, s, inventory.AddMember{Organization: "beta", User: "b_b", Role: "read"})          // 10
	act(inventory.SetPolicy{Organization: "beta", TokenPolicy: "only_fine_grained_tokens"}) // 11
	act(inventory.DisableToken{Token: token.ID, Comment: "lost"})                           // 12
	for _, c := range []struct {
		organization string
		filter       inventory.AuditFilter
		want         string
	}{
		{"", inventory.AuditFilter{Actor: "alice"}, "[12 11 6 5]"},
		{"acme", inventory.AuditFilter{Actor: "alice"}, "[6 5]"},
		{"", inventory.AuditFilter{Actor: "alic"}, "[]"},
		{"", inventory.AuditFilter{Action: "token"}, "[12 6 5 4]"},
		{"", inventory.AuditFilter{Action: "token.suspend"}, "[5]"},
		{"", inventory.AuditFilter{Action: "tok"}, "[]"},
		{"", inventory.AuditFilter{Action: "Token"}, "[]"},
		{"", inventory.AuditFilter{Action: "token.Suspend"}, "[]"},
		{"", inventory.AuditFilter{Action: "token_suspend"}, "[]"},
		{"", inventory.AuditFilter{Action: "%"}, "[]"},
		{"", inventory.AuditFilter{Token: token.ID}, "[12 6 5 4]"},
		{"acme", inventory.AuditFilter{Token: token.ID, Action: "token.resume"}, "[6]"},
		{"", inventory.AuditFilter{User: "Bob"}, "[8 3]"},
		{"beta", inventory.AuditFilter{User: "bob"}, "[8]"},
		{"", inventory.AuditFilter{User: "b_b"}, "[10]"},
		{"", inventory.AuditFilter{Since: clock}, "[12 11 10 9 8 7 6 5]"},
		{"", inventory.AuditFilter{Until: clock}, "[4 3 2 1]"},
		{"acme", inventory.AuditFilter{Since: begin, Until: clock, Action: "member"}, "[3 2]"},
		{"", inventory.AuditFilter{Since: clock.Add(time.Millisecond)}, "[]"},
	} {
		for _, limit := range []int{1, 3, 1000} {
			rows := read(t, limit, func(p inventory.Page) ([]inventory.AuditRow, string, error) {
				return s.FindAudit(ctx, c.organization, c.filter, p)
			})
			got := []int64{}
			for _, r := range rows {
				got = append(got, r.Seq)
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("%q %+v by pages of %d: %v, want %s", c.organization, c.filter, limit, got, c.want)
			}
		}
	}
	var invalid *inventory.Invalid
	if _, _, err := s.FindAudit(ctx, "", inventory.AuditFilter{Since: clock, Until: clock}, inventory.Page{}); !errors.As(err, &invalid) || invalid.Field != "until" {
		t.Errorf("a time that ends before it begins: %v", err)
	}
	if _, _, err := s.FindAudit(ctx, "", inventory.AuditFilter{Actor: "alice"}, inventory.Page{Cursor: "x"}); !errors.As(err, &invalid) || invalid.Field != "cursor" {
		t.Errorf("an odd cursor: %v", err)
	}
}
