package sqlstore_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// TestWhatACommandWritesIsWrittenTogether breaks commands off at random moments
// and counts rows, audit entries, events and changes.
func TestWhatACommandWritesIsWrittenTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		acme(t, s)
		began := time.Now()
		do(t, s, issue("bob", 2))
		usual := time.Since(began)
		for i := range 80 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.Int64N(int64(2*usual))))
			_, _ = s.Do(ctx, operator, inventory.IssueToken{
				Owner: "bob", DisplayName: "t", Kind: authz.KindFineGrained, Grants: acmeGrant, Digest: authz.Digest{20, byte(i)},
			})
			cancel()
		}
		count := func(query string) (n int) {
			t.Helper()
			if err := d.raw.QueryRow("SELECT count(*) FROM " + query).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		tokens := count("tokens")
		t.Logf("%d of 80 were not broken off", tokens-2)
		for _, query := range []string{
			"audit WHERE action = 'token.issue'", "requests", "outbox WHERE kind = 'approval_requested'", "token_namespaces",
			"changes WHERE kind = 'tokens'", "changes WHERE kind = 'request'",
		} {
			if n := count(query); n != tokens {
				t.Errorf("%s: %d, and %d tokens", query, n, tokens)
			}
		}
	})
}
