package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/snapshot"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/test/canary"
)

type policies struct{}

func (policies) HasPolicy(name string) bool {
	return name == "allow_user_access_tokens" || name == "only_fine_grained_tokens" || name == "require_administrator_approval"
}

func (policies) RequiresApproval(name string) bool { return name == "require_administrator_approval" }
func (policies) PolicyNames() []string             { return []string{"allow_user_access_tokens"} }

var operator = inventory.Actor{Kind: "socket", Name: "uid:0"}

func open(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), sqlstore.Options{Path: path, KeyCheck: "check", Policies: policies{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func do(t *testing.T, s *sqlstore.Store, c inventory.Command) inventory.Result {
	t.Helper()
	r, err := s.Do(context.Background(), operator, c)
	if err != nil {
		t.Fatalf("%s: %v", c.Action(), err)
	}
	return r
}

var acmeGrant = []authz.Grant{{Entity: authz.Entity{Type: "organization", Name: "acme"}, Permissions: []string{"repo.write", "repo.content.read"}}}

// acme is an organization that asks for approvals, with an administrator, a
// member, and the member's pending token.
func acme(t *testing.T, s *sqlstore.Store) *inventory.TokenRow {
	t.Helper()
	do(t, s, inventory.CreateOrganization{Name: "acme", TokenPolicy: "require_administrator_approval"})
	do(t, s, inventory.AddMember{Organization: "acme", User: "alice", Role: "admin"})
	do(t, s, inventory.AddMember{Organization: "acme", User: "bob", Role: "write"})
	return do(t, s, issue("bob", 1)).Token
}

func issue(owner string, digest byte) inventory.IssueToken {
	return inventory.IssueToken{Owner: owner, DisplayName: "ci", Kind: "fine-grained", Grants: acmeGrant, Digest: authz.Digest{digest}, Last4: "abcd"}
}

func TestOpenRefusesWhatItMustNotTouch(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	open(t, path).Close()
	_, err := sqlstore.Open(context.Background(), sqlstore.Options{Path: path, KeyCheck: "another", Policies: policies{}})
	var mismatch *sqlstore.KeyMismatch
	if !errors.As(err, &mismatch) {
		t.Errorf("another key: %v", err)
	}
	if _, err := sqlstore.Open(context.Background(), sqlstore.Options{Path: filepath.Join(dir, "missing", "db"), Policies: policies{}}); err == nil {
		t.Error("a missing folder was no error")
	}
}

// access asks a snapshot for a token's access to acme.
func access(t *testing.T, s *snapshot.Snapshot, d authz.Digest) *authz.Access {
	t.Helper()
	var token authz.Token
	if !s.Token(d, &token) {
		t.Fatal("the token is not known")
	}
	var a authz.Access
	s.Access(&token, s.Organization("ACME"), &a)
	return &a
}

func TestTheSnapshotFollows(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	token := acme(t, s)
	f, err := snapshot.Start(context.Background(), snapshot.Options{Feed: s, Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	now := func(digest byte) *authz.Access {
		if err := f.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
		return access(t, f.Snapshot(), authz.Digest{digest})
	}
	if a := now(1); a.Authorization.State != "none" || a.Authorization.Request.State != "open" || len(a.Current.Grants) != 1 {
		t.Fatalf("pending: %+v", a)
	}
	narrow := []authz.Grant{{Entity: acmeGrant[0].Entity, Permissions: []string{"repo.content.read"}}}
	do(t, s, inventory.Approve{Organization: "acme", Token: token.ID, Grants: narrow})
	if a := now(1); a.Authorization.State != "approved" || len(a.Effective.Grants[0].Permissions) != 1 || len(a.Current.Grants[0].Permissions) != 2 {
		t.Fatalf("approved for a part: %+v %+v", a.Effective, a.Current)
	}
	do(t, s, inventory.RevokeToken{Organization: "acme", Token: token.ID})
	if a := now(1); a.Authorization.State != "revoked" {
		t.Fatalf("revoked: %+v", a)
	}
	do(t, s, inventory.DeleteToken{Token: token.ID})
	err = f.CatchUp(context.Background())
	if err != nil || f.Snapshot().Token(authz.Digest{1}, new(authz.Token)) {
		t.Fatal("a deleted token is still known")
	}
	do(t, s, issue("alice", 2))
	if a := now(2); !a.Authorization.AdminCreated {
		t.Fatal("an administrator's token is not exempt")
	}
	do(t, s, inventory.AddMember{Organization: "acme", User: "alice", Role: "write"})
	if a := now(2); a.Authorization.AdminCreated {
		t.Fatal("a demoted administrator's token is still exempt")
	}
}

func TestAHundredThousandTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	acme(t, s)
	list := make([]inventory.ImportToken, 100_000)
	for i := range list {
		list[i] = inventory.ImportToken{Digest: authz.Digest{5, byte(i), byte(i >> 8), byte(i >> 16)}, Owner: "bob", DisplayName: fmt.Sprintf("token %d", i), Kind: "fine-grained", Grants: acmeGrant, Last4: "wxyz"}
	}
	start := time.Now()
	do(t, s, inventory.ImportTokens{Tokens: list})
	imported := time.Since(start)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start = time.Now()
	f, err := snapshot.Start(context.Background(), snapshot.Options{Feed: s})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loaded := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := f.Snapshot().Tokens(); n != 100_001 {
		t.Errorf("%d tokens", n)
	}
	size, _ := os.Stat(path)
	t.Logf("imported in %v, loaded in %v, %.0f B a token, database %d MB", imported, loaded, float64(after.HeapAlloc-before.HeapAlloc)/1e5, size.Size()>>20)
}

// A token is stored without its secret. That the search sees what is stored, in
// the write-ahead log and after it was written back, is shown by one in an
// operator's own setting.
func TestNoSecretIsOnTheDisk(t *testing.T) {
	secret, planted := credential.Generate(), credential.Generate()
	digester, err := credential.NewDigester(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		noted string
		want  []string // the files that hold a secret: while it is open, and after
	}{
		"none":    {"nothing", nil},
		"planted": {planted.Reveal(), []string{"db-wal", "db"}},
	} {
		dir := t.TempDir()
		s := open(t, filepath.Join(dir, "db"))
		acme(t, s)
		token := issue("bob", 1)
		token.Digest, token.Last4 = digester.Secret(secret), secret.Last4()
		// An unknown permission is what nothing looks into.
		token.Grants = []authz.Grant{{Entity: acmeGrant[0].Entity, Permissions: []string{"repo.content.read", c.noted}}}
		do(t, s, token)
		for i, file := range []string{"db-wal", "db"} {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil || !bytes.Contains(text, []byte(secret.Last4())) {
				t.Errorf("%s: the token is not in %s: %v", name, file, err)
			}
			var found []string
			if canary.Holds(text) {
				found = []string{file}
			}
			if want := c.want[min(i, len(c.want)):min(i+1, len(c.want))]; !slices.Equal(found, want) {
				t.Errorf("%s: a secret is in %v, want %v", name, found, want)
			}
			s.Close()
		}
	}
}
