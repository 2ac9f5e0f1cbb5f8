package unary

import (
	"bytes"

	"golang.org/x/net/http2"
)

// What holds until the other end says otherwise (RFC 9113, 6.5.2).
const (
	defaultWindow = 65_535
	defaultFrame  = 16_384
	mostWindow    = 1<<31 - 1
)

// settings takes what the other end sets, and says so. Of several for one thing the
// last counts.
func (c *conn) settings(f *http2.SettingsFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	window := c.window
	err := f.ForeachSetting(func(s http2.Setting) error {
		switch s.ID {
		case http2.SettingInitialWindowSize:
			window = int64(s.Val)
		case http2.SettingMaxFrameSize:
			c.maxFrame = int(s.Val)
		}
		return s.Valid()
	})
	if err != nil {
		return err
	}
	c.out = appendFrame(c.out, http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
	change := window - c.window
	if c.window = window; change == 0 {
		return nil
	}
	for _, call := range c.calls {
		if call.sendLeft += change; call.sendLeft > mostWindow {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		if len(call.rest) > 0 {
			c.more(call)
		}
	}
	return nil
}

// widen takes how much more the other end takes.
func (c *conn) widen(id uint32, more int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch call := c.calls[id]; {
	case id == 0:
		if c.sendLeft += more; c.sendLeft > mostWindow {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		for _, call := range c.waiting {
			if c.sendLeft <= 0 {
				break
			}
			c.more(call)
		}
	case id > c.lastID:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	case call != nil:
		if call.sendLeft += more; call.sendLeft > mostWindow {
			return http2.StreamError{StreamID: id, Code: http2.ErrCodeFlowControl}
		}
		if len(call.rest) > 0 {
			c.more(call)
		}
	}
	return nil
}

// parting is what the ping holds whose answer says that the other end has read that
// no new calls are taken.
var parting = []byte("no more.")

func (c *conn) ping(f *http2.PingFrame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !f.IsAck() {
		c.out = appendFrame(c.out, http2.FramePing, http2.FlagPingAck, 0, len(f.Data))
		c.out = append(c.out, f.Data[:]...)
		return
	}
	if c.draining || !bytes.Equal(f.Data[:], parting) || !c.server.stopping.Load() {
		return
	}
	c.draining = true
	for _, call := range c.calls { // a stream may have no end of its own
		if c.server.Streams[call.path] != nil {
			call.end()
		}
	}
	c.out = appendGoAway(c.out, c.lastID, http2.ErrCodeNo)
	c.leave()
}

// drain asks the other end for no new calls; those that it sent before it knew are
// still taken.
func (c *conn) drain() {
	c.mu.Lock()
	c.out = appendGoAway(c.out, mostWindow, http2.ErrCodeNo)
	c.out = appendFrame(c.out, http2.FramePing, 0, 0, len(parting))
	c.out = append(c.out, parting...)
	c.mu.Unlock()
	_ = c.flush() // whoever reads sees an error
}
