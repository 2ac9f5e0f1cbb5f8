package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Server serves the API over a Unix socket, or to whoever has a token over TCP.
type Server struct {
	http *http.Server
	l    net.Listener
}

// maxSocketPath is the longest path of a Unix socket (unix(7): 108 bytes with
// the final NUL).
const maxSocketPath = 107

// CheckSocket says whether a path can be the admin socket's.
func CheckSocket(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("the socket path %s has %d bytes; the system takes at most %d: choose a shorter data directory", path, len(path), maxSocketPath)
	}
	return nil
}

// Listen opens the socket: mode 0600, for the same user and root alone, in a
// directory of mode 0700 that is made if there is none. A socket on which
// nobody answers any more is replaced; one that is in use is an error.
func Listen(path string, h http.Handler) (*Server, error) {
	if err := CheckSocket(path); err != nil {
		return nil, err
	}
	if err := private(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the admin socket: %w", err)
	}
	// Whoever connects before the mode is set is still asked for by peer.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("close the admin socket to others: %w", err)
	}
	s := NewServer(l, known(h))
	s.http.ConnContext = withPeer
	return s, nil
}

// NewServer serves the API on a listener whose callers nobody knows but by
// their tokens.
func NewServer(l net.Listener, h http.Handler) *Server {
	return &Server{l: l, http: &http.Server{
		Handler: patient(h, patience), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // what fails is told by problems
	}}
}

// private makes the socket's directory. One that others may write to is
// refused: they could put a socket of their own in the place of this one.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the admin socket: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the directory of the admin socket: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("others may write to %s, where the admin socket is to be: chmod 700 it, or choose another data directory", dir)
	}
	return nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a socket that is there already: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("another patrol answers on %s: stop it, or choose another data directory", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("replace the socket of a patrol that is gone: %w", err)
	}
	return nil
}

// Serve answers until Stop.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Stop lets requests under way end, for a time. It closes the socket also
// where Serve never ran.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	s.l.Close()
	return err
}

type peerKey struct{}

// withPeer asks the kernel who is at the other end.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *syscall.Ucred
	err = raw.Control(func(fd uintptr) { cred, _ = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED) })
	if err != nil || cred == nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, int(cred.Uid))
}

// known lets through whom the kernel names as this user or root.
func known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, ok := r.Context().Value(peerKey{}).(int)
		if !ok || uid != 0 && uid != os.Getuid() {
			writeProblem(w, r.Context(), newProblem(http.StatusForbidden, "forbidden", "only the user that runs patrol, and root, may use this socket"))
			return
		}
		name := "uid:" + strconv.Itoa(uid)
		if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			name += " (" + u.Username + ")"
		}
		next.ServeHTTP(w, r.WithContext(WithActor(r.Context(), inventory.Actor{Kind: "socket", Name: name})))
	})
}
