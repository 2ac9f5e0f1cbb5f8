package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/patrol-authz/patrol/authz/admin"
)

// patrolBinary runs the real binary on a data directory.
type patrolBinary struct{ binary, data string }

func (c patrolBinary) run(t *testing.T, args ...string) (out string, exit int) {
	t.Helper()
	cmd := exec.Command(c.binary, args...)
	cmd.Env = append(os.Environ(), "PATROL_DATA_DIR="+c.data)
	b, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// expect runs it, and holds exit and output against what is wanted.
func (c patrolBinary) expect(t *testing.T, exit int, says string, args ...string) string {
	t.Helper()
	out, got := c.run(t, args...)
	if got != exit || !strings.Contains(out, says) {
		t.Errorf("patrol %s: exit %d, want %d and %q:\n%s", strings.Join(args, " "), got, exit, says, out)
	}
	return out
}

// installed is the binary and a data directory with a short path.
func installed(t *testing.T) patrolBinary {
	t.Helper()
	dir, err := os.MkdirTemp("", "patrol")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := patrolBinary{filepath.Join(dir, "patrol"), filepath.Join(dir, "data")}
	build(t, "cmd/patrol", c.binary)
	return c
}

func sum(t *testing.T, path string) [32]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

func TestBackupAndRestore(t *testing.T) {
	c := installed(t)
	s := startServer(t, c.binary, c.data)
	c.expect(t, 0, "", "org", "create", "acme", "--token-policy", "require_administrator_approval")
	c.expect(t, 0, "", "member", "add", "acme", "bob", "--role", "write")
	// Others write while the copy is made.
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for w := range 2 {
		writing.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_ = s.api.Do(context.Background(), "POST", "/api/tokens", admin.NewToken{Owner: "bob", DisplayName: fmt.Sprintf("%d-%d", w, n), Kind: "read"}, nil)
			}
		})
	}
	file := filepath.Join(filepath.Dir(c.data), "backup.gz")
	c.expect(t, 0, "is in", "backup", file)
	close(stop)
	writing.Wait()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.data, "backup-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	c.expect(t, 1, "there already", "backup", file)
	c.expect(t, 0, "", "org", "create", "later")
	c.expect(t, 1, "stop it first", "restore", file)
	c.expect(t, 1, "stop it first", "migrate", "up")
	c.expect(t, 0, "this patrol knows", "migrate", "status")
	s.kill()
	c.expect(t, 0, "is up to date", "migrate", "up")

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(c.data, "patrol.db")
	before := sum(t, database)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{"cut short": whole[:len(whole)-9], "a bit flipped": flipped, "no backup": []byte("SQLite format 3"), "empty": nil} {
		write(t, file+".bad", string(content))
		c.expect(t, 1, "damaged", "restore", file+".bad")
		if sum(t, database) != before {
			t.Errorf("%s: the database was changed", name)
		}
	}
	other := patrolBinary{c.binary, c.data + "2"}
	startServer(t, other.binary, other.data).kill()
	theirs := sum(t, filepath.Join(other.data, "patrol.db"))
	other.expect(t, 1, "digest key does not match", "restore", file)
	if sum(t, filepath.Join(other.data, "patrol.db")) != theirs {
		t.Error("another key: the database was changed")
	}
	patrolBinary{c.binary, c.data + "3"}.expect(t, 1, "digest key", "restore", file)

	c.expect(t, 0, "The one before is", "restore", file)
	c.expect(t, 0, "each as it was written", "audit", "verify", "--offline")
	startServer(t, c.binary, c.data)
	if out := c.expect(t, 0, "acme", "org", "list"); strings.Contains(out, "later") {
		t.Errorf("what came after the backup is there:\n%s", out)
	}
	c.expect(t, 0, "inventory.restore", "audit", "list", "--limit", "1")
}

func TestTheAuditIsVerifiedWithAndWithoutAServer(t *testing.T) {
	c := installed(t)
	s := startServer(t, c.binary, c.data)
	c.expect(t, 1, "nothing to sign", "audit", "sign")
	for i := range 5 {
		c.expect(t, 0, "", "org", "create", fmt.Sprintf("org-%d", i))
	}
	kept := filepath.Join(filepath.Dir(c.data), "heads.jsonl")
	write(t, kept, c.expect(t, 0, `"seq":5`, "audit", "sign"))
	c.expect(t, 0, "5 entries, each as it was written; a signed head covers the first 5", "audit", "verify")
	c.expect(t, 0, "5 entries", "audit", "verify", "--offline")
	export := filepath.Join(filepath.Dir(c.data), "audit.jsonl")
	text := c.expect(t, 0, "organization.create", "audit", "export")
	write(t, export, text)
	c.expect(t, 0, "covers the first 5", "audit", "verify", "--file", export, "--heads", kept)
	write(t, export, strings.Replace(text, "org-3", "org-x", 1))
	c.expect(t, 1, "entry 4 was changed", "audit", "verify", "--file", export)
	write(t, export, strings.Join(strings.SplitAfter(text, "\n")[:4], ""))
	c.expect(t, 1, "entry 5 is missing at the end", "audit", "verify", "--file", export, "--heads", kept)
	write(t, export, "no JSON")
	c.expect(t, 1, "audit.jsonl", "audit", "verify", "--file", export)

	raw, err := sql.Open("sqlite", "file:"+filepath.Join(c.data, "patrol.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec(`UPDATE audit SET details = '{}' WHERE seq = 2`); err == nil || !strings.Contains(err.Error(), "append-only") {
		t.Errorf("an entry was changed in the database: %v", err)
	}
	// Who holds the file can do it all the same.
	if _, err := raw.Exec(`DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; UPDATE audit SET details = '{}' WHERE seq = 2`); err != nil {
		t.Fatal(err)
	}
	c.expect(t, 1, "entry 2 was changed", "audit", "verify")
	s.kill()
	c.expect(t, 1, "entry 2 was changed", "audit", "verify", "--offline")
	// Cut off, with the counter and the heads in the database: the head in the
	// data directory tells.
	if _, err := raw.Exec(`DELETE FROM audit; DELETE FROM audit_heads; UPDATE counter SET audit_seq = 0, audit_head = ''`); err != nil {
		t.Fatal(err)
	}
	c.expect(t, 1, "entries 1 to 5 are missing at the end", "audit", "verify", "--offline")
	c.expect(t, 2, "", "audit", "verify", "--offline", "--file", export)
}
