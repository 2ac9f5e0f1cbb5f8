package sqlstore_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/usage"
	postgrestest "github.com/patrol-authz/patrol/test/postgres"
)

// part is how many tokens one command of a long import brings.
const part = 10_000

// BenchmarkAMillionTokens imports a million tokens in parts, as a long import
// does, and reads pages of each listing:
//
//	go test -v -run - -bench AMillionTokens -benchtime 1x -timeout 1h ./authz/inventory/sqlstore
//
// $PATROL_TOKENS is another number. $PATROL_TOKENS_DATABASE is the URL of a
// PostgreSQL database to use, which is filled if it is empty and is left as it
// then is: to read pages again, and to look into it.
func BenchmarkAMillionTokens(b *testing.B) {
	n := 1_000_000
	if text := os.Getenv("PATROL_TOKENS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("SQLite", func(b *testing.B) { million(b, n, sqlstore.Options{Path: filepath.Join(b.TempDir(), "db")}) })
	b.Run("PostgreSQL", func(b *testing.B) {
		url := os.Getenv("PATROL_TOKENS_DATABASE")
		if url == "" {
			url = postgrestest.Start(b).Database(b)
		}
		million(b, n, sqlstore.Options{Postgres: url})
	})
}

func million(b *testing.B, n int, o sqlstore.Options) {
	o.KeyCheck, o.Policies = "check", policies{}
	s, err := sqlstore.Open(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if rows, _, err := s.Organizations(context.Background(), inventory.Page{Limit: 1}); err != nil {
		b.Fatal(err)
	} else if len(rows) == 0 {
		fill(b, s, n)
	}
	for range b.N {
		pages(b, s, backends(b, o.Postgres))
	}
}

// backends tells the processor time of PostgreSQL's processes that serve a
// database, so far; of a server on this machine.
func backends(b *testing.B, url string) func() time.Duration {
	if url == "" {
		return func() time.Duration { return 0 }
	}
	raw, err := sql.Open("pgx", url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { raw.Close() })
	raw.SetMaxOpenConns(1)
	return func() (total time.Duration) {
		rows, err := raw.Query("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var pid, ns int64
			if err := rows.Scan(&pid); err != nil {
				b.Fatal(err)
			}
			if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid)); err == nil {
				_, _ = fmt.Sscan(string(text), &ns)
			}
			total += time.Duration(ns)
		}
		if err := rows.Err(); err != nil {
			b.Fatal(err)
		}
		return total
	}
}

func fill(b *testing.B, s *sqlstore.Store, n int) {
	ctx := context.Background()
	run := func(c inventory.Command) {
		if _, err := s.Do(ctx, operator, c); err != nil {
			b.Fatal(err)
		}
	}
	run(inventory.CreateOrganization{Name: "acme", TokenPolicy: "require_administrator_approval"})
	run(inventory.CreateOrganization{Name: "beta"})
	for i := range 500 {
		run(inventory.AddMember{Organization: []string{"acme", "beta"}[i%2], User: fmt.Sprintf("user-%d", i), Role: "write"})
	}
	start, cpu := time.Now(), used()
	err := s.Checking(ctx, operator, func(check func(inventory.Command) (bool, error)) error {
		return parts(n, func(c inventory.Command) error { _, err := check(c); return err })
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d tokens checked in %v, %v of CPU", n, time.Since(start).Round(time.Millisecond), (used() - cpu).Round(time.Millisecond))
	if err := parts(n, func(c inventory.Command) error { _, err := s.Do(ctx, operator, c); return err }); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d tokens imported in %v, %v of CPU", n, time.Since(start).Round(time.Millisecond), (used() - cpu).Round(time.Millisecond))
	liven(b, s)
}

// liven lets a third of acme's tokens be used, and finds something of a tenth;
// gamma has a few tokens among them all.
func liven(b *testing.B, s *sqlstore.Store) {
	ctx, at := context.Background(), time.Now()
	if _, err := s.Do(ctx, operator, inventory.CreateOrganization{Name: "gamma"}); err != nil {
		b.Fatal(err)
	}
	few := inventory.ImportTokens{}
	for i := range 2000 {
		t := sample(10_000_000 + 2*i)
		t.Kind, t.Grants = authz.KindFineGrained, []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "gamma"}, Permissions: []string{"org.read"}}}
		few.Tokens = append(few.Tokens, t)
	}
	if _, err := s.Do(ctx, operator, few); err != nil {
		b.Fatal(err)
	}
	acme, err := s.Organization(ctx, "acme")
	for after := ""; err == nil; {
		var list []preview.Reached
		if list, err = s.Reached(ctx, acme.ID, "", after, at, 5000); len(list) == 0 {
			break
		}
		batch, found := &usage.Batch{}, []hygiene.Result{}
		for i, r := range list {
			if i%3 == 0 {
				batch.Uses = append(batch.Uses, usage.Use{Token: r.Token, Organization: acme.ID, Allowed: at.Add(-time.Duration(i) * time.Minute)})
			}
			if i%10 == 0 {
				found = append(found, hygiene.Result{Pair: hygiene.Pair{Organization: acme.ID, Token: r.Token}, Findings: []hygiene.Finding{{Name: "f", Severity: []string{"low", "medium", "high"}[i/10%3]}}})
			}
		}
		if _, err = s.WriteUsage(ctx, batch); err == nil {
			err = s.SaveFindings(ctx, found)
		}
		after = list[len(list)-1].Token
	}
	if err != nil {
		b.Fatal(err)
	}
}

