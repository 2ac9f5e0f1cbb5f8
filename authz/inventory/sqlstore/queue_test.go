package sqlstore_test

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// TestImportsThatWaitForTheirTurn: each does what it would do alone, whatever those
// do that were written with it.
func TestImportsThatWaitForTheirTurn(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		var mu sync.Mutex
		var told [][2]int64
		records := map[string]int{} // how often a token was handed over
		d.Imported = func(first, last int64, r *inventory.Records) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, [2]int64{first, last})
			for _, token := range r.Tokens {
				records[token.ID]++
			}
		}
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		acme(t, s)
		count := func(query string) (n int) {
			t.Helper()
			if err := d.raw.QueryRow(query).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		begin, end := "BEGIN IMMEDIATE", "ROLLBACK"
		if d.Postgres != "" { // the key is that of "patrol"
			begin, end = "SELECT pg_advisory_lock(123563867795308)", "SELECT pg_advisory_unlock(123563867795308)"
		}

		lists := make([]inventory.ImportTokens, 6)
		for i := range lists {
			lists[i] = largeImport(i)
		}
		lists[2].Tokens[5] = lists[1].Tokens[7]                                     // the same twice: described alike
		lists[4].Tokens[9].Digest = lists[3].Tokens[3].Digest                       // described in two ways
		lists[5].Tokens[1] = lists[0].Tokens[1]                                     // it belongs to bob,
		lists[5].Tokens[1].Owner, lists[5].Tokens[1].Kind = "alice", authz.KindRead // and is refused
		lists[5].Tokens[1].Grants = nil

		turn, err := d.raw.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer turn.Close()
		var foreseen sync.WaitGroup
		foreseen.Add(len(lists))
		sqlstore.Foresaw(s, func(ok bool) {
			if !ok {
				t.Error("an import was not foreseen")
			}
			foreseen.Done()
		})
		tokens := count("SELECT count(*) FROM tokens")
		changes := count("SELECT change FROM counter")
		audited := count("SELECT count(*) FROM audit WHERE action = 'token.import'")
		if _, err := turn.ExecContext(t.Context(), begin); err != nil {
			t.Fatal(err)
		}
		errs := make([]error, len(lists))
		var done sync.WaitGroup
		for i := range lists {
			done.Go(func() { _, errs[i] = s.Do(t.Context(), operator, lists[i]) })
			time.Sleep(20 * time.Millisecond) // they wait in this order
		}
		foreseen.Wait()
		time.Sleep(200 * time.Millisecond)
		if _, err := turn.ExecContext(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		done.Wait()
		for i, err := range errs[:5] {
			if err != nil {
				t.Errorf("import %d: %v", i, err)
			}
		}
		var wrong inventory.InvalidList
		if !errors.As(errs[5], &wrong) || !strings.Contains(errs[5].Error(), "tokens[1].owner") {
			t.Errorf("one of somebody else's tokens: %v", errs[5])
		}
		if n := count("SELECT count(*) FROM tokens") - tokens; n != 5*large-2 {
			t.Errorf("%d more tokens", n)
		}
		if n := count("SELECT count(*) FROM (SELECT digest FROM tokens GROUP BY digest HAVING count(*) > 1) twice"); n != 0 {
			t.Errorf("%d digests are those of two tokens", n)
		}
		if n := count("SELECT change FROM counter") - changes; n != 5 {
			t.Errorf("%d changes for five imports", n)
		}
		if n := count("SELECT count(*) FROM audit WHERE action = 'token.import'") - audited; n != 5 {
			t.Errorf("%d imports are audited", n)
		}
		// What is handed over follows on, and is all that was written.
		slices.SortFunc(told, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
		last := int64(changes)
		for _, one := range told {
			if one[0] != last+1 || one[1] < one[0] {
				t.Errorf("handed over were %v", told)
			}
			last = one[1]
		}
		if last != int64(changes)+5 || len(records) != 5*large-2 {
			t.Errorf("%d tokens of the changes up to %d were handed over", len(records), last)
		}
		if d.Postgres == "" && len(told) > 4 {
			t.Errorf("they were not written together: %v", told)
		}
	})
}

