package unary

import (
	"fmt"
	"time"

	"golang.org/x/net/http2"
)

// take takes a frame. Where it completes a request, that is returned with its
// message, or with what is wrong with that. An error is one of [http2].
func (c *conn) take(f http2.Frame) (call *Call, text string, problem, err error) {
	switch f := f.(type) {
	case *http2.HeadersFrame:
		id := f.StreamID
		if id%2 == 0 {
			return nil, "", nil, http2.ConnectionError(http2.ErrCodeProtocol)
		}
		c.head, c.heading, c.ending = head{length: -1}, id, f.StreamEnded()
		if f.HasPriority() && f.Priority.StreamDep == id {
			c.head.malformed = true
		}
		return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.ContinuationFrame:
		return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.DataFrame:
		return c.data(f)
	case *http2.SettingsFrame:
		if !f.IsAck() {
			err = c.settings(f)
		}
	case *http2.WindowUpdateFrame:
		err = c.widen(f.StreamID, int64(f.Increment))
	case *http2.PingFrame:
		c.ping(f)
	case *http2.RSTStreamFrame:
		if f.StreamID > c.lastID {
			return nil, "", nil, http2.ConnectionError(http2.ErrCodeProtocol)
		}
		c.drop(f.StreamID)
	case *http2.PriorityFrame:
		switch {
		case f.StreamDep != f.StreamID:
		case f.StreamID > c.lastID:
			err = http2.ConnectionError(http2.ErrCodeProtocol)
		default:
			err = http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeProtocol}
		}
	case *http2.PushPromiseFrame:
		err = http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return nil, "", nil, err
}

// fragment takes a part of a header block. What cannot be decompressed ends the
// connection, whose table is then unknown.
func (c *conn) fragment(part []byte, last bool) (*Call, string, error, error) {
	c.head.size += frameHead + len(part) // empty ones are no way around the bound
	if c.head.size > maxHead {
		return nil, "", nil, http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	if _, err := c.decoder.Write(part); err != nil {
		return nil, "", nil, http2.ConnectionError(http2.ErrCodeCompression)
	}
	if c.head.list > maxHead {
		return nil, "", nil, http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	if !last {
		return nil, "", nil, nil
	}
	if err := c.decoder.Close(); err != nil {
		return nil, "", nil, http2.ConnectionError(http2.ErrCodeCompression)
	}
	return c.headed()
}

// headed takes a whole header block: of a new call, or what follows a message.
func (c *conn) headed() (*Call, string, error, error) {
	id, wrong := c.heading, func(code http2.ErrCode) (*Call, string, error, error) {
		return nil, "", nil, http2.StreamError{StreamID: c.heading, Code: code}
	}
	if id <= c.lastID {
		call := c.call(id)
		switch {
		case call == nil && c.hasParted(id), call != nil && call.handed && !call.complete:
			return nil, "", nil, nil // it did not know yet
		case call == nil:
			return nil, "", nil, http2.ConnectionError(http2.ErrCodeProtocol)
		case call.complete:
			return wrong(http2.ErrCodeStreamClosed)
		case !c.ending || c.head.malformed || c.head.seen != 0:
			return wrong(http2.ErrCodeProtocol)
		}
		return c.completed(call, call.body)
	}
	c.lastID = id
	if !c.head.whole() {
		return wrong(http2.ErrCodeProtocol)
	}
	call := &Call{conn: c, id: id, path: c.head.path, incoming: incoming{recvLeft: streamWindow, length: c.head.length}}
	call.refusal = c.server.refusal(&c.head)
	if c.head.timeout != "" {
		left, ok := timeoutOf(c.head.timeout)
		if !ok {
			return wrong(http2.ErrCodeProtocol)
		}
		call.deadline = time.Now().Add(left)
	}
	if !c.admit(call) {
		return wrong(http2.ErrCodeRefusedStream)
	}
	if c.ending {
		return c.completed(call, nil)
	}
	return nil, "", nil, nil
}

// data takes a part of a message. What is whole in one frame is taken from it as it
// is, and not put together first.
func (c *conn) data(f *http2.DataFrame) (*Call, string, error, error) {
	if f.StreamID > c.lastID {
		return nil, "", nil, http2.ConnectionError(http2.ErrCodeProtocol)
	}
	length := int64(f.Length)
	if c.recvLeft -= length; c.recvLeft < 0 {
		return nil, "", nil, http2.ConnectionError(http2.ErrCodeFlowControl)
	}
	if c.recvDebt += length; c.recvDebt >= connWindow/2 {
		c.allow(0, c.recvDebt)
		c.recvLeft, c.recvDebt = c.recvLeft+c.recvDebt, 0
	}
	call := c.call(f.StreamID)
	switch {
	case call == nil && c.hasParted(f.StreamID), call != nil && call.handed && !call.complete:
		return nil, "", nil, nil // it did not know yet
	case call == nil || call.complete:
		return nil, "", nil, http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeStreamClosed}
	}
	if call.recvLeft -= length; call.recvLeft < 0 {
		return nil, "", nil, http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeFlowControl}
	}
	part := f.Data()
	call.came += int64(len(part))
	if call.refusal != nil {
		part = nil // nobody reads it
	}
	if limit := c.server.MaxMessage; len(call.body)+len(part) > limit+prefix {
		c.release(call)
		call.complete, call.handed = f.StreamEnded(), true
		return call, "", fmt.Errorf("the message has more than %d bytes", limit), nil
	}
	if f.StreamEnded() {
		if len(call.body) == 0 {
			return c.completed(call, part)
		}
		c.held += len(part)
		call.body = append(call.body, part...)
		return c.completed(call, call.body)
	}
	call.body = append(call.body, part...)
	if c.held += len(part); c.held > mostHeld+c.server.MaxMessage {
		return nil, "", nil, http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeEnhanceYourCalm}
	}
	if call.recvLeft < streamWindow/2 {
		c.allow(call.id, streamWindow-call.recvLeft)
		call.recvLeft = streamWindow
	}
	return nil, "", nil, nil
}

// mostHeld is how much of messages that are not all there a connection may hold,
// beside one of the greatest size.
const mostHeld = 16 << 20

// release lets go of what came of a message.
func (c *conn) release(call *Call) {
	c.held -= len(call.body)
	call.body = nil
}

// completed is a call whose message is all there.
func (c *conn) completed(call *Call, body []byte) (*Call, string, error, error) {
	c.release(call)
	call.complete = true
	if call.length >= 0 && call.length != call.came {
		return nil, "", nil, http2.StreamError{StreamID: call.id, Code: http2.ErrCodeProtocol}
	}
	if call.refusal != nil {
		c.refuse(call)
		return nil, "", nil, nil
	}
	text, problem := message(body)
	call.handed = true
	return call, text, problem, nil
}