func parts(n int, f func(inventory.Command) error) error {
	list := make([]inventory.ImportToken, 0, part)
	for i := range n {
		list = append(list, sample(i))
		if len(list) == part || i == n-1 {
			if err := f(inventory.ImportTokens{Tokens: list}); err != nil {
				return err
			}
			list = list[:0]
		}
	}
	return nil
}

// sample is one of many tokens: most are fine-grained, half of them wait for
// acme's approval.
func sample(i int) inventory.ImportToken {
	t := inventory.ImportToken{Owner: fmt.Sprintf("user-%d", i%500), DisplayName: fmt.Sprintf("token %d of a pipeline", i), Kind: authz.KindFineGrained, Last4: "wxyz"}
	random := rand.New(rand.NewPCG(uint64(i), 1))
	for at := 0; at < len(t.Digest); at += 8 {
		binary.LittleEndian.PutUint64(t.Digest[at:], random.Uint64())
	}
	organization := []string{"acme", "beta"}[i%2]
	if i%50 == 49 {
		t.Kind = authz.KindRead
	} else {
		t.Grants = []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: organization}, Permissions: []string{"repo.content.read", "repo.write"}}}
	}
	return t
}

// used is the processor time of this process so far.
func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// listings are pages of each listing, by what they show; what begins with ~ is one
// of many.
func listings(s *sqlstore.Store) map[string]func(cursor string) (next string, rows int, err error) {
	ctx := context.Background()
	tokens := func(organization string, f inventory.TokenFilter) func(string) (string, int, error) {
		return func(cursor string) (string, int, error) {
			rows, next, err := s.Tokens(ctx, organization, f, inventory.Page{Cursor: cursor})
			return next, len(rows), err
		}
	}
	lists := map[string]func(cursor string) (string, int, error){
		"all tokens":              tokens("", inventory.TokenFilter{}),
		"all of a kind":           tokens("", inventory.TokenFilter{Kind: "read"}),
		"all of an owner":         tokens("", inventory.TokenFilter{Owner: "user-7"}),
		"an organization's":       tokens("acme", inventory.TokenFilter{}),
		"its pending":             tokens("acme", inventory.TokenFilter{Status: "pending"}),
		"its approved (none)":     tokens("acme", inventory.TokenFilter{Status: "approved"}),
		"its suspended (none)":    tokens("acme", inventory.TokenFilter{Status: "suspended"}),
		"its revoked (none)":      tokens("acme", inventory.TokenFilter{Status: "revoked"}),
		"its without a state":     tokens("beta", inventory.TokenFilter{Status: "none"}),
		"its of a kind":           tokens("acme", inventory.TokenFilter{Kind: "read"}),
		"its of an owner":         tokens("acme", inventory.TokenFilter{Owner: "user-8"}),
		"its by name":             tokens("acme", inventory.TokenFilter{Query: "token 12345"}),
		"by a name that none has": tokens("acme", inventory.TokenFilter{Query: "nothing like it"}),
		"its sorted by name":      tokens("acme", inventory.TokenFilter{Sort: "name"}),
		"its sorted by owner":     tokens("acme", inventory.TokenFilter{Sort: "owner"}),
		"its sorted by creation":  tokens("acme", inventory.TokenFilter{Sort: "-created"}),
		"its last used first":     tokens("acme", inventory.TokenFilter{Sort: "-last_used"}),
		"its never used first":    tokens("acme", inventory.TokenFilter{Sort: "last_used"}),
		"its gravest first":       tokens("acme", inventory.TokenFilter{Sort: "-severity"}),
		"its tidiest first":       tokens("acme", inventory.TokenFilter{Sort: "severity"}),
		"its pending by name":     tokens("acme", inventory.TokenFilter{Sort: "name", Status: "pending"}),
		"of a few by name":        tokens("gamma", inventory.TokenFilter{Sort: "name"}),
		"of a few by owner":       tokens("gamma", inventory.TokenFilter{Sort: "-owner"}),
		"all by name":             tokens("", inventory.TokenFilter{Sort: "name"}),
		"the riskiest requests": func(cursor string) (string, int, error) {
			rows, next, err := s.FindApprovals(ctx, "acme", inventory.ApprovalFilter{Status: "open", Sort: "risk"}, inventory.Page{Cursor: cursor})
			return next, len(rows), err
		},
		"open requests": func(cursor string) (string, int, error) {
			rows, next, err := s.Approvals(ctx, "acme", "open", inventory.Page{Cursor: cursor})
			return next, len(rows), err
		},
		"all requests": func(cursor string) (string, int, error) {
			rows, next, err := s.Approvals(ctx, "acme", "all", inventory.Page{Cursor: cursor})
			return next, len(rows), err
		},
		"audit": func(cursor string) (string, int, error) {
			rows, next, err := s.Audit(ctx, "", inventory.Page{Cursor: cursor})
			return next, len(rows), err
		},
	}
	approvals := func(f inventory.ApprovalFilter) func(string) (string, int, error) {
		return func(cursor string) (string, int, error) {
			rows, next, err := s.FindApprovals(ctx, "acme", f, inventory.Page{Cursor: cursor})
			return next, len(rows), err
		}
	}
	for name, f := range map[string]inventory.ApprovalFilter{
		"requests of an owner": {Status: "open", Owner: "user-8"}, "all requests of an owner": {Owner: "user-8"}, "requests for nobody": {Status: "open", Assignee: "-"},
		"requests for somebody (none)": {Status: "open", Assignee: "user-8"}, "risky for somebody (none)": {Status: "open", Assignee: "user-8", Sort: "risk"}, "risky of an owner": {Status: "open", Owner: "user-8", Sort: "risk"},
		"of an owner for nobody": {Status: "open", Owner: "user-8", Assignee: "-"}, "requests of a group (none)": {Status: "open", Group: "none"}, "to be denied (none)": {Status: "open", Recommendation: "deny"},
	} {
		lists[name] = approvals(f)
	}
	for name, f := range map[string]hygiene.Filter{
		"findings": {}, "findings by name": {Finding: "f"}, "findings of no name": {Finding: "none"}, "grave findings": {Severity: "high"},
		"grave findings by name": {Finding: "f", Severity: "high"},
	} {
		lists[name] = func(cursor string) (string, int, error) {
			rows, next, err := s.Findings(ctx, "acme", f, inventory.Page{Cursor: cursor})
			return next, len(rows), err
		}
	}
	for name, f := range map[string]inventory.AuditFilter{
		"audit of nobody": {Actor: "nobody"}, "audit of an action": {Action: "token"}, "audit of no action": {Action: "nothing"}, "audit about a user": {User: "user-8"}, "audit about nobody": {User: "nobody"},
		"audit of long ago": {Until: time.Unix(1, 0)},
	} {
		for _, organization := range []string{"", "acme"} {
			lists[name+" "+cmp.Or(organization, "*")] = func(cursor string) (string, int, error) {
				rows, next, err := s.FindAudit(ctx, organization, f, inventory.Page{Cursor: cursor})
				return next, len(rows), err
			}
		}
	}
	lists["discovered"] = func(cursor string) (string, int, error) {
		rows, next, err := s.Discovered(ctx, "acme", inventory.Page{Cursor: cursor})
		return next, len(rows), err
	}
	lists["members"] = func(cursor string) (string, int, error) {
		rows, next, err := s.Members(ctx, "acme", inventory.Page{Cursor: cursor})
		return next, len(rows), err
	}
	for _, state := range []string{"sent", "dead", "waiting"} {
		lists["deliveries "+state] = func(string) (string, int, error) {
			rows, err := s.Deliveries(ctx, state, 0, 50)
			return "", len(rows), err
		}
	}
	// Each filter in each order, of an organization of very many tokens, one of
	// some, and all.
	for _, organization := range []string{"acme", "gamma", ""} {
		for filter, f := range map[string]inventory.TokenFilter{
			"any": {}, "all": {Status: "all"}, "none": {Status: "none"}, "pending": {Status: "pending"}, "approved": {Status: "approved"}, "denied": {Status: "denied"},
			"revoked": {Status: "revoked"}, "read": {Kind: authz.KindRead}, "owner": {Owner: "user-8"}, "name": {Query: "99 of"}, "no name": {Query: "nothing like it"},
			"finding": {Finding: "f"}, "pending of owner": {Status: "pending", Owner: "user-8"}, "pending read": {Status: "pending", Kind: authz.KindRead},
			"none of finding": {Status: "none", Finding: "f"}, "revoked by name": {Status: "revoked", Query: "token 1"},
		} {
			for _, sort := range []string{"", "name", "owner", "created", "-created", "last_used", "-last_used", "severity", "-severity"} {
				if organization == "" && (f.Finding != "" || strings.HasSuffix(sort, "used") || strings.HasSuffix(sort, "severity")) {
					continue // are an organization's
				}
				f.Sort = sort
				lists["~ "+cmp.Or(organization, "*")+" "+filter+" by "+cmp.Or(sort, "id")] = tokens(organization, f)
			}
		}
	}
	return lists
}

