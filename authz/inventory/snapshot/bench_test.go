package snapshot_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/snapshot"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// estate is a feed of an inventory with many tokens: 20 organizations, 1,000
// users, 200 sets of grants; one token in five is unscoped.
type estate struct {
	tokens   int
	approved bool // every fine-grained token was asked for and approved
}

func digest(i int) authz.Digest {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

func uuid(kind, i int) string { return fmt.Sprintf("0197a000-%04x-7000-8000-%012x", kind, i) }

var bases = func() [][]authz.Grant {
	sets := make([][]authz.Grant, 200)
	for i := range sets {
		organization := uuid(1, i%20)
		sets[i] = []authz.Grant{
			{Entity: authz.Entity{Type: "organization", ID: organization, Name: fmt.Sprint("org-", i%20), Namespace: organization}, Permissions: []string{"repo.content.read", "repo.write"}},
			{Entity: authz.Entity{Type: "model", Name: fmt.Sprintf("org-%d/model-%d", i%20, i), Namespace: organization}, Permissions: []string{"repo.content.read"}},
		}
	}
	return sets
}()

func (e estate) LoadEach(_ context.Context, into inventory.Loading) (int64, error) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 20 {
		o := &inventory.Organization{ID: uuid(1, i), Name: fmt.Sprint("org-", i), Type: "organization", TokenPolicy: "require_administrator_approval", Enforcement: "enforce"}
		if err := into.Organization(o); err != nil {
			return 0, err
		}
	}
	for i := range 1000 {
		if err := into.User(&inventory.User{ID: uuid(2, i), Name: fmt.Sprint("user-", i), Type: "user"}); err != nil {
			return 0, err
		}
	}
	for i := range 1000 {
		if err := into.Period(&inventory.Period{OrganizationID: uuid(1, i%20), UserID: uuid(2, i), Role: "write", Since: start}); err != nil {
			return 0, err
		}
	}
	for i := range e.tokens {
		t := &inventory.Token{
			ID: uuid(3, i), Digest: digest(i), DisplayName: fmt.Sprint("token ", i), Last4: "abcd", Kind: "fine-grained", Source: "imported",
			OwnerID: uuid(2, i%1000), CreatedAt: start.Add(time.Duration(i) * time.Second), ExpiresAt: start.Add(90 * 24 * time.Hour), Grants: bases[i%200],
		}
		if i%5 == 0 {
			t.Kind, t.Grants = "write", nil
		}
		if err := into.Token(t); err != nil {
			return 0, err
		}
	}
	for i := 0; e.approved && i < e.tokens; i++ {
		if i%5 == 0 {
			continue
		}
		a := &inventory.Authorization{TokenID: uuid(3, i), OrganizationID: uuid(1, i%20), State: "approved", Grants: bases[i%200], ChangedAt: start}
		if err := into.Authorization(a); err != nil {
			return 0, err
		}
		q := &inventory.Request{ID: uuid(4, i), TokenID: a.TokenID, OrganizationID: a.OrganizationID, State: "decided", Grants: a.Grants, OpenedAt: start}
		if err := into.Request(q); err != nil {
			return 0, err
		}
	}
	return 1, nil
}

func (estate) Changes(context.Context, int64) (*inventory.Records, int64, bool, error) {
	return nil, 1, false, nil
}

func follow(tb testing.TB, feed snapshot.Feed) *snapshot.Follower {
	tb.Helper()
	f, err := snapshot.Start(context.Background(), snapshot.Options{Feed: feed, Interval: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(f.Close)
	return f
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkMemory says what a token takes, plain and where it was asked for and
// approved.
func BenchmarkMemory(b *testing.B) {
	for _, e := range []estate{{tokens: 100_000}, {tokens: 1_000_000}, {tokens: 1_000_000, approved: true}} {
		name := fmt.Sprintf("%d", e.tokens)
		if e.approved {
			name += "-approved"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				f := follow(b, e)
				b.ReportMetric(float64(heap()-before)/float64(e.tokens), "B/token")
				runtime.KeepAlive(f)
			}
		})
	}
}

// BenchmarkLookUp asks for tokens in an order that no cache foresees.
func BenchmarkLookUp(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		s := follow(b, estate{tokens: n, approved: true}).Snapshot()
		digests := make([]authz.Digest, 1<<16)
		for i := range digests {
			digests[i] = digest(i * 7919 % n)
		}
		var t authz.Token
		b.Run(fmt.Sprintf("token/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !s.Token(digests[i%len(digests)], &t) {
					b.Fatal("a token is not known")
				}
			}
		})
		b.Run(fmt.Sprintf("unknown/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				d := digests[i%len(digests)]
				d[31]++
				if s.Token(d, &t) {
					b.Fatal("a token is known")
				}
			}
		})
		b.Run(fmt.Sprintf("all/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var a authz.Access
			for i := 0; b.Loop(); i++ {
				if !s.Token(digests[i%len(digests)], &t) {
					b.Fatal("a token is not known")
				}
				o := s.Organization("org-7")
				s.Access(&t, o, &a)
				s.Membership(o, t.Owner)
			}
		})
	}
}

