package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Server serves the API over a Unix socket.
type Server struct {
	http *http.Server
	l    net.Listener
	path string
}

// Listen opens the socket: mode 0600, for the same user and root alone. A
// socket on which nobody answers any more is replaced; one that is in use is an
// error.
func Listen(path string, h http.Handler) (*Server, error) {
	if len(path) > 107 {
		return nil, fmt.Errorf("the socket path %s has %d bytes; the system takes at most 107: choose a shorter data directory", path, len(path))
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is there and is no socket", path)
		}
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, fmt.Errorf("another patrol answers on %s: stop it, or choose another data directory", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("replace the socket of a patrol that is gone: %w", err)
		}
	}
	mask := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(mask)
	if err != nil {
		return nil, fmt.Errorf("open the admin socket: %w", err)
	}
	s := &Server{l: l, path: path}
	s.http = &http.Server{Handler: known(h), ReadHeaderTimeout: 10 * time.Second, ConnContext: withPeer}
	return s, nil
}

// Serve answers until Stop.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Stop lets requests under way end, for a time.
func (s *Server) Stop(ctx context.Context) error { return s.http.Shutdown(ctx) }

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
			http.Error(w, `{"error":"only the user that runs patrol, and root, may use this socket"}`, http.StatusForbidden)
			return
		}
		name := "uid:" + strconv.Itoa(uid)
		if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			name += " (" + u.Username + ")"
		}
		next.ServeHTTP(w, r.WithContext(WithActor(r.Context(), inventory.Actor{Kind: "socket", Name: name})))
	})
}
