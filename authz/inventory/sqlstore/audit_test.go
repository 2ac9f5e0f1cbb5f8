package sqlstore_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
)

var signingKey = ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))

// unguarded drops what keeps the audit append-only, as whoever holds the database can.
func (d *database) unguarded(t *testing.T) {
	t.Helper()
	drop := `DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; DROP TRIGGER audit_no_replace`
	if d.Postgres != "" {
		drop = `DROP TRIGGER audit_no_change ON audit; DROP TRIGGER audit_no_truncate ON audit`
	}
	if _, err := d.raw.Exec(drop); err != nil {
		t.Fatal(err)
	}
}

func TestTheDatabaseKeepsTheAuditAppendOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		acme(t, s)
		dump := func() (text string) {
			t.Helper()
			rows, err := d.raw.Query(`SELECT seq, action, details, hash FROM audit ORDER BY seq`)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var seq int64
				var action, details, hash string
				if err := rows.Scan(&seq, &action, &details, &hash); err != nil {
					t.Fatal(err)
				}
				text += fmt.Sprintln(seq, action, details, hash)
			}
			if err := rows.Err(); err != nil || text == "" {
				t.Fatalf("%q, %v", text, err)
			}
			return text
		}
		before := dump()
		attempts := []string{
			`UPDATE audit SET actor_name = 'nobody' WHERE seq = 2`,
			`UPDATE audit SET seq = 100 WHERE seq = 2`,
			`DELETE FROM audit WHERE seq = 2`,
			`DELETE FROM audit`,
		}
		const entry = `INTO audit (seq, time, actor_kind, actor_name, action, organization_id, token_id, details, hash) VALUES (2, 0, '', '', 'nothing', '', '', '{}', '')`
		if d.Postgres != "" {
			attempts = append(attempts, `TRUNCATE audit`, `INSERT `+entry+` ON CONFLICT (seq) DO UPDATE SET action = excluded.action`)
		} else {
			attempts = append(attempts, `REPLACE `+entry, `INSERT `+entry+` ON CONFLICT (seq) DO UPDATE SET action = excluded.action`)
		}
		for _, attempt := range attempts {
			if _, err := d.raw.Exec(attempt); err == nil || !strings.Contains(err.Error(), "the audit log is append-only") {
				t.Errorf("%s: %v", attempt, err)
			}
		}
		if after := dump(); after != before {
			t.Errorf("the audit was\n%sand is\n%s", before, after)
		}
		do(t, s, inventory.CreateOrganization{Name: "more"})
		if r, err := s.VerifyAudit(context.Background(), nil); err != nil || len(r.Problems) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestWhatIsDoneToTheAuditIsFound changes the tables behind the store's back.
func TestWhatIsDoneToTheAuditIsFound(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx := context.Background()
		token := acme(t, s)
		for i := range 6 {
			do(t, s, inventory.SuspendToken{Organization: "acme", Token: token.ID, Comment: fmt.Sprint(i)})
			do(t, s, inventory.ResumeToken{Organization: "acme", Token: token.ID})
		}
		head, fresh, err := s.SignHead(ctx, signingKey)
		if err != nil || !fresh || head.Seq != 16 {
			t.Fatalf("signed %+v, %v", head, err)
		}
		if again, fresh, err := s.SignHead(ctx, signingKey); err != nil || fresh || *again != *head {
			t.Errorf("signed again: %+v, %v, %v", again, fresh, err)
		}
		verify := func() (found []string) {
			t.Helper()
			r, err := s.VerifyAudit(ctx, []auditlog.Head{*head}, auditlog.PublicKey(signingKey))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range r.Problems {
				found = append(found, fmt.Sprintf("%s %d", p.Kind, p.Seq))
			}
			return slices.Compact(found)
		}
		if found := verify(); len(found) > 0 {
			t.Fatalf("untouched: %v", found)
		}
		d.unguarded(t)
		for _, c := range []struct {
			forge, undo string
			want        []string
		}{
			{`UPDATE audit SET actor_name = 'uid:1' WHERE seq = 5`, `UPDATE audit SET actor_name = 'uid:0' WHERE seq = 5`, []string{"changed 5"}},
			{`UPDATE audit SET action = 'token.resume' WHERE seq = 7`, `UPDATE audit SET action = 'token.suspend' WHERE seq = 7`, []string{"changed 7"}},
			{`UPDATE audit SET seq = 100 WHERE seq = 8`, `UPDATE audit SET seq = 8 WHERE seq = 100`, []string{"removed 8", "removed 17", "changed 17"}},
			{
				`UPDATE audit SET seq = CASE seq WHEN -5 THEN 6 ELSE -5 END WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = 6; UPDATE audit SET seq = 6 WHERE seq = -5`,
				`UPDATE audit SET seq = -5 WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = 6; UPDATE audit SET seq = 6 WHERE seq = -5`,
				[]string{"moved 5", "moved 6"},
			},
			{`DELETE FROM audit WHERE seq > 14`, ``, []string{"cut_off 15"}},
			{`UPDATE counter SET audit_seq = 14, audit_head = (SELECT hash FROM audit WHERE seq = 14); DELETE FROM audit_heads`, ``, []string{"cut_off 15"}},
		} {
			if _, err := d.raw.Exec(c.forge); err != nil {
				t.Fatalf("%s: %v", c.forge, err)
			}
			if found := verify(); !slices.Equal(found, c.want) {
				t.Errorf("%s: found %v; want %v", c.forge, found, c.want)
			}
			if _, err := d.raw.Exec(c.undo); err != nil {
				t.Fatal(err)
			}
		}
		// The log goes on from where it was cut, and the head that was kept tells.
		do(t, s, inventory.CreateOrganization{Name: "more"})
		do(t, s, inventory.CreateOrganization{Name: "evenmore"})
		if found := verify(); !slices.Equal(found, []string{"rewritten 16"}) {
			t.Errorf("gone on: %v", found)
		}
	})
}

// TestAnAuditOfBeforeTheChainIsChained goes back to the schema without a chain.
func TestAnAuditOfBeforeTheChainIsChained(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx := context.Background()
		acme(t, s)
		newest := int64(d.version(t))
		for _, version := range []int64{1, newest} {
			if err := s.MigrateTo(ctx, version); err != nil {
				t.Fatal(err)
			}
		}
		do(t, s, inventory.CreateOrganization{Name: "more"})
		if r, err := s.VerifyAudit(ctx, nil); err != nil || len(r.Problems) > 0 || r.Entries != 5 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
