package unary_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/patrol-authz/patrol/authz/unary"
)

// frames is a client that writes and reads frames by itself.
type frames struct {
	*http2.Framer
	net.Conn
	t     testing.TB
	block bytes.Buffer
	hpack *hpack.Encoder
}

func dial(t testing.TB, path string, settings ...http2.Setting) *frames {
	t.Helper()
	n, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	_ = n.SetDeadline(time.Now().Add(20 * time.Second))
	f := &frames{Framer: http2.NewFramer(n, n), Conn: n, t: t}
	f.hpack = hpack.NewEncoder(&f.block)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(n, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return f
}

// greeted waits until the server has read what was sent so far.
func (f *frames) greeted() {
	f.t.Helper()
	for {
		got, err := f.ReadFrame()
		if err != nil {
			f.t.Fatal(err)
		}
		if a, ok := got.(*http2.SettingsFrame); ok && a.IsAck() {
			return
		}
	}
}

// ask begins a call.
func (f *frames) ask(id uint32, end bool) { f.t.Helper(); f.askFor(id, "/t/Echo", end) }

func (f *frames) askFor(id uint32, method string, end bool) {
	f.t.Helper()
	f.block.Reset()
	fields := []string{":method", "POST", ":scheme", "http", ":path", method, ":authority", "t", "content-type", "application/grpc", "te", "trailers"}
	for i := 0; i < len(fields); i += 2 {
		_ = f.hpack.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.block.Bytes(), EndHeaders: true, EndStream: end}); err != nil {
		f.t.Fatal(err)
	}
}

func message(text string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text)))
	return append(b, text...)
}

// next is the next frame that answers something; nil at the connection's end.
func (f *frames) next() http2.Frame {
	f.t.Helper()
	for {
		got, err := f.ReadFrame()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err != nil && strings.Contains(err.Error(), "reset by peer") {
			return nil
		} else if err != nil {
			f.t.Fatal(err)
		}
		switch got.(type) {
		case *http2.SettingsFrame, *http2.WindowUpdateFrame, *http2.PingFrame:
		default:
			return got
		}
	}
}

// goneBy reads on until the connection's end, and returns the code it ended by.
func (f *frames) goneBy() http2.ErrCode {
	f.t.Helper()
	code := http2.ErrCode(99)
	for {
		switch got := f.next().(type) {
		case nil:
			return code
		case *http2.GoAwayFrame:
			code = got.ErrCode
		}
	}
}

// TestHTTP2IsSpokenAsTheSpecificationSays: h2spec's cases, none left out.
func TestHTTP2IsSpokenAsTheSpecificationSays(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := unary.New(unary.Options{MaxStreams: 100, Unary: methods(nil)})
	go func() { _ = s.Serve(l) }()
	defer s.Stop(time.Second)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	out, err := exec.CommandContext(within(t, 4*time.Minute), "go", "tool", "-modfile=../../tools/go.mod", "h2spec", "-h", "127.0.0.1", "-p", port, "-P", "/t/Echo").CombinedOutput()
	_, failures, _ := strings.Cut(string(out), "Failures:")
	if err != nil || !bytes.Contains(out, []byte("145 tests, 145 passed, 0 skipped, 0 failed")) {
		t.Errorf("h2spec: %v\n%s\n%s", err, failures, out[max(0, len(out)-2000):])
	}
}

