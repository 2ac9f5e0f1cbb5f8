package unary

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/peer"
)

const (
	// readAhead is how much is read at once.
	readAhead = 32 << 10
	// streamWindow and connWindow are what the other end may send before it is
	// told that more is taken. They have a fixed size, so that no pings have to
	// find one.
	streamWindow = 1 << 20
	connWindow   = 16 << 20
	// partingTime is how long is read on after the last word, so that it arrives.
	partingTime = 250 * time.Millisecond
)

// conn is one connection. One goroutine at a time reads it: [conn.serve].
type conn struct {
	server *Server
	net    net.Conn
	ctx    context.Context //nolint:containedctx // of the connection's calls
	cancel context.CancelFunc

	// The goroutine that reads has these.
	framer   *http2.Framer
	decoder  *hpack.Decoder
	head     head
	heading  uint32 // the stream of the header block that is being read
	ending   bool   // that stream's other end has no more to say
	lastID   uint32
	recvLeft int64 // what the other end may still send
	recvDebt int64 // what was taken since it was last told

	mu       sync.Mutex
	calls    map[uint32]*Call
	waiting  map[uint32]*Call // with answers that are not taken yet
	out      []byte           // to be written
	answers  int              // among it
	err      error            // of a write; nothing is written after one
	sendLeft int64            // what the other end takes
	window   int64            // of a new stream
	maxFrame int
	renew    time.Time // of the time-out for writing
	draining bool      // no new call is taken
	goodbye  bool      // the last word was said
}

func newConn(s *Server, n net.Conn) *conn {
	c := &conn{
		server: s, net: n, calls: map[uint32]*Call{}, waiting: map[uint32]*Call{},
		recvLeft: connWindow, sendLeft: defaultWindow, window: defaultWindow, maxFrame: defaultFrame,
	}
	c.ctx, c.cancel = context.WithCancel(peer.NewContext(context.Background(), &peer.Peer{Addr: n.RemoteAddr(), LocalAddr: n.LocalAddr()}))
	c.decoder = hpack.NewDecoder(tableSize, c.head.field)
	c.decoder.SetMaxStringLength(maxHead)
	return c
}

// source reads from the network, before which everything is written: nobody is
// waited for who waits.
type source struct{ *conn }

func (s source) Read(p []byte) (int, error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	return s.net.Read(p)
}

// run serves the connection from its beginning.
func (c *conn) run() {
	now := time.Now()
	_ = c.net.SetReadDeadline(now.Add(c.server.GreetingTime)) // a closed connection says so when it is read
	in := bufio.NewReaderSize(source{c}, readAhead)
	c.greet()
	var greeting [len(http2.ClientPreface)]byte
	if _, err := io.ReadFull(in, greeting[:]); err != nil || string(greeting[:]) != http2.ClientPreface {
		c.close()
		return
	}
	_ = c.net.SetReadDeadline(time.Time{})
	c.framer = http2.NewFramer(nil, in)
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(defaultFrame)
	first, err := c.framer.ReadFrame()
	if err == nil {
		if settings, ok := first.(*http2.SettingsFrame); !ok || settings.IsAck() {
			err = http2.ConnectionError(http2.ErrCodeProtocol)
		} else {
			err = c.settings(settings)
		}
	}
	if err != nil && !c.goOn(err) {
		return
	}
	c.serve()
}

// serve reads frames and answers what they ask, until the connection ends or a
// handler blocks: then another goroutine reads on.
func (c *conn) serve() {
	room := make([]byte, 0, answerRoom) // of this goroutine alone
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			if !c.goOn(err) {
				return
			}
			continue
		}
		call, text, problem, err := c.take(f)
		if err != nil && !c.goOn(err) {
			return
		}
		if call != nil {
			c.answer(call, text, problem, room)
			if call.blocked.Load() {
				return
			}
		}
	}
}

// goOn deals with an error: where it is one of a stream the connection goes on.
func (c *conn) goOn(err error) bool {
	var stream http2.StreamError
	var whole http2.ConnectionError
	switch {
	case errors.As(err, &stream):
		c.reset(stream.StreamID, stream.Code)
		return true
	case errors.As(err, &whole):
		c.part(http2.ErrCode(whole))
	case errors.Is(err, http2.ErrFrameTooLarge):
		c.part(http2.ErrCodeFrameSize)
	}
	c.close()
	return false
}

// part says the last word, and reads on for a little, so that it arrives.
func (c *conn) part(code http2.ErrCode) {
	c.mu.Lock()
	if !c.goodbye {
		c.goodbye = true
		c.out = appendGoAway(c.out, c.lastID, code)
	}
	c.mu.Unlock()
	if c.flush() != nil {
		return
	}
	if half, ok := c.net.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // what follows ends it in any case
	}
	_ = c.net.SetReadDeadline(time.Now().Add(partingTime))
	_, _ = io.Copy(io.Discard, c.net)
}

// close ends the connection and its calls. Whoever reads calls it.
func (c *conn) close() {
	_ = c.net.Close() // it may be closed already
	c.mu.Lock()
	calls := c.calls
	c.calls, c.waiting = nil, nil
	for _, call := range calls {
		call.over = true
	}
	c.mu.Unlock()
	c.cancel()
	c.server.forget(c)
}
