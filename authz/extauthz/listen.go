package extauthz

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ListenOptions of a socket.
type ListenOptions struct {
	// Mode of a Unix socket; default 0660.
	Mode fs.FileMode
	// Group that owns a Unix socket, for an Envoy that runs as another user.
	Group string
	// Insecure allows an address beyond this machine without TLS.
	Insecure bool
}

// maxSocketPath is the longest path of a Unix socket (sun_path, less its NUL).
const maxSocketPath = 107

// Listen opens "host:port" or "unix:PATH". A Unix socket is bound beside its
// path and moved over it: a server that takes over from another loses nothing.
func Listen(address string, o ListenOptions) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(path, o)
	}
	if err := CheckAddress(address, o.Insecure); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the address %s is in use by another process", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// Beyond says that an address reaches beyond this machine.
type Beyond struct{ Address string }

func (e *Beyond) Error() string {
	return fmt.Sprintf("the address %s reaches beyond this machine, where anybody could ask: use a loopback address or a Unix socket, mutual TLS (ext_authz.tls), or set insecure: true", e.Address)
}

// CheckAddress says whether "host:port" or "unix:PATH" is one that may be
// listened on; only where insecure is true beyond this machine.
func CheckAddress(address string, insecure bool) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return CheckSocket(path)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("the address %q is neither host:port nor unix:PATH", address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("the address %q has no port from 0 to 65535", address)
	}
	if ip := net.ParseIP(host); !insecure && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return &Beyond{address}
	}
	return nil
}

// CheckSocket says whether a path can be that of a Unix socket.
func CheckSocket(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("the socket path %s has %d bytes; the system takes at most %d", path, len(path), maxSocketPath)
	}
	return nil
}

func listenUnix(path string, o ListenOptions) (net.Listener, error) {
	temporary := path + "." + strconv.Itoa(os.Getpid())
	if err := CheckSocket(path); err != nil {
		return nil, err
	}
	if len(temporary) > maxSocketPath {
		temporary = filepath.Join(filepath.Dir(path), "."+strconv.Itoa(os.Getpid()))
	}
	if len(temporary) > maxSocketPath {
		return nil, fmt.Errorf("the socket path %s has %d bytes; shorten it by %d", path, len(path), len(temporary)-maxSocketPath)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket == 0 {
		return nil, fmt.Errorf("%s is there and is no socket", path)
	}
	_ = os.Remove(temporary)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on the socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	if err := own(temporary, o); err == nil {
		err = os.Rename(temporary, path)
		if err == nil {
			return &unixListener{UnixListener: l, path: path, inode: inode(path)}, nil
		}
		l.Close()
		return nil, fmt.Errorf("put the socket at %s: %w", path, err)
	} else {
		l.Close()
		_ = os.Remove(temporary)
		return nil, fmt.Errorf("the socket %s: %w", path, err)
	}
}

// CheckGroup says whether the system has a group; an empty name is none.
func CheckGroup(name string) error {
	if name == "" {
		return nil
	}
	_, err := groupID(name)
	return err
}

func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("the system has no group %q", name)
	}
	return strconv.Atoi(g.Gid)
}

func own(path string, o ListenOptions) error {
	if o.Mode == 0 {
		o.Mode = 0o660
	}
	if o.Group != "" {
		gid, err := groupID(o.Group)
		if err != nil {
			return err
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return err
		}
	}
	return os.Chmod(path, o.Mode)
}

// unixListener removes its socket on Close, unless another has taken its place.
type unixListener struct {
	*net.UnixListener
	path  string
	inode uint64
}

func (l *unixListener) Close() error {
	if l.inode != 0 && inode(l.path) == l.inode {
		_ = os.Remove(l.path)
	}
	return l.UnixListener.Close()
}

func inode(path string) uint64 {
	info, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