// TestABodyIsOneWholeMessage, and plain: what else comes as a body is refused, and
// no part of it is taken for a message. The connection goes on.
func TestABodyIsOneWholeMessage(t *testing.T) {
	flagged := func(flag byte) []byte {
		b := message("text")
		b[0] = flag
		return b
	}
	_, path := serve(t, unary.Options{Unary: methods(nil), Streams: map[string]unary.StreamMethod{
		"/t/Watch": func(c *unary.Call, message string, problem error) error {
			if problem != nil {
				return status.Error(codes.InvalidArgument, problem.Error())
			}
			return c.Send([]byte(message))
		},
	}})
	f := dial(t, path)
	id := uint32(1)
	for name, c := range map[string]struct {
		body []byte
		code codes.Code
		says string // or the answer
	}{
		"a message":                  {message("text"), codes.OK, "text"},
		"an empty message":           {message(""), codes.OK, ""},
		"nothing":                    {nil, codes.InvalidArgument, "there is no message"},
		"a byte":                     {[]byte{0}, codes.InvalidArgument, "the message ends after 1 bytes"},
		"a short prefix":             {[]byte{0, 0}, codes.InvalidArgument, "the message ends after 2 bytes"},
		"almost a prefix":            {[]byte{0, 0, 0, 0}, codes.InvalidArgument, "the message ends after 4 bytes"},
		"a prefix alone":             {message("text")[:5], codes.InvalidArgument, "the message is to have 4 bytes and ends after 0"},
		"a truncated message":        {message("text")[:8], codes.InvalidArgument, "the message is to have 4 bytes and ends after 3"},
		"the longest there can be":   {append([]byte{0, 255, 255, 255, 255}, "text"...), codes.InvalidArgument, "the message is to have 4294967295 bytes and ends after 4"},
		"two messages":               {append(message("text"), message("more")...), codes.InvalidArgument, "there is more than one message"},
		"two empty messages":         {append(message(""), message("")...), codes.InvalidArgument, "there is more than one message"},
		"a message and a byte":       {append(message("text"), 0), codes.InvalidArgument, "there is more than one message"},
		"a compressed message":       {flagged(1), codes.InvalidArgument, "the message is compressed, which this server does not take"},
		"a flag that nobody defined": {flagged(2), codes.InvalidArgument, "the message is compressed, which this server does not take"},
	} {
		for _, method := range []string{"/t/Echo", "/t/Watch"} {
			for how, first := range map[string]int{"at once": 0, "in two frames": len(c.body) / 2} {
				t.Run(fmt.Sprintf("%s, %s, %s", name, method, how), func(t *testing.T) {
					f.t = t
					f.askFor(id, method, false)
					if first > 0 {
						_ = f.WriteData(id, false, c.body[:first])
					}
					_ = f.WriteData(id, true, c.body[first:])
					body, code, says := f.answer(id)
					if c.code == codes.OK && (code != codes.OK || !bytes.Equal(body, message(c.says))) || c.code != codes.OK && (code != c.code || says != c.says || body != nil) {
						t.Errorf("%v: %q, answered %q", code, says, body)
					}
				})
				id += 2
			}
		}
	}
	f.t = t
	f.askFor(id, "/t/Echo", true) // its header block is all that comes
	if body, code, says := f.answer(id); code != codes.InvalidArgument || says != "there is no message" || body != nil {
		t.Errorf("a call without a body: %v: %q, answered %q", code, says, body)
	}
}

// answer reads what a stream is answered: a body, and the trailers' status.
func (f *frames) answer(id uint32) (body []byte, code codes.Code, says string) {
	f.t.Helper()
	for {
		switch a := f.next().(type) {
		case *http2.DataFrame:
			body = append(body, a.Data()...)
		case *http2.MetaHeadersFrame:
			if a.StreamID != id || !a.StreamEnded() {
				continue
			}
			for _, h := range a.Fields {
				switch h.Name {
				case "grpc-status":
					n, err := strconv.Atoi(h.Value)
					if err != nil {
						f.t.Fatal(err)
					}
					code = codes.Code(n)
				case "grpc-message":
					says = h.Value
				}
			}
			return body, code, says
		default:
			f.t.Fatalf("stream %d: %v", id, a)
		}
	}
}

