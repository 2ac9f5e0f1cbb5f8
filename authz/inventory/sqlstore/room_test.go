package sqlstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// TestAFullDiskChangesNothingAndSaysSo: what does not fit is not there, neither
// a part of it, and goes well once there is room.
func TestAFullDiskChangesNothingAndSaysSo(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		acme(t, s)
		var room func() error
		if d.Postgres == "" {
			if room, err = sqlstore.NoRoom(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		} else {
			// The server itself says what it says when a file cannot grow.
			if _, err := d.raw.Exec(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
				$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`); err != nil {
				t.Fatal(err)
			}
			if _, err := d.raw.Exec(`CREATE TRIGGER full_disk BEFORE INSERT ON audit EXECUTE FUNCTION full_disk()`); err != nil {
				t.Fatal(err)
			}
			room = func() error { _, err := d.raw.Exec(`DROP TRIGGER full_disk ON audit`); return err }
		}
		before := whole(t, d)
		list := inventory.ImportTokens{}
		for i := range 2000 { // more than free pages may hold
			in := sample(2 * i)
			in.Owner = "bob"
			list.Tokens = append(list.Tokens, in)
		}
		var full *inventory.Full
		if _, err := s.Do(t.Context(), operator, list); !errors.As(err, &full) || !strings.Contains(full.Error(), "is full") {
			t.Fatalf("a full disk: %v", err)
		}
		if after := whole(t, d); after != before {
			t.Errorf("something was changed: %s, was %s", after, before)
		}
		if _, _, err := s.Tokens(t.Context(), "acme", inventory.TokenFilter{}, inventory.Page{}); err != nil {
			t.Errorf("reading: %v", err)
		}
		if err := room(); err != nil {
			t.Fatal(err)
		}
		do(t, s, list)
	})
}

// whole is how many rows each table of the inventory has, and the change number.
func whole(t *testing.T, d *database) (text string) {
	t.Helper()
	if err := d.raw.QueryRow(`SELECT (SELECT count(*) FROM tokens) || ' tokens, ' || (SELECT count(*) FROM requests) || ' requests, ' ||
		(SELECT count(*) FROM audit) || ' entries, ' || (SELECT count(*) FROM outbox) || ' events, change ' || (SELECT change FROM counter)`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}
