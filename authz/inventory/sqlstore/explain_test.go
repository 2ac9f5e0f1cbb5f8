package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// TestNoPageReadsAWholeTable asks each database how it would carry the listings'
// own queries out: by an index, in its order, and not by reading a table or
// sorting what it found.
func TestNoPageReadsAWholeTable(t *testing.T) {
	onBoth(t, func(t *testing.T, d *database) {
		s, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		token := acme(t, s)
		// Some rows, so that the planner has something to plan for.
		list := make([]inventory.ImportToken, 3000)
		for i := range list {
			list[i] = sample(2 * i)
		}
		for i := range 500 {
			do(t, s, inventory.AddMember{Organization: "acme", User: fmt.Sprintf("user-%d", i), Role: "read"})
		}
		do(t, s, inventory.ImportTokens{Tokens: list})
		do(t, s, inventory.SuspendToken{Organization: "acme", Token: token.ID})
		if _, err := d.raw.Exec("ANALYZE"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if s, err = d.open(); err != nil { // plans are made anew
			t.Fatal(err)
		}
		asked := sqlstore.Asked(s)
		ctx := context.Background()
		page := inventory.Page{Limit: 10, Cursor: token.ID[:8] + "ffff"}
		first := inventory.Page{Limit: 10}
		for _, f := range []inventory.TokenFilter{
			{},
			{Status: "all"},
			{Status: "none"},
			{Status: "pending"},
			{Status: "approved"},
			{Status: "denied"},
			{Status: "suspended"},
			{Status: "revoked"},
			{Kind: authz.KindRead},
			{Owner: "user-4"},
			{Query: "12"},
		} {
			for _, organization := range []string{"", "acme"} {
				if _, _, err := s.Tokens(ctx, organization, f, page); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, f := range []inventory.TokenFilter{{Owner: "user-4"}, {Finding: "f"}, {Status: "suspended"}} {
			for _, f.Sort = range []string{"last_used", "-severity"} { // what is chosen is sorted
				if _, _, err := s.Tokens(ctx, "acme", f, first); err != nil {
					t.Fatal(err)
				}
			}
		}
		sqlstore.SortUpTo(s, 0) // of many tokens, each order is walked
		for _, sort := range []string{"name", "-name", "owner", "-owner", "created", "-created", "last_used", "-last_used", "severity", "-severity"} {
			for cursor, n := "", 0; n < 2; n++ {
				_, next, err := s.Tokens(ctx, "acme", inventory.TokenFilter{Sort: sort}, inventory.Page{Limit: 10, Cursor: cursor})
				if err != nil || next == "" {
					t.Fatal(next, err)
				}
				cursor = next
			}
		}
		if _, _, err := s.FindApprovals(ctx, "acme", inventory.ApprovalFilter{Status: "open", Sort: "risk"}, inventory.Page{Limit: 10}); err != nil {
			t.Fatal(err)
		}
		for _, status := range []string{"open", "all"} {
			if _, _, err := s.Approvals(ctx, "acme", status, inventory.Page{Limit: 10}); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range []inventory.ApprovalFilter{{Owner: "user-4"}, {Status: "open", Assignee: "bob"}, {Status: "open", Owner: "user-4", Sort: "risk"}} {
			if _, _, err := s.FindApprovals(ctx, "acme", f, inventory.Page{Limit: 10}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := s.Discovered(ctx, "acme", inventory.Page{Limit: 10}); err != nil {
			t.Fatal(err)
		}
		for _, f := range []hygiene.Filter{{}, {Finding: "f"}, {Severity: "high"}} {
			if _, _, err := s.Findings(ctx, "acme", f, inventory.Page{Limit: 10}); err != nil {
				t.Fatal(err)
			}
		}
		for _, organization := range []string{"", "acme"} {
			if _, _, err := s.Audit(ctx, organization, inventory.Page{Limit: 10}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Reach(ctx, []string{token.ID}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Members(ctx, "acme", inventory.Page{Limit: 10}); err != nil {
			t.Fatal(err)
		}
		for _, f := range []inventory.AuditFilter{{Actor: "alice"}, {Action: "token"}, {Token: token.ID}, {User: "bob", Since: time.Now()}, {Token: token.ID, Until: time.Now()}} {
			for _, organization := range []string{"", "acme"} {
				if _, _, err := s.FindAudit(ctx, organization, f, inventory.Page{Limit: 10}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, f := range []inventory.MemberFilter{{Role: "read"}, {Type: "user", Query: "1"}, {Address: inventory.AddressNone}} {
			if _, _, err := s.FindMembers(ctx, "acme", f, inventory.Page{Limit: 10}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, gap, err := s.Changes(ctx, 0); err != nil || gap {
			t.Fatal(gap, err)
		}
		queries := asked()
		if len(queries) < 20 {
			t.Fatalf("only %d queries were asked", len(queries))
		}
		for query, args := range queries {
			if whole := readsAll(t, d, query, args); whole != "" {
				t.Errorf("%s\n%s", query, whole)
			}
			goesBy(t, d, query, args)
		}
	})
}

// goesBy holds a question about some of an organization's open requests to the
// index of these.
func goesBy(t *testing.T, d *database, query string, args []any) {
	t.Helper()
	index, explain := "requests_owner", "EXPLAIN "
	switch {
	case !slices.Contains(args, any(authz.RequestOpen)) || !strings.Contains(query, "requests q"):
		return
	case strings.Contains(query, "q.owner_id = $"):
	case strings.Contains(query, "q.assignee = $"):
		index = "requests_assignee"
	default:
		return
	}
	if d.Postgres == "" {
		explain = "EXPLAIN QUERY PLAN "
	}
	if lines := strings.Join(plan(t, d.raw, explain+query, args), "\n"); !strings.Contains(lines, index) {
		t.Errorf("%s\ndoes not go by %s:\n%s", query, index, lines)
	}
}

// big are the tables that grow with tokens and with time.
var big = regexp.MustCompile(`(?i)\b(tokens|token_namespaces|authorizations|requests|audit|findings|discovered)\b`)

// readsAll returns the part of a plan that reads a big table without an index,
// or sorts; empty where none does.
func readsAll(t *testing.T, d *database, query string, args []any) string {
	t.Helper()
	// What belongs to a page's tokens is bounded, and may be sorted; so may the few
	// that a filter chooses, by what another table says of them.
	ordered := strings.Contains(query, " LIMIT ") && !strings.Contains(query, "ORDER BY (SELECT coalesce(max(")
	if d.Postgres == "" {
		for _, line := range plan(t, d.raw, "EXPLAIN QUERY PLAN "+query, args) {
			if ordered && strings.Contains(line, "USE TEMP B-TREE FOR ORDER BY") || strings.Contains(line, "SCAN t") && !strings.Contains(line, "USING") ||
				// Grades of all tokens where one token's, or a page's, are asked for.
				strings.Contains(line, "findings_grade (organization_id=?)") ||
				strings.Contains(line, "SCAN x") && !strings.Contains(line, "USING") || strings.Contains(line, "SCAN a") && !strings.Contains(line, "INTEGER PRIMARY KEY") {
				return line
			}
		}
		return ""
	}
	// With few rows a table is read at once, rightly; would an index serve?
	tx, err := d.raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"); err != nil {
		t.Fatal(err)
	}
	for _, line := range plan(t, tx, "EXPLAIN "+query, args) {
		if strings.Contains(line, "Seq Scan on") && big.MatchString(line) || ordered && strings.Contains(line, "Sort  (") && !strings.Contains(line, "Incremental Sort") { // that is of one owner's tokens
			return line
		}
	}
	return ""
}

func plan(t *testing.T, on interface {
	Query(query string, args ...any) (*sql.Rows, error)
}, query string, args []any,
) (lines []string) {
	t.Helper()
	rows, err := on.Query(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var text string
		into := make([]any, len(columns))
		for i := range into {
			into[i] = new(any)
		}
		into[len(into)-1] = &text
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