// busy is an estate in which one token changes each time it is asked.
type busy struct {
	estate
	n int
}

func (b *busy) Changes(context.Context, int64) (*inventory.Records, int64, bool, error) {
	b.n++
	i := b.n * 7919 % b.tokens
	return &inventory.Records{Tokens: []*inventory.Token{{
		ID: uuid(3, i), Digest: digest(i), DisplayName: fmt.Sprint("renamed ", b.n), Kind: "fine-grained", OwnerID: uuid(2, i%1000), Grants: bases[i%200],
	}}}, int64(b.n) + 1, false, nil
}

// BenchmarkChange publishes snapshots in which one token is another.
func BenchmarkChange(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := follow(b, &busy{estate: estate{tokens: n}})
			b.ReportAllocs()
			for b.Loop() {
				if err := f.CatchUp(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type policies struct{}

func (policies) HasPolicy(string) bool        { return true }
func (policies) RequiresApproval(string) bool { return true }
func (policies) PolicyNames() []string        { return nil }

// database makes a SQLite file with n tokens; one in ten has been asked for.
func database(tb testing.TB, n int) *sqlstore.Store {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "patrol.db")
	s, err := sqlstore.Open(context.Background(), sqlstore.Options{Path: path, KeyCheck: "check", Policies: policies{}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(off)")
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	const numbers = `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) `
	for _, q := range []struct {
		rows  int
		query string
	}{
		{20, `INSERT INTO organizations SELECT printf('org-%d', i), printf('org-%d', i), 'organization', '', 'require_administrator_approval', '', 0, 'enforce', 'api', '{}', 1767225600000, 1, 0 FROM n`},
		{1000, `INSERT INTO users SELECT printf('user-%d', i), printf('user-%d', i), 'user', '', 1767225600000 FROM n`},
		{1000, `INSERT INTO periods SELECT printf('org-%d', i % 20), printf('user-%d', i), 1767225600000, 0, 'write' FROM n`},
		{n, `INSERT INTO tokens SELECT printf('0197a000-0000-7000-8000-%012x', i), randomblob(32), printf('token %d', i), 'abcd', iif(i % 5 = 0, 'write', 'fine-grained'),
			printf('user-%d', i % 1000), 'imported', iif(i % 5 = 0, 'null', printf('[{"entity":{"type":"organization","id":"org-%d","name":"org-%d","namespace":"org-%d"},"permissions":["repo.content.read","repo.write"]}]', i % 20, i % 20, i % 20)),
			'null', 'deployment', 'team@example.com', 1767225600000 + i * 1000, 1798761600000, 0, 0, 1 FROM n`},
		{n / 10, `INSERT INTO requests SELECT printf('0197a000-0001-7000-8000-%012x', i), printf('0197a000-0000-7000-8000-%012x', i * 10 + 1), printf('org-%d', (i * 10 + 1) % 20), 0, 'open',
			printf('[{"entity":{"type":"organization","id":"org-%d","name":"org-%d","namespace":"org-%d"},"permissions":["repo.content.read","repo.write"]}]', (i * 10 + 1) % 20, (i * 10 + 1) % 20, (i * 10 + 1) % 20), 1767225600000, 'import', 0, '', '', '' FROM n`},
	} {
		if _, err := db.Exec(numbers+q.query, q.rows); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

// BenchmarkLoad loads from a real SQLite file.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := database(b, n)
			for b.Loop() {
				f := follow(b, s)
				if f.Snapshot().Tokens() != n {
					b.Fatal(f.Snapshot().Tokens())
				}
			}
		})
	}
}
