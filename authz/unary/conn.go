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
	in       *bufio.Reader
	framer   *http2.Framer
	wrong    error // with a frame; to be told
	decoder  *hpack.Decoder
	head     head
	heading  uint32 // the stream of the header block that is being read
	ending   bool   // that stream's other end has no more to say
	lastID   uint32
	recvLeft int64 // what the other end may still send
	recvDebt int64 // what was taken since it was last told
	held     int   // bytes of messages that are not all there

	mu       sync.Mutex
	calls    map[uint32]*Call
	waiting  map[uint32]*Call // with answers that the connection does not take yet
	out      []byte           // to be written
	answers  int              // among it
	err      error            // of a write; nothing is written after one
	sendLeft int64            // what the other end takes
	window   int64            // of a new stream
	maxFrame int
	renew    time.Time  // of the time-out for writing
	draining bool       // no new call is taken
	goodbye  bool       // the last word was said
	silent   bool       // and nothing is written after it
	orphans  int        // handlers that run though their calls were taken back
	parted   [32]uint32 // streams that this end has cut lately
	partings int
}

func newConn(s *Server, n net.Conn) *conn {
	c := &conn{
		server: s, net: n, calls: map[uint32]*Call{}, waiting: map[uint32]*Call{},
		recvLeft: connWindow, sendLeft: defaultWindow, window: defaultWindow, maxFrame: defaultFrame,
	}
	c.ctx, c.cancel = context.WithCancel(peer.NewContext(context.Background(), &peer.Peer{Addr: n.RemoteAddr(), LocalAddr: n.LocalAddr()}))
	c.decoder = hpack.NewDecoder(tableSize, c.head.field)
	c.decoder.SetMaxStringLength(maxHead)
	c.greet()
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
	c.in = bufio.NewReaderSize(source{c}, readAhead)
	var greeting [len(http2.ClientPreface)]byte
	if _, err := io.ReadFull(c.in, greeting[:]); err != nil || string(greeting[:]) != http2.ClientPreface {
		c.close()
		return
	}
	_ = c.net.SetReadDeadline(time.Time{})
	c.framer = http2.NewFramer(nil, c.in)
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
	if err != nil {
		c.goOn(fatal(err))
		return
	}
	c.serve(&batch{})
}

// serve answers a batch, reads frames and answers what they ask, until the connection
// ends or a step blocks: then another goroutine does.
func (c *conn) serve(b *batch) {
	_ = c.flush() // what waited for the one before; an error is met when it is read
	for {
		if b.n > 0 && !c.answer(b) {
			return
		}
		if err := c.read(b); err != nil && !c.goOn(err) {
			return
		}
	}
}

// read reads frames until one completes a question, and those that are at hand
// already. What is wrong with a frame is told when the questions before it are
// answered.
func (c *conn) read(b *batch) error {
	if err := c.wrong; err != nil {
		c.wrong = nil
		return err
	}
	for b.n == 0 || b.n < together && c.atHand() {
		f, err := c.framer.ReadFrame()
		if err != nil {
			err = fatal(err)
		} else {
			var call *Call
			var text string
			var problem error
			if call, text, problem, err = c.take(f); call != nil {
				b.add(call, text, problem, c.server.steps(call.path))
			}
		}
		if err != nil && b.n > 0 {
			c.wrong = err
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// fatal is an error of the framer's: where it left a frame unread, a header block in
// it would be missing to the next.
func fatal(err error) error {
	if stream := (http2.StreamError{}); errors.As(err, &stream) {
		return http2.ConnectionError(stream.Code)
	}
	return err
}

// atHand says whether a whole frame was read ahead.
func (c *conn) atHand() bool {
	if c.in.Buffered() < frameHead {
		return false
	}
	head, err := c.in.Peek(frameHead)
	return err == nil && c.in.Buffered()-frameHead >= int(head[0])<<16|int(head[1])<<8|int(head[2])
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
	c.mu.Lock()
	c.silent = true
	c.mu.Unlock()
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