// TestWhoTakesInImportsHarmsNobody: who panics is left to the change log, and who hangs
// is waited for a little.
func TestWhoTakesInImportsHarmsNobody(t *testing.T) {
	onSQLite(t, func(t *testing.T, d *database) {
		var calls int
		hang := make(chan struct{})
		d.Imported = func(int64, int64, *inventory.Records) {
			if calls++; calls == 1 {
				panic("taken in wrongly")
			}
			<-hang
		}
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		acme(t, s)
		do(t, s, largeImport(0))
		done := make(chan error, 1)
		go func() { _, err := s.Do(t.Context(), operator, largeImport(1)); done <- err }()
		for begun := false; !begun; time.Sleep(time.Millisecond) {
			if err := d.raw.QueryRow("SELECT count(*) >= ? FROM tokens", 2*large).Scan(&begun); err != nil {
				t.Fatal(err)
			}
		}
		s.Settle(t.Context())
		select {
		case err := <-done:
			t.Errorf("it was acknowledged before it was taken in: %v", err)
		default:
		}
		close(hang)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestNoTwoTokensHaveOneDigest: digests that begin alike are two, and one that is there
// is no other token's.
func TestNoTwoTokensHaveOneDigest(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		acme(t, s)
		ids := map[authz.Digest]string{}
		alike := func(end byte) (out authz.Digest) {
			copy(out[:], "begins alike")
			out[31] = end
			return out
		}
		found := func(end byte, id string) {
			t.Helper()
			row, former, err := s.FindToken(t.Context(), alike(end))
			if err != nil || row.ID != id || former {
				t.Errorf("the token of the digest that ends with %d: %+v, %v", end, row, err)
			}
		}
		for end := range byte(3) {
			in := issue("bob", 0)
			in.Digest = alike(end)
			ids[in.Digest] = do(t, s, in).Token.ID
		}
		list := inventory.ImportTokens{}
		for end := range byte(6) { // half of them are there
			list.Tokens = append(list.Tokens, inventory.ImportToken{Digest: alike(end), Owner: "bob", DisplayName: "imported", Kind: authz.KindRead})
		}
		for range 2 {
			do(t, s, list)
			var n int
			if err := d.raw.QueryRow("SELECT count(*) FROM tokens WHERE display_name = 'imported'").Scan(&n); err != nil || n != 6 {
				t.Errorf("%d tokens, %v", n, err)
			}
		}
		for digest, id := range ids {
			found(digest[31], id)
		}
		var invalid *inventory.Invalid
		in := issue("bob", 0)
		in.Digest = alike(4)
		if _, err := s.Do(t.Context(), operator, in); !errors.As(err, &invalid) || invalid.Field != "digest" {
			t.Errorf("a digest that is there is issued: %v", err)
		}
		first := ids[alike(0)]
		if _, err := s.Do(t.Context(), operator, inventory.RotateToken{Token: first, Digest: alike(5), Last4: "abcd"}); !errors.As(err, &invalid) {
			t.Errorf("a secret becomes that of another token: %v", err)
		}
		do(t, s, inventory.RotateToken{Token: first, Digest: alike(9), Last4: "abcd"})
		found(9, first)
		if row, former, err := s.FindToken(t.Context(), alike(0)); err != nil || row.ID != first || !former {
			t.Errorf("the former secret: %+v, %t, %v", row, former, err)
		}
		list.Tokens = list.Tokens[:1]
		var wrong inventory.InvalidList
		if _, err := s.Do(t.Context(), operator, list); !errors.As(err, &wrong) {
			t.Errorf("a former secret is imported: %v", err)
		}
	})
}

// TestAnotherProcessHasItsTurnWhileTokensAreImported: it is not kept waiting until
// no import is left.
func TestAnotherProcessHasItsTurnWhileTokensAreImported(t *testing.T) {
	onSQLite(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		acme(t, s)
		sqlstore.KeepTheTurn(s, 0)
		const imports, atOnce = 24, 6
		var left atomic.Int64
		left.Store(imports)
		begun := make(chan struct{})
		var once sync.Once
		var done sync.WaitGroup
		for begin := range atOnce {
			done.Go(func() {
				for i := begin; i < imports; i += atOnce {
					if _, err := s.Do(t.Context(), operator, largeImport(i)); err != nil {
						t.Error(err)
					}
					left.Add(-1)
					once.Do(func() { close(begun) })
				}
			})
		}
		<-begun
		other, err := d.raw.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		for _, statement := range []string{"PRAGMA busy_timeout=10000", "BEGIN IMMEDIATE", "ROLLBACK"} {
			if _, err := other.ExecContext(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		if n := left.Load(); n < imports/4 {
			t.Errorf("another process had its turn when %d imports of %d were left", n, imports)
		}
		done.Wait()
	})
}
