package sqlstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// large is how many tokens make an import that is foreseen.
const large = 1000

// largeImport brings bob's tokens on acme, others for each number.
func largeImport(number int) (list inventory.ImportTokens) {
	for i := range large {
		in := sample(2 * (1_000_000 + number*large + i)) // on acme
		in.Owner = "bob"
		list.Tokens = append(list.Tokens, in)
	}
	return list
}

// TestAnImportIsWhatItIsInItsTurn: whatever was written after an import was
// foreseen and before its turn to write, it does what it does had it begun then.
func TestAnImportIsWhatItIsInItsTurn(t *testing.T) {
	policy := func(name string) inventory.Command {
		return inventory.SetPolicy{Organization: "acme", TokenPolicy: name}
	}
	alone := func(in inventory.ImportToken) inventory.Command {
		return inventory.ImportTokens{Tokens: []inventory.ImportToken{in}}
	}
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		token := acme(t, s).ID
		for number, c := range []struct {
			name             string
			meanwhile        func(list []inventory.ImportToken) []inventory.Command
			tokens, requests int    // that there are more of then
			refused          string // or what the error says
		}{
			{"nothing", func([]inventory.ImportToken) []inventory.Command { return nil }, large, large, ""},
			{"other tokens", func([]inventory.ImportToken) []inventory.Command { return []inventory.Command{largeImport(100)} }, 2 * large, 2 * large, ""},
			{"a decision on another token", func([]inventory.ImportToken) []inventory.Command {
				return []inventory.Command{inventory.Approve{Organization: "acme", Token: token}}
			}, large, large, ""},
			{"one of its tokens", func(list []inventory.ImportToken) []inventory.Command {
				one := list[3]
				one.DisplayName = "another name"
				return []inventory.Command{alone(one)}
			}, large, large, ""},
			{"one of its tokens, by another name of its owner", func(list []inventory.ImportToken) []inventory.Command {
				one := list[3]
				one.Owner, one.Kind, one.Grants = "alice", authz.KindRead, nil
				return []inventory.Command{alone(one)}
			}, 1, 0, "tokens[3].owner"},
			{"a secret of its own that was rotated away", func(list []inventory.ImportToken) []inventory.Command {
				return []inventory.Command{
					inventory.RotateToken{Token: token, Digest: list[7].Digest, Last4: "abcd"},
					inventory.RotateToken{Token: token, Digest: authz.Digest{200}, Last4: "abcd"},
				}
			}, 0, 0, "tokens[7].sha256"},
			{"a policy that asks for no approval", func([]inventory.ImportToken) []inventory.Command {
				return []inventory.Command{policy("allow_user_access_tokens")}
			}, large, 0, ""},
			{"a policy that does", func([]inventory.ImportToken) []inventory.Command {
				return []inventory.Command{policy("require_administrator_approval")}
			}, large, large, ""},
			{"their owner left", func([]inventory.ImportToken) []inventory.Command {
				return []inventory.Command{inventory.RemoveMember{Organization: "acme", User: "bob"}}
			}, large, 0, ""},
			{"the organization is gone", func([]inventory.ImportToken) []inventory.Command {
				return []inventory.Command{inventory.RemoveMember{Organization: "acme", User: "alice"}, inventory.DeleteOrganization{Organization: "acme"}}
			}, 0, 0, `the organization or user "acme" does not exist`},
		} {
			count := func(table string) (n int) {
				t.Helper()
				if err := d.raw.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			list, foreseen := largeImport(number), false
			tokens, requests := count("tokens"), count("requests")
			sqlstore.Foresaw(s, func(ok bool) {
				foreseen = ok
				sqlstore.Foresaw(s, nil)
				for _, other := range c.meanwhile(list.Tokens) {
					do(t, s, other)
				}
			})
			_, err := s.Do(t.Context(), operator, list)
			var wrong inventory.InvalidList
			if c.refused == "" && err != nil || c.refused != "" && (!errors.As(err, &wrong) || !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("%s: %v", c.name, err)
			}
			if !foreseen {
				t.Errorf("%s: the import was not foreseen", c.name)
			}
			if tokens, requests = count("tokens")-tokens, count("requests")-requests; tokens != c.tokens || requests != c.requests {
				t.Errorf("%s: %d more tokens and %d more requests, not %d and %d", c.name, tokens, requests, c.tokens, c.requests)
			}
		}
		// What is there is for the turn to say.
		list := largeImport(0)
		list.Tokens[0].DisplayName = "described anew"
		foreseen := false
		sqlstore.Foresaw(s, func(ok bool) { foreseen = ok })
		if _, err := s.Do(t.Context(), operator, list); err == nil || foreseen {
			t.Errorf("tokens that are there, on an organization that is gone: foreseen %t, %v", foreseen, err)
		}
	})
}
