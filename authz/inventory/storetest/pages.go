package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// read follows a listing to its end.
func read[T any](t *testing.T, limit int, page func(inventory.Page) ([]T, string, error)) []T {
	t.Helper()
	var all []T
	p := inventory.Page{Limit: limit}
	for range 10_000 {
		rows, next, err := page(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) > limit {
			t.Fatalf("a page of %d rows has %d", limit, len(rows))
		}
		all = append(all, rows...)
		if next == "" {
			return all
		}
		p.Cursor = next
	}
	t.Fatal("the listing has no end")
	return nil
}

func tokens(t *testing.T, s Store, organization string, f inventory.TokenFilter) []inventory.TokenRow {
	t.Helper()
	return read(t, 1000, func(p inventory.Page) ([]inventory.TokenRow, string, error) {
		return s.Tokens(context.Background(), organization, f, p)
	})
}

// mixed is an organization with tokens in every state; at is past the end of
// one approval.
func mixed(t *testing.T, s Store, clock *time.Time) {
	t.Helper()
	acme(t, s)
	do(t, s, inventory.AddMember{Organization: "acme", User: "carol", Role: "read"})
	do(t, s, inventory.CreateOrganization{Name: "beta"})
	do(t, s, inventory.AddMember{Organization: "beta", User: "erin", Role: "write"})
	var ids []string
	for i := range 14 {
		c := issue("bob", byte(30+i))
		c.DisplayName = fmt.Sprintf("token %d%%_", i)
		if i%3 == 0 {
			c.Owner = "carol"
		}
		ids = append(ids, do(t, s, c).Token.ID)
	}
	do(t, s, unscoped("bob", authz.KindRead, 60))
	write := do(t, s, unscoped("carol", authz.KindWrite, 61)).Token.ID
	do(t, s, unscoped("erin", authz.KindWrite, 62))
	do(t, s, inventory.Approve{Organization: "acme", Token: ids[0]})
	do(t, s, inventory.Approve{Organization: "acme", Token: ids[1], Until: clock.Add(time.Minute)})
	do(t, s, inventory.Approve{Organization: "acme", Token: ids[2], Until: clock.Add(time.Hour)})
	do(t, s, inventory.Deny{Organization: "acme", Token: ids[3], Reason: "no"})
	do(t, s, inventory.RevokeToken{Organization: "acme", Token: ids[4]})
	do(t, s, inventory.SuspendToken{Organization: "acme", Token: ids[5]})
	do(t, s, inventory.SuspendToken{Organization: "acme", Token: ids[0]})
	do(t, s, inventory.RevokeToken{Organization: "acme", Token: write})
	do(t, s, inventory.DeleteToken{Token: ids[6]})
	*clock = clock.Add(2 * time.Minute)
}

func pagesHoldAllOnce(t *testing.T, o Open) {
	clock := time.Now()
	s := openWith(t, o, Options{Clock: func() time.Time { return clock }})
	mixed(t, s, &clock)
	ctx := context.Background()
	listings := map[string]func(p inventory.Page) ([]string, string, error){
		"organizations": func(p inventory.Page) ([]string, string, error) {
			rows, next, err := s.Organizations(ctx, p)
			return keys(rows, func(r inventory.OrganizationRow) string { return r.Name }), next, err
		},
		"members": func(p inventory.Page) ([]string, string, error) {
			rows, next, err := s.Members(ctx, "acme", p)
			return keys(rows, func(r inventory.MemberRow) string { return r.User + " " + r.Role }), next, err
		},
		"tokens": func(p inventory.Page) ([]string, string, error) {
			rows, next, err := s.Tokens(ctx, "acme", inventory.TokenFilter{Status: "all"}, p)
			return keys(rows, func(r inventory.TokenRow) string { return r.ID }), next, err
		},
		"all tokens": func(p inventory.Page) ([]string, string, error) {
			rows, next, err := s.Tokens(ctx, "", inventory.TokenFilter{}, p)
			return keys(rows, func(r inventory.TokenRow) string { return r.ID }), next, err
		},
		"open requests": func(p inventory.Page) ([]string, string, error) {
			rows, next, err := s.Approvals(ctx, "acme", "open", p)
			return keys(rows, func(r inventory.ApprovalRow) string { return r.ID }), next, err
		},
		"requests": func(p inventory.Page) ([]string, string, error) {
			rows, next, err := s.Approvals(ctx, "acme", "all", p)
			return keys(rows, func(r inventory.ApprovalRow) string { return r.ID }), next, err
		},
		"audit": func(p inventory.Page) ([]string, string, error) {
			rows, next, err := s.Audit(ctx, "", p)
			return keys(rows, func(r inventory.AuditRow) string { return fmt.Sprint(r.Seq) }), next, err
		},
		"an organization's audit": func(p inventory.Page) ([]string, string, error) {
			rows, next, err := s.Audit(ctx, "acme", p)
			return keys(rows, func(r inventory.AuditRow) string { return fmt.Sprint(r.Seq) }), next, err
		},
	}
	for name, list := range listings {
		whole := read(t, 1000, list)
		if len(whole) < 2 {
			t.Errorf("%s lists %d rows", name, len(whole))
		}
		if sorted := slices.Compact(slices.Sorted(slices.Values(whole))); len(sorted) != len(whole) {
			t.Errorf("%s lists a row twice", name)
		}
		for _, limit := range []int{1, 2, 3, 7} {
			if paged := read(t, limit, list); !slices.Equal(paged, whole) {
				t.Errorf("%s, %d a page: %v, and at once: %v", name, limit, paged, whole)
			}
		}
	}
}