// again is how often a page is read: what else the machine does comes between, so
// that its time is that of the quickest, and its processor time the mean.
const again = 5

// pages reads pages of each listing: what each took, and the processor time of one,
// here and in the database's server.
func pages(b *testing.B, s *sqlstore.Store, theirs func() time.Duration) {
	lists := listings(s)
	over, slow, worst, slowest := 0, 0, time.Duration(0), ""
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		page, pages := lists[name], 20
		if strings.HasPrefix(name, "~") {
			pages = 3
		}
		cursor, longest, most, server, total, count := "", time.Duration(0), time.Duration(0), time.Duration(0), 0, 0
		for range pages {
			here, there := used(), theirs()
			next, rows, took, err := quickest(page, cursor)
			if err != nil {
				b.Fatalf("%s: %v", name, err)
			}
			there = (theirs() - there) / again
			if cpu := (used()-here)/again + there; cpu > most {
				most, server = cpu, there
			}
			longest = max(longest, took)
			total += rows
			count++
			if cursor = next; next == "" {
				break
			}
		}
		if longest > 20*time.Millisecond {
			slow++
		}
		if most > 20*time.Millisecond {
			over++
		}
		if most > worst {
			slowest, worst = name, most
		}
		if strings.HasPrefix(name, "~") && most < 15*time.Millisecond {
			continue // of many
		}
		b.Logf("%-24s %2d pages, %4d rows: at most %v, %v of CPU (%v of it the server's)", name, count, total, short(longest), short(most), short(server))
	}
	b.Logf("%d lists; %d have a page of more than 20 ms of CPU, %d of more than 20 ms; the most is %s with %v of CPU", len(lists), over, slow, slowest, short(worst))
}

func short(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func quickest(page func(cursor string) (string, int, error), cursor string) (next string, rows int, took time.Duration, err error) {
	for i := range again {
		start := time.Now()
		if next, rows, err = page(cursor); err != nil {
			return "", 0, 0, err
		}
		if each := time.Since(start); i == 0 || each < took {
			took = each
		}
	}
	return next, rows, took, nil
}
