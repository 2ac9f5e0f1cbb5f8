// Package postgrestest runs a real PostgreSQL in a test: a private server on a
// Unix socket, as another user than root. A test that needs one fails where
// there is none, it never skips.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/patrol-authz/patrol/test/canary"
)

// Server is a server with databases of its own. It ends with its test.
type Server struct {
	dir, bin string
	identity *syscall.Credential // nil: whoever runs the test
	running  *process
	made     atomic.Int64
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// Start runs a server of the newest version that is there, until the test ends.
func Start(t testing.TB) *Server { return StartVersion(t, "18") }

// Oldest is the oldest version that patrol takes.
const Oldest = "14"

// Versions are the major versions that make parts brings, the oldest first. Oldest
// is packed for x86_64 alone.
func Versions() []string {
	if runtime.GOARCH == "amd64" {
		return []string{Oldest, "16", "18"}
	}
	return []string{"16", "18"}
}

// StartVersion runs a server of a major version, one of Versions, of .cache/postgres.
// $PATROL_TEST_POSTGRES names a folder of binaries to use in its place.
func StartVersion(t testing.TB, version string) *Server {
	t.Helper()
	s := &Server{}
	var err error
	// Not the test's own folder: its path may be too long for a socket, and
	// closed to another user.
	if s.dir, err = os.MkdirTemp("", "patrol-pg"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		canary.Folder(t, s.dir)
		os.RemoveAll(s.dir)
	})
	if s.bin, err = find(version); err == nil {
		err = s.prepare()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.end(syscall.SIGINT) })
	s.Resume(t)
	return s
}

// find returns the folder of the binaries.
func find(version string) (string, error) {
	if dir := os.Getenv("PATROL_TEST_POSTGRES"); dir != "" {
		return dir, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		bin := filepath.Join(dir, ".cache", "postgres", version, "bin")
		if _, err := os.Stat(filepath.Join(bin, "postgres")); err == nil {
			return filepath.EvalSymlinks(bin)
		}
	}
	return "", fmt.Errorf("PostgreSQL %s is not in .cache/postgres: run make parts, or name a folder of binaries in $PATROL_TEST_POSTGRES", version)
}

// prepare makes the folder of the databases. The server refuses to run as root.
func (s *Server) prepare() error {
	if os.Geteuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			return err
		}
		uid, err := strconv.Atoi(nobody.Uid)
		if err != nil {
			return err
		}
		s.identity = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), NoSetGroups: true} //nolint:gosec // a uid
		if err := os.Chown(s.dir, uid, uid); err != nil {
			return err
		}
		if err := s.reachable(); err != nil {
			return err
		}
	}
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "-D", filepath.Join(s.dir, "data"), "-U", "patrol", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: s.identity}, s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// The role guarded needs a password; all others are trusted.
	hba := filepath.Join(s.dir, "data", "pg_hba.conf")
	text, err := os.ReadFile(hba)
	if err != nil {
		return err
	}
	return os.WriteFile(hba, append([]byte("local all guarded scram-sha-256\n"), text...), 0o600)
}

// reachable copies the server where its user can reach it, if need be.
func (s *Server) reachable() error {
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "--version")
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: s.identity}, "/"
	if cmd.Run() == nil {
		return nil
	}
	// The programs find their libraries by where these lie beside them.
	install, to := filepath.Dir(s.bin), filepath.Join(s.dir, "server")
	root := filepath.Dir(filepath.Dir(install))
	libraries, err := filepath.Glob(filepath.Join(root, "*.libs"))
	if err != nil {
		return err
	}
	for _, from := range append(libraries, install) {
		place, err := filepath.Rel(root, from)
		if err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(to, place), os.DirFS(from)); err != nil {
			return fmt.Errorf("copy PostgreSQL: %w", err)
		}
		s.bin = filepath.Join(to, place, "bin")
	}
	return filepath.WalkDir(to, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(s.identity.Uid), int(s.identity.Gid))
	})
}

// Resume starts the server again after Stop or Crash.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// Without fsync a crash of the server loses nothing, only one of the machine.
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "max_wal_size=4GB")
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.identity, Pdeathsig: syscall.SIGINT, Setpgid: true}
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes when the thread ends that started the server: keep it.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	s.running = p
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = s.ping(); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("PostgreSQL does not answer: %v\n%s", err, s.log())
		}
	}
}

func (s *Server) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	return c.Close(ctx)
}

func (s *Server) log() string {
	f, err := os.Open(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	text, _ := io.ReadAll(f)
	return string(text)
}

// Stop stops the server; connections are cut.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.end(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// Crash ends the server without any shutdown: the next start recovers.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	if err := s.end(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) end(signal syscall.Signal) error {
	p := s.running
	if p == nil {
		return nil
	}
	s.running = nil
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return errors.New("PostgreSQL did not stop")
	}
}

// URL names a database of the server.
func (s *Server) URL(database string) string {
	return "postgres://patrol@/" + database + "?host=" + s.dir
}

// Database makes a new, empty database and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "d" + strconv.FormatInt(s.made.Add(1), 10)
	s.Exec(t, "postgres", "CREATE DATABASE "+name)
	return s.URL(name)
}

// Guarded makes a role that needs a password, and returns a database's URL for it.
func (s *Server) Guarded(t testing.TB, password string) string {
	t.Helper()
	s.Exec(t, "postgres", "CREATE ROLE guarded LOGIN SUPERUSER PASSWORD '"+strings.ReplaceAll(password, "'", "''")+"'")
	return strings.Replace(s.Database(t), "patrol@", "guarded@", 1)
}

// Exec runs statements in a database, as the server's owner.
func (s *Server) Exec(t testing.TB, database, statements string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if _, err := c.Exec(ctx, statements); err != nil {
		t.Fatal(err)
	}
}
