package unary

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"golang.org/x/net/http2"
)

// together is how many questions are answered together, and how many answers wait for
// others to be written with them.
const together = 8

// mostKept is how much room for writing a connection keeps, and answerRoom how much
// for an answer: most are smaller.
const (
	mostKept   = 64 << 10
	answerRoom = 2 << 10
)

// greet says what this end takes.
func (c *conn) greet() {
	settings := []http2.Setting{
		{ID: http2.SettingMaxConcurrentStreams, Val: uint32(c.server.MaxStreams)}, //nolint:gosec // a small number
		{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		{ID: http2.SettingMaxHeaderListSize, Val: maxHead},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = appendFrame(c.out, http2.FrameSettings, 0, 0, 6*len(settings))
	for _, s := range settings {
		c.out = binary.BigEndian.AppendUint16(c.out, uint16(s.ID))
		c.out = binary.BigEndian.AppendUint32(c.out, s.Val)
	}
	c.out = appendWindow(c.out, 0, connWindow-defaultWindow)
}

// allow tells the other end how much more is taken.
func (c *conn) allow(id uint32, more int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = appendWindow(c.out, id, more)
}

// flush writes what is to be written.
func (c *conn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write()
}

// write is flush, where the lock is held already.
func (c *conn) write() error {
	if c.silent {
		c.out = c.out[:0]
	}
	if c.err != nil || len(c.out) == 0 {
		return c.err
	}
	if now := time.Now(); now.After(c.renew) {
		c.renew = now.Add(c.server.WriteTime / 2)
		_ = c.net.SetWriteDeadline(now.Add(c.server.WriteTime)) // a closed connection says so when it is written
	}
	if _, c.err = c.net.Write(c.out); c.err != nil {
		_ = c.net.SetReadDeadline(time.Unix(1, 0)) // whoever reads shall see it
	}
	c.out, c.answers = c.out[:0], 0
	if cap(c.out) > mostKept {
		c.out = nil
	}
	return c.err
}

// call returns a call that goes on.
func (c *conn) call(id uint32) *Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[id]
}

// admit takes a new call, unless there are too many or none are taken any more.
func (c *conn) admit(call *Call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining || len(c.calls)+c.orphans >= c.server.MaxStreams {
		return false
	}
	call.sendLeft = c.window
	c.calls[call.id] = call
	return true
}

// drop forgets a call that the other end took back.
func (c *conn) drop(id uint32) {
	c.mu.Lock()
	call := c.calls[id]
	if call != nil {
		if call.orphan = call.handed && !call.finished; call.orphan {
			c.orphans++
		}
		c.remove(call)
	}
	c.mu.Unlock()
	if call != nil {
		c.release(call)
		call.end()
	}
}

// reset tells that a stream is in error, and forgets its call.
func (c *conn) reset(id uint32, code http2.ErrCode) {
	c.drop(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut(id, code)
}

// cut ends a stream on which the other end may have more to say: what it sent
// before it knew is let pass.
func (c *conn) cut(id uint32, code http2.ErrCode) {
	c.out = appendReset(c.out, id, code)
	c.parted[c.partings%len(c.parted)] = id
	c.partings++
}

// hasParted says whether this end has cut a stream lately.
func (c *conn) hasParted(id uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.parted[:], id)
}

// remove forgets a call.
func (c *conn) remove(call *Call) {
	call.over = true
	delete(c.calls, call.id)
	delete(c.waiting, call.id)
	c.leave()
}

// leave ends a connection on which no new calls are taken, once there are none.
func (c *conn) leave() {
	if !c.draining || len(c.calls) > 0 || c.goodbye {
		return
	}
	c.goodbye = true
	if c.write() != nil {
		return
	}
	c.silent = true
	if half, ok := c.net.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // what follows ends it in any case
	}
	_ = c.net.SetReadDeadline(time.Now().Add(partingTime))
}

