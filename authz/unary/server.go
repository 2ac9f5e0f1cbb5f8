package unary

import (
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// StreamMethod answers a message by [Call.Send], as long as it does not return. Where
// the message could not be had, problem says why.
type StreamMethod func(call *Call, message string, problem error) error

// Options of a server. The keys of methods are paths: "/package.Service/Method".
type Options struct {
	Unary   map[string]Method
	Streams map[string]StreamMethod
	// MaxMessage is the greatest message that is taken, in bytes; default 4 MiB.
	MaxMessage int
	// MaxStreams is how many calls a connection may have at once; default 100,000.
	MaxStreams int
	// GreetingTime is how long a connection may take to begin, its handshake
	// included; default 10 s.
	GreetingTime time.Duration
	// WriteTime is how long the other end may take nothing of what it is answered,
	// give or take a half; default 20 s.
	WriteTime time.Duration
	Log       *slog.Logger
}

// Server serves methods. Give it listeners, then Stop it.
type Server struct {
	Options
	stopping atomic.Bool

	mu        sync.Mutex
	listeners map[net.Listener]bool
	conns     map[*conn]bool
	none      chan struct{} // closed when there are no connections, once it stops
}

// New makes a server.
func New(o Options) *Server {
	if o.MaxMessage == 0 {
		o.MaxMessage = 4 << 20
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = 100_000
	}
	if o.GreetingTime == 0 {
		o.GreetingTime = 10 * time.Second
	}
	if o.WriteTime == 0 {
		o.WriteTime = 20 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{Options: o, listeners: map[net.Listener]bool{}, conns: map[*conn]bool{}, none: make(chan struct{})}
}

// Serve answers on a listener until Stop, and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listeners[l] = true
	s.mu.Unlock()
	if s.stopping.Load() {
		_ = l.Close() // it may be closed already
		return nil
	}
	for pause := time.Duration(0); ; {
		n, err := l.Accept()
		switch passing, ok := err.(interface{ Temporary() bool }); { //nolint:errorlint // as net gives it
		case err == nil:
			pause = 0
			s.hold(n)
		case s.stopping.Load():
			return nil
		case ok && passing.Temporary(): // no file descriptor left, mostly
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.Log.Warn("a connection could not be accepted; trying again", "error", err, "in", pause)
			time.Sleep(pause)
		default:
			return err
		}
	}
}

// hold begins a connection.
func (s *Server) hold(n net.Conn) {
	c := newConn(s, n)
	s.mu.Lock()
	s.conns[c] = true
	s.mu.Unlock()
	if s.stopping.Load() {
		c.close()
		return
	}
	go c.run()
}

// forget ends the keeping of a connection.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.gone()
}

// gone tells that there are no connections, where somebody waits for it.
func (s *Server) gone() {
	if len(s.conns) > 0 || !s.stopping.Load() {
		return
	}
	select {
	case <-s.none:
	default:
		close(s.none)
	}
}

// Stop takes no new connections and calls, and returns when those under way have
// ended: after at most the time given, when they are broken off. For steps that do not
// end then it waits as long again.
func (s *Server) Stop(within time.Duration) {
	s.stopping.Store(true)
	s.mu.Lock()
	for l := range s.listeners {
		_ = l.Close() // it may be closed already
	}
	for c := range s.conns {
		go c.drain()
	}
	s.gone()
	s.mu.Unlock()
	select {
	case <-s.none:
		return
	case <-time.After(within):
	}
	s.mu.Lock()
	for c := range s.conns {
		go func() { // over TLS this may take a while
			_ = c.net.Close() // whoever reads sees it
			c.cancel()
		}()
	}
	s.mu.Unlock()
	select {
	case <-s.none:
	case <-time.After(within):
		s.Log.Warn("a handler that said nothing of waiting does not return, and is left")
	}
}

// refusal answers what is no call of a method here: a header block, and a text.
type refusal struct {
	head []byte
	text string
}

var (
	noPost = &refusal{
		block(":status", strconv.Itoa(http.StatusMethodNotAllowed), "allow", http.MethodPost, "content-type", "text/plain"), "gRPC asks by POST.\n",
	}
	noGRPC = &refusal{
		block(":status", strconv.Itoa(http.StatusUnsupportedMediaType), "content-type", "text/plain"), "This server speaks gRPC alone (content-type: application/grpc).\n",
	}
)

// refusal says what a request is answered that is no call of a method here; nil
// where it is one (gRPC over HTTP2, Requests).
func (s *Server) refusal(h *head) *refusal {
	kind, _, _ := strings.Cut(h.contentType, ";")
	switch {
	case h.method == http.MethodHead:
		return &refusal{head: noPost.head}
	case h.method != http.MethodPost:
		return noPost
	case kind != "application/grpc" && !strings.HasPrefix(kind, "application/grpc+"):
		return noGRPC
	case s.Unary[h.path] == nil && s.Streams[h.path] == nil:
		return &refusal{head: errorHead(status.Error(codes.Unimplemented, "there is no method "+h.path))}
	}
	return nil
}

// errPanic is what a caller is told of a panic; the log has its cause.
var errPanic = status.Error(codes.Internal, "the server failed")

// step takes a question one step further; a panic is its end.
func (s *Server) step(q *Question) {
	defer func() {
		if cause := recover(); cause != nil {
			s.Log.Error("panic while answering", "method", q.Call.path, "cause", cause)
			q.Answer, q.Failure, q.next = nil, errPanic, len(q.steps)
		}
	}()
	q.next++
	q.steps[q.next-1](q)
}

// steps are those of a method; of a stream it is one, beside others.
func (s *Server) steps(path string) Method {
	if m := s.Unary[path]; m != nil {
		return m
	}
	h := s.Streams[path]
	return Method{func(q *Question) {
		q.stream = true
		q.Call.Block()
		q.Failure = h(q.Call, q.Message, q.Problem)
	}}
}