// TestAnAnswerIsWrittenAsItIsTaken: in pieces as small as the other end asks for.
func TestAnAnswerIsWrittenAsItIsTaken(t *testing.T) {
	_, path := serve(t, unary.Options{Unary: methods(nil)})
	f := dial(t, path, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
	text := "a longer text than is taken at once"
	for id := uint32(1); id < 6; id += 2 {
		f.ask(id, false)
		_ = f.WriteData(id, true, message(text))
	}
	got, ended, wider := map[uint32][]byte{}, 0, false
	for ended < 3 {
		switch a := f.next().(type) {
		case *http2.DataFrame:
			if len(a.Data()) > 3 && !wider {
				t.Fatalf("%d bytes at once", len(a.Data()))
			}
			got[a.StreamID] = append(got[a.StreamID], a.Data()...)
			if len(got[a.StreamID]) < 20 {
				_ = f.WriteWindowUpdate(a.StreamID, 3)
			} else if a.StreamID == 5 && len(got[5]) < 24 { // for all of them, by a setting
				wider = true
				_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
			}
		case *http2.MetaHeadersFrame:
			if a.StreamEnded() {
				ended++
			}
		default:
			t.Fatalf("%v", a)
		}
	}
	for id, b := range got {
		if string(b) != string(message(text)) {
			t.Errorf("stream %d: %q", id, b)
		}
	}
}

// TestWhatWouldWearTheServerOutEndsTheConnection, and nothing else.
func TestWhatWouldWearTheServerOutEndsTheConnection(t *testing.T) {
	_, path := serve(t, unary.Options{Unary: methods(nil), MaxStreams: 10})
	for name, c := range map[string]struct {
		flood func(f *frames)
		code  http2.ErrCode
	}{
		"a header block without end": {func(f *frames) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: nil})
			for range 100_000 {
				if f.WriteContinuation(1, false, nil) != nil {
					return
				}
			}
		}, http2.ErrCodeEnhanceYourCalm},
		"a list that is small when compressed": {func(f *frames) {
			f.block.Reset()
			_ = f.hpack.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 3000)})
			for range 5000 { // a byte each
				_ = f.hpack.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 3000)})
			}
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block.Bytes(), EndHeaders: true})
		}, http2.ErrCodeEnhanceYourCalm},
		"a setting that cannot be": {func(f *frames) {
			_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
		}, http2.ErrCodeFlowControl},
	} {
		t.Run(name, func(t *testing.T) {
			f := dial(t, path)
			go c.flood(f)
			if code := f.goneBy(); code != c.code {
				t.Errorf("the connection ends by %v", code)
			}
		})
	}
	if _, err := call(within(t, 5*time.Second), client(t, path), "Echo", nil); err != nil {
		t.Errorf("another connection: %v", err)
	}
}

// TestCallsThatAreTakenBackCountNoMore (CVE-2023-44487) among those that may be at
// once.
func TestCallsThatAreTakenBackCountNoMore(t *testing.T) {
	_, path := serve(t, unary.Options{Unary: methods(nil), MaxStreams: 10})
	f := dial(t, path)
	go func() {
		for id := uint32(1); id < 20_000; id += 2 {
			f.ask(id, false)
			_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		f.ask(20_001, false)
		_ = f.WriteData(20_001, true, message("on"))
	}()
	for {
		switch a := f.next().(type) {
		case *http2.DataFrame:
			if a.StreamID != 20_001 || string(a.Data()) != string(message("on")) {
				t.Errorf("stream %d: %q", a.StreamID, a.Data())
			}
			return
		case *http2.RSTStreamFrame:
			t.Fatalf("stream %d: %v", a.StreamID, a.ErrCode)
		case nil:
			t.Fatal("the connection ended")
		}
	}
}

// TestMoreCallsThanMayBeAreRefused, so that they may be tried again.
func TestMoreCallsThanMayBeAreRefused(t *testing.T) {
	_, path := serve(t, unary.Options{Unary: methods(nil), MaxStreams: 2})
	f := dial(t, path)
	for id := uint32(1); id < 6; id += 2 {
		f.ask(id, false)
	}
	if a, ok := f.next().(*http2.RSTStreamFrame); !ok || a.StreamID != 5 || a.ErrCode != http2.ErrCodeRefusedStream {
		t.Errorf("%v", a)
	}
}

// TestWhoSaysNothingIsLeft after a while.
func TestWhoSaysNothingIsLeft(t *testing.T) {
	_, path := serve(t, unary.Options{Unary: methods(nil), GreetingTime: 200 * time.Millisecond})
	silent, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_ = silent.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, silent); err != nil {
		t.Errorf("it is not left: %v", err)
	}
}

