package main

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// TestServeRefusesInOneSentence: what is wrong with a start is said in one
// clear sentence, by exit 2 (configuration) or 1, and nothing is changed. What
// needs no more than a command line is in testdata/script/serve.txtar.
func TestServeRefusesInOneSentence(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "patrol")
	build(t, "cmd/patrol", binary)
	cases := []struct {
		name    string
		config  string
		args    []string
		prepare func(t *testing.T, data string)
		exit    int
		want    []string
	}{
		{name: "a time span that is none", config: "inventory:\n  max_staleness: soon\n", exit: 2, want: []string{"soon", "60s"}},
		{name: "a database's password in the configuration", config: "inventory:\n  database: postgres://bob:hunter2@db/patrol\n", exit: 2, want: []string{"inventory.database", "file"}},
		{name: "a database of another kind", config: "inventory:\n  database: mysql://db/patrol\n", exit: 2, want: []string{"inventory.database", "postgres://"}},
		{name: "a password for SQLite", config: "inventory:\n  database_password_file: /run/secret\n", exit: 2, want: []string{"inventory.database_password_file"}},
		{name: "a database that does not answer", config: "inventory:\n  database: postgres://bob@127.0.0.1:1/patrol\n", exit: 1, want: []string{"patrol on 127.0.0.1", "refused"}},
		{name: "a digest key that others may read", prepare: func(t *testing.T, data string) {
			mkdir(t, data)
			write(t, filepath.Join(data, "digest.key"), strings.Repeat("k", 32))
			if err := os.Chmod(filepath.Join(data, "digest.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, exit: 1, want: []string{"digest.key", "chmod 600"}},
		{name: "a digest key of another database", prepare: func(t *testing.T, data string) {
			database(t, data, "another")
			key(t, data)
		}, exit: 1, want: []string{"digest key does not match"}},
		{name: "a database whose digest key is gone", prepare: func(t *testing.T, data string) {
			database(t, data, "another")
		}, exit: 1, want: []string{"digest.key is not there", "put it back"}},
		{name: "a database of a newer version", prepare: func(t *testing.T, data string) {
			database(t, data, "another")
			key(t, data)
			db, err := sql.Open("sqlite", filepath.Join(data, "patrol.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`); err != nil {
				t.Fatal(err)
			}
		}, exit: 1, want: []string{"schema version 99999", "use the newer patrol"}},
		{name: "a database that is none", prepare: func(t *testing.T, data string) {
			mkdir(t, data)
			key(t, data)
			write(t, filepath.Join(data, "patrol.db"), strings.Repeat("this is no database ", 100))
		}, exit: 1, want: []string{"patrol.db"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			data := filepath.Join(dir, "data")
			args := append([]string{"serve", "--data-dir", data, "--diagnostics", "off", "--admin", "off"}, c.args...)
			if !strings.Contains(strings.Join(c.args, " "), "--ext-authz") {
				args = append(args, "--ext-authz", "127.0.0.1:0")
			}
			if c.config != "" {
				write(t, filepath.Join(dir, "config.yaml"), c.config)
				args = append(args, "--config", filepath.Join(dir, "config.yaml"))
			}
			if c.prepare != nil {
				c.prepare(t, data)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			before := contents(t, data)
			cmd := exec.CommandContext(ctx, binary, args...)
			out, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != c.exit {
				t.Errorf("exit %d, want %d:\n%s", cmd.ProcessState.ExitCode(), c.exit, out)
			}
			if strings.Contains(string(out), "hunter2") {
				t.Errorf("the password is shown:\n%s", out)
			}
			for _, w := range c.want {
				if !strings.Contains(string(out), w) {
					t.Errorf("the error does not say %q:\n%s", w, out)
				}
			}
			if text := strings.TrimSpace(string(out)); c.exit == 1 && strings.Contains(text, "\n") {
				t.Errorf("that is more than one sentence:\n%s", text)
			}
			if c.prepare != nil && !maps.Equal(contents(t, data), before) {
				t.Errorf("the data directory was changed")
			}
		})
	}
}

// database makes a database that belongs to a digest key.
func database(t testing.TB, data, keyCheck string) {
	t.Helper()
	mkdir(t, data)
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(data, "patrol.db"), KeyCheck: keyCheck})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func key(t testing.TB, data string) {
	t.Helper()
	write(t, filepath.Join(data, "digest.key"), strings.Repeat("k", 32))
}

// contents are the files of a folder and what they hold, but SQLite's own
// shared memory.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type().IsRegular() && !strings.HasSuffix(path, "-shm") && !strings.HasSuffix(path, "-wal") {
			var text []byte
			text, err = os.ReadFile(path)
			out[path] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestWithoutAGoodBundleEverythingIsDenied: at the first start, with an overlay
// that does not compile, the server is up, denies by policy_error, and is not
// ready.
func TestWithoutAGoodBundleEverythingIsDenied(t *testing.T) {
	policy := t.TempDir()
	write(t, filepath.Join(policy, "local", "a.rego"), "package local.a\n\nallow if {")
	w := startApp(t, func(c *Config) { c.Policy.Bundles = []string{policy} })
	if w.Ready() == nil {
		t.Error("it is ready")
	}
	c := &testCase{}
	c.Request.Method, c.Request.Path = "GET", "/api/models/acme/model"
	if got := serverTier(t, w)(t, c); got.Reason != "policy_error" {
		t.Errorf("answered %q", got.Reason)
	}
	if s := w.Bundles.Status()[1]; !strings.Contains(s.Error, "a.rego:3") {
		t.Errorf("bundle status does not name file and line: %q", s.Error)
	}
}

// TestADataDirectoryThatCannotBeWrittenIsSaidSo, and nothing is changed. (Root
// may write anywhere; so the binary runs as nobody where the test is root.)
func TestADataDirectoryThatCannotBeWrittenIsSaidSo(t *testing.T) {
	dir, binary := builtHere(t)
	data := filepath.Join(dir, "data")
	mkdir(t, data)
	key(t, data)
	nobody := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		nobody.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		if err := os.Chown(filepath.Join(data, "digest.key"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]fs.FileMode{dir: 0o755, binary: 0o755, data: 0o555} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	before := contents(t, data)
	for name, path := range map[string]string{"a directory that is there": data, "one that cannot be made": filepath.Join(data, "below")} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, "serve", "--data-dir", path, "--ext-authz", "127.0.0.1:0", "--diagnostics", "off", "--admin", "127.0.0.1:0")
			cmd.SysProcAttr, cmd.Dir = nobody, "/"
			out, err := cmd.CombinedOutput()
			text := strings.TrimSpace(string(out))
			if err == nil || cmd.ProcessState.ExitCode() != 1 || strings.Contains(text, "\n") || !strings.Contains(text, path) || !strings.Contains(text, "permission denied") {
				t.Errorf("exit %d:\n%s", cmd.ProcessState.ExitCode(), text)
			}
		})
	}
	if !maps.Equal(contents(t, data), before) {
		t.Error("the data directory was changed")
	}
}