func keys[T any](rows []T, key func(T) string) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = key(r)
	}
	return out
}

// filtersAreWhatTheySay holds each filter, which may have an index of its own,
// against the whole listing filtered here.
func filtersAreWhatTheySay(t *testing.T, o Open) {
	clock := time.Now()
	s := openWith(t, o, Options{Clock: func() time.Time { return clock }})
	mixed(t, s, &clock)
	found := map[string]int{}
	for _, policy := range []string{"require_administrator_approval", "allow_user_access_tokens"} {
		do(t, s, inventory.SetPolicy{Organization: "acme", TokenPolicy: policy})
		whole := tokens(t, s, "acme", inventory.TokenFilter{Status: "all"})
		for _, status := range []string{"", "none", "pending", "pending_frozen", "approved", "approval_ended", "denied", "suspended", "revoked"} {
			for _, kind := range []string{"", authz.KindRead, authz.KindFineGrained} {
				for _, owner := range []string{"", "bob", "CAROL", "nobody"} {
					f := inventory.TokenFilter{Status: status, Kind: kind, Owner: owner}
					want := whole[:0:0]
					for _, row := range whole {
						is := row.Authorization.Status
						if (status == is || status == "" && is != "revoked") && (kind == "" || kind == row.Kind) && (owner == "" || inventory.Fold(owner) == row.Owner) {
							want = append(want, row)
						}
					}
					got := tokens(t, s, "acme", f)
					id := func(r inventory.TokenRow) string { return r.ID }
					if !slices.Equal(keys(got, id), keys(want, id)) {
						t.Errorf("%+v under %s: %d rows; want %d", f, policy, len(got), len(want))
					}
					found[status] += len(got)
				}
			}
		}
	}
	for status, n := range found {
		if n == 0 {
			t.Errorf("no token is %q: the test says nothing about it", status)
		}
	}
	for query, want := range map[string]int{"TOKEN 1": 5, "%_": 13, "nothing": 0, `\`: 0} {
		if got := len(tokens(t, s, "acme", inventory.TokenFilter{Query: query, Status: "all"})); got != want {
			t.Errorf("%q is part of %d names; want %d", query, got, want)
		}
	}
}

// anOrganizationListsWhatConcernsIt holds the listing against its definition:
// grants that reach the organization, a decision of it, or an unscoped token of
// a present member.
func anOrganizationListsWhatConcernsIt(t *testing.T, o Open) {
	clock := time.Now()
	s := openWith(t, o, Options{Clock: func() time.Time { return clock }})
	mixed(t, s, &clock)
	check := func(when string) {
		t.Helper()
		r, _, err := load(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, org := range r.Organizations {
			if org.Type == authz.TypeUser {
				continue
			}
			var want []string
			for _, token := range r.Tokens {
				if concerns(r, org.ID, token) {
					want = append(want, token.ID)
				}
			}
			slices.Sort(want)
			slices.Reverse(want)
			if got := keys(tokens(t, s, org.Name, inventory.TokenFilter{Status: "all"}), func(r inventory.TokenRow) string { return r.ID }); !slices.Equal(got, want) {
				t.Errorf("%s: %s lists %d tokens; want %d", when, org.Name, len(got), len(want))
			}
		}
	}
	check("at first")
	do(t, s, inventory.AddMember{Organization: "beta", User: "bob", Role: "read"})
	check("a member with unscoped tokens came")
	do(t, s, inventory.AddMember{Organization: "beta", User: "bob", Role: "admin"})
	check("the role changed")
	do(t, s, inventory.RemoveMember{Organization: "beta", User: "erin"})
	check("a member with unscoped tokens left")
	do(t, s, inventory.RemoveMember{Organization: "acme", User: "carol"})
	check("a member whose token was revoked left")
	do(t, s, inventory.ImportTokens{Tokens: []inventory.ImportToken{
		{Digest: authz.Digest{60}, Owner: "bob", DisplayName: "now fine-grained", Kind: authz.KindFineGrained, Grants: acmeGrant},
		{Digest: authz.Digest{30 + 1}, Owner: "bob", DisplayName: "now read", Kind: authz.KindRead},
	}})
	check("kinds changed")
	do(t, s, inventory.AddMember{Organization: "beta", User: "erin", Role: "write"})
	check("a member came back")
}

func concerns(r *inventory.Records, organizationID string, token *inventory.Token) bool {
	if len(token.On(organizationID)) > 0 {
		return true
	}
	for _, a := range r.Authorizations {
		if a.TokenID == token.ID && a.OrganizationID == organizationID {
			return true
		}
	}
	for _, p := range r.Periods {
		if token.Kind != authz.KindFineGrained && p.OrganizationID == organizationID && p.UserID == token.OwnerID && p.Until.IsZero() {
			return true
		}
	}
	return false
}