// TestWhoTakesNothingIsLeft after a while, whoever writes: the one who reads, or a
// handler that has said that it waits.
func TestWhoTakesNothingIsLeft(t *testing.T) {
	for name, blocks := range map[string]bool{"by who reads": false, "by a handler that waited": true} {
		t.Run(name, func(t *testing.T) {
			server, path := serve(t, unary.Options{WriteTime: 300 * time.Millisecond, Unary: map[string]unary.Method{
				"/t/Echo": answer(func(c *unary.Call, _ string, _ error) ([]byte, error) {
					if blocks {
						c.Block()
					}
					return make([]byte, 4<<20), nil
				}),
			}})
			f := dial(t, path, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
			_ = f.WriteWindowUpdate(0, 1<<30)
			f.greeted()
			f.ask(1, false)
			_ = f.WriteData(1, true, message("q"))
			begun := time.Now()
			for readers() > 0 { // nothing is taken meanwhile
				if time.Since(begun) > 15*time.Second {
					t.Fatal("the connection does not end")
				}
				time.Sleep(20 * time.Millisecond)
			}
			if n, _ := io.Copy(io.Discard, f.Conn); n == 0 || n >= 4<<20 {
				t.Errorf("%d bytes were written", n)
			}
			begun = time.Now()
			if server.Stop(5 * time.Second); time.Since(begun) > 4*time.Second {
				t.Error("it is held still")
			}
		})
	}
}

// TestWhatIsTooLargeIsAnsweredOnce, though nothing is taken of the answer yet, and
// whatever the other end sends after it: what follows is no message.
func TestWhatIsTooLargeIsAnsweredOnce(t *testing.T) {
	asked := make(chan string, 10)
	note := func(message string, problem error) []byte {
		asked <- message
		if problem != nil {
			return []byte("DENY")
		}
		return []byte("ALLOW")
	}
	server, path := serve(t, unary.Options{MaxMessage: 1000, Unary: map[string]unary.Method{
		"/t/Echo": answer(func(_ *unary.Call, message string, problem error) ([]byte, error) {
			return note(message, problem), nil
		}),
	}, Streams: map[string]unary.StreamMethod{
		"/t/Watch": func(c *unary.Call, message string, problem error) error { return c.Send(note(message, problem)) },
	}})
	for range 50 {
		for _, method := range []string{"/t/Echo", "/t/Watch"} {
			f := dial(t, path, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			f.askFor(1, method, false)
			_ = f.WriteData(1, false, make([]byte, 2000))
			_ = f.WriteData(1, true, message("evil"))
			_ = f.WritePing(false, [8]byte{7})
			for pinged := false; !pinged; {
				got, err := f.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				p, ok := got.(*http2.PingFrame)
				pinged = ok && p.IsAck()
			}
			_ = f.WriteWindowUpdate(1, 1000)
			var body []byte
			for ended := false; !ended; {
				switch a := f.next().(type) {
				case *http2.DataFrame:
					body = append(body, a.Data()...)
				case *http2.MetaHeadersFrame:
					ended = a.StreamEnded()
				case nil:
					t.Fatal("the connection ended")
				}
			}
			if !bytes.Equal(body, message("DENY")) || len(asked) != 1 || <-asked != "" {
				t.Fatalf("%s: %q", method, body)
			}
			f.Close()
		}
	}
	begun := time.Now()
	if server.Stop(5 * time.Second); time.Since(begun) > 4*time.Second {
		t.Error("somebody reads no more")
	}
}

// TestWhatIsNotTakenCostsNothing: windows that are widened a little at a time, and
// settings that change them back and forth, with many answers waiting.
func TestWhatIsNotTakenCostsNothing(t *testing.T) {
	_, path := serve(t, unary.Options{Unary: methods(nil), MaxStreams: 5000})
	f := dial(t, path, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	go func() {
		for id := uint32(1); id < 8000; id += 2 {
			f.ask(id, false)
			_ = f.WriteData(id, true, message("text"))
		}
		for range 2000 {
			_ = f.WriteWindowUpdate(0, 1)
		}
		var many []http2.Setting
		for i := range 2600 {
			many = append(many, http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i % 2)})
		}
		_ = f.WriteSettings(append(many, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})...)
	}()
	begun, ended := time.Now(), 0
	for ended < 4000 {
		switch a := f.next().(type) {
		case *http2.MetaHeadersFrame:
			if a.StreamEnded() {
				ended++
			}
		case *http2.RSTStreamFrame, nil:
			t.Fatalf("%v", a)
		}
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestHandlersOfCallsThatWereTakenBackCount: there are no more of them than calls
// may be.
func TestHandlersOfCallsThatWereTakenBackCount(t *testing.T) {
	var running, most atomic.Int32
	release := make(chan struct{})
	_, path := serve(t, unary.Options{MaxStreams: 10, Unary: map[string]unary.Method{
		"/t/Echo": answer(func(c *unary.Call, _ string, _ error) ([]byte, error) {
			c.Block()
			most.Store(max(most.Load(), running.Add(1)))
			<-release
			running.Add(-1)
			return nil, nil
		}),
	}})
	f := dial(t, path)
	for id := uint32(1); id < 2000; id += 2 {
		f.ask(id, false)
		_ = f.WriteData(id, true, message("q"))
		_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	for refused := false; !refused; { // the first that were too many
		_, refused = f.next().(*http2.RSTStreamFrame)
	}
	close(release)
	for id := uint32(2001); ; id += 2 { // until they have returned
		f.ask(id, false)
		_ = f.WriteData(id, true, message("q"))
		if answered := f.ends(id); answered {
			break
		}
	}
	if n := most.Load(); n > 10 {
		t.Errorf("%d handlers at once", n)
	}
}

// ends says whether a stream ends by an answer, and not by a reset.
func (f *frames) ends(id uint32) bool {
	f.t.Helper()
	for {
		switch a := f.next().(type) {
		case *http2.MetaHeadersFrame:
			if a.StreamID == id && a.StreamEnded() {
				return true
			}
		case *http2.RSTStreamFrame:
			if a.StreamID == id {
				return false
			}
		case nil:
			f.t.Fatal("the connection ended")
		}
	}
}

// FuzzConn sends what comes to mind: the server goes on with others.
func FuzzConn(f *testing.F) {
	var b bytes.Buffer
	framer := http2.NewFramer(&b, nil)
	_ = framer.WriteSettings()
	f.Add(bytes.Clone(b.Bytes()))
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, p := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/t/Echo"}, {"content-type", "application/grpc"}, {"grpc-timeout", "1S"}} {
		_ = e.WriteField(hpack.HeaderField{Name: p[0], Value: p[1]})
	}
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = framer.WriteData(1, true, message("text"))
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block.Bytes()[:7]})
	_ = framer.WriteContinuation(3, true, block.Bytes()[7:])
	_ = framer.WriteDataPadded(3, false, []byte{0, 0}, make([]byte, 9))
	_ = framer.WriteRSTStream(3, http2.ErrCodeCancel)
	_ = framer.WritePing(false, [8]byte{1})
	_ = framer.WriteWindowUpdate(0, 9)
	_ = framer.WriteGoAway(3, http2.ErrCodeNo, nil)
	f.Add(bytes.Clone(b.Bytes()))
	server, path := serve(f, unary.Options{Unary: methods(nil)})
	_ = server
	other := client(f, path)
	f.Fuzz(func(t *testing.T, frames []byte) {
		n, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		_ = n.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			_, _ = n.Write(append([]byte(http2.ClientPreface), frames...))
			_ = n.(*net.UnixConn).CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, n); err != nil && !strings.Contains(err.Error(), "reset by peer") {
			t.Errorf("the connection does not end: %v", err)
		}
		if got, err := call(context.Background(), other, "Echo", []byte("on")); err != nil || string(got) != "on" {
			t.Errorf("another: %q, %v", got, err)
		}
	})
}