// refuse answers what is no call of a method here.
func (c *conn) refuse(call *Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.over {
		return
	}
	call.began = true
	flags := http2.FlagHeadersEndHeaders
	if call.refusal.text == "" {
		flags |= http2.FlagHeadersEndStream
	}
	c.out = appendFrame(c.out, http2.FrameHeaders, flags, call.id, len(call.refusal.head))
	c.out = append(c.out, call.refusal.head...)
	if call.refusal.text == "" {
		c.ended(call)
		return
	}
	call.rest, call.last = []byte(call.refusal.text), true
	c.more(call)
}

// ended forgets a call that is answered. Where the other end has not said all, it
// is told that nobody listens.
func (c *conn) ended(call *Call) {
	if !call.complete {
		c.cut(call.id, http2.ErrCodeNo)
	}
	c.remove(call)
}

// finish ends a question by its answer.
func (c *conn) finish(q *Question) {
	c.reply(q)
	q.Call.end()
}

// reply writes the answer of a unary call, or the end of a stream. Where others
// read on, nobody else would flush.
func (c *conn) reply(q *Question) {
	call, message, err := q.Call, q.Answer, q.Failure
	waited := call.state.Load() == blocked
	c.mu.Lock()
	defer c.mu.Unlock()
	call.finished = true
	if call.orphan {
		c.orphans--
	}
	if call.over {
		return
	}
	trailers := answerEnd
	switch {
	case err != nil && !call.began:
		trailers = errorHead(err)
		call.began = true
	case err != nil:
		trailers = block(statusPairs(err)...)
	case !q.stream:
		c.send(call, message)
	case !call.began:
		c.begin(call)
	}
	c.trail(call, trailers)
	if c.answers++; waited || c.answers >= together {
		_ = c.write() // whoever reads is told of an error
	}
}

// Send answers a call of a stream with one more message, at once. It fails where
// the call has ended.
func (c *Call) Send(message []byte) error {
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	if c.over {
		return context.Canceled
	}
	c.conn.send(c, message)
	return c.conn.write()
}

// begin writes the answer's header block.
func (c *conn) begin(call *Call) {
	call.began = true
	c.out = appendFrame(c.out, http2.FrameHeaders, http2.FlagHeadersEndHeaders, call.id, len(answerHead))
	c.out = append(c.out, answerHead...)
}

// send writes a message, as much of it as the other end takes.
func (c *conn) send(call *Call, message []byte) {
	if !call.began {
		c.begin(call)
	}
	if n := int64(prefix + len(message)); len(call.rest) == 0 && n <= int64(c.maxFrame) && n <= c.sendLeft && n <= call.sendLeft {
		c.out = appendFrame(c.out, http2.FrameData, 0, call.id, int(n))
		c.out = framed(c.out, message)
		c.sendLeft, call.sendLeft = c.sendLeft-n, call.sendLeft-n
		return
	}
	call.rest = framed(call.rest, message)
	c.more(call)
}

// trail ends an answer, once the other end has taken the rest of it.
func (c *conn) trail(call *Call, trailers []byte) {
	call.trailers = trailers
	c.more(call)
}

// more writes what the other end takes now of an answer that is not written whole.
func (c *conn) more(call *Call) {
	for len(call.rest) > 0 {
		n := min(int64(len(call.rest)), int64(c.maxFrame), c.sendLeft, call.sendLeft)
		if n <= 0 {
			if call.sendLeft > 0 { // it is the connection that takes no more
				c.waiting[call.id] = call
			} else {
				delete(c.waiting, call.id)
			}
			return
		}
		flags := http2.Flags(0)
		if call.last && n == int64(len(call.rest)) {
			flags = http2.FlagDataEndStream
		}
		c.out = appendFrame(c.out, http2.FrameData, flags, call.id, int(n))
		c.out = append(c.out, call.rest[:n]...)
		call.rest = call.rest[n:]
		c.sendLeft, call.sendLeft = c.sendLeft-n, call.sendLeft-n
	}
	delete(c.waiting, call.id)
	if call.last {
		c.ended(call)
	}
	if call.trailers != nil {
		c.out = appendFrame(c.out, http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, call.id, len(call.trailers))
		c.out = append(c.out, call.trailers...)
		c.ended(call)
	}
}
