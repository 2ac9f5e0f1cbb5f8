package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

func badInputChangesNothing(t *testing.T, o Open) {
	s := open(t, o)
	token := acme(t, s)
	other := acmeGrant[0]
	other.Permissions = []string{"org.write"}
	for name, c := range map[string]struct {
		command inventory.Command
		field   string
	}{
		"a name with a space":    {inventory.CreateOrganization{Name: "a b"}, "name"},
		"a reserved name":        {inventory.CreateOrganization{Name: "api"}, "name"},
		"an unknown policy":      {inventory.CreateOrganization{Name: "x", TokenPolicy: "nonsense"}, "token_policy"},
		"an unknown enforcement": {inventory.SetPolicy{Organization: "acme", Enforcement: "maybe"}, "enforcement"},
		"a date in the past":     {inventory.SetPolicy{Organization: "acme", TokenPolicy: "allow_user_access_tokens", EnforceAt: time.Now().Add(-time.Hour)}, "enforce_at"},
		"a date too far ahead":   {inventory.SetPolicy{Organization: "acme", TokenPolicy: "allow_user_access_tokens", EnforceAt: time.Now().Add(91 * 24 * time.Hour)}, "enforce_at"},
		"an unknown role":        {inventory.AddMember{Organization: "acme", User: "x", Role: "king"}, "role"},
		"an unknown kind":        {inventory.IssueToken{Owner: "bob", DisplayName: "x", Kind: "magic", Digest: authz.Digest{9}}, "kind"},
		"grants of a read token": {inventory.IssueToken{Owner: "bob", DisplayName: "x", Kind: "read", Grants: acmeGrant, Digest: authz.Digest{9}}, "grants"},
		"an unknown owner":       {issue("nobody", 9), "owner"},
		"approving beyond":       {inventory.Approve{Organization: "acme", Token: token.ID, Grants: []authz.Grant{other}}, "grants"},
		"an end in the past":     {inventory.Approve{Organization: "acme", Token: token.ID, Until: time.Now().Add(-time.Hour)}, "until"},
		"a bad line of many":     {inventory.ImportTokens{Tokens: []inventory.ImportToken{{Digest: authz.Digest{8}, Owner: "bob", DisplayName: "x", Kind: "read"}, {Digest: authz.Digest{9}, Owner: "bob", DisplayName: "x", Kind: "?"}}}, "tokens[1].kind"},
	} {
		t.Run(name, func(t *testing.T) {
			before := change(t, s)
			_, err := s.Do(context.Background(), operator, c.command)
			var invalid *inventory.Invalid
			if !errors.As(err, &invalid) || invalid.Field != c.field {
				t.Errorf("got %v; want a problem of %s", err, c.field)
			}
			if change(t, s) != before {
				t.Error("something was written")
			}
		})
	}
}

// textThatIsNoText asks with bytes that one database would take and another not.
func textThatIsNoText(t *testing.T, o Open) {
	s := open(t, o)
	token := acme(t, s)
	ctx := context.Background()
	for _, bad := range []string{"\xff", "a\x00b", string(make([]byte, 3)), "\xed\xa0\x80"} {
		_, orgErr := s.Organization(ctx, bad)
		_, tokenErr := s.Token(ctx, "acme", bad)
		_, _, tokensErr := s.Tokens(ctx, "acme", inventory.TokenFilter{Query: bad}, inventory.Page{})
		_, _, ownerErr := s.Tokens(ctx, "acme", inventory.TokenFilter{Owner: bad}, inventory.Page{})
		_, _, cursorErr := s.Tokens(ctx, "acme", inventory.TokenFilter{}, inventory.Page{Cursor: bad})
		_, _, membersErr := s.Members(ctx, "acme", inventory.Page{Cursor: bad})
		_, _, foundErr := s.FindMembers(ctx, "acme", inventory.MemberFilter{Query: bad}, inventory.Page{})
		_, _, auditErr := s.FindAudit(ctx, "acme", inventory.AuditFilter{User: bad}, inventory.Page{})
		_, doErr := s.Do(ctx, operator, inventory.RevokeToken{Organization: "acme", Token: bad})
		_, textErr := s.Do(ctx, operator, inventory.RevokeToken{Organization: "acme", Token: token.ID, Comment: bad})
		_, emailErr := s.Do(ctx, operator, inventory.AddMember{Organization: "acme", User: "dave", Role: "read", Email: "d@example.com" + bad})
		for what, err := range map[string]error{
			"organization": orgErr, "token": tokenErr, "query": tokensErr, "owner": ownerErr, "cursor": cursorErr, "members": membersErr, "members' query": foundErr, "audit": auditErr,
			"command": doErr, "comment": textErr, "email": emailErr,
		} {
			var missing *inventory.NotFound
			var invalid *inventory.Invalid
			if err == nil && what == "owner" {
				continue // nobody's tokens are none
			}
			if !errors.As(err, &missing) && !errors.As(err, &invalid) {
				t.Errorf("%s %q: %v", what, bad, err)
			}
		}
	}
	if got := status(t, s, token.ID); got != "pending" {
		t.Errorf("the token is %s", got)
	}
}

func anotherKeyIsRefused(t *testing.T, o Open) {
	s := open(t, o)
	do(t, s, inventory.CreateOrganization{Name: "acme"})
	if other, err := o(Options{KeyCheck: "another", Policies: policies{}}); err == nil {
		_ = other.Close()
		t.Fatal("another digest key was taken")
	}
	again := open(t, o)
	if _, err := again.Organization(context.Background(), "acme"); err != nil {
		t.Error(err)
	}
}
