package unary_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

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

// ask begins a call; more fields may be given.
func (f *frames) ask(id uint32, end bool, more ...string) {
	f.t.Helper()
	f.block.Reset()
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", "/t/Echo", ":authority", "t", "content-type", "application/grpc", "te", "trailers"}, more...)
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

// TestCallsThatAreTakenBackCountNoMore (CVE-2023-44487): neither as one of those
// that may be at once, nor do they hold anything.
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

// TestWhoTakesNothingIsLeft after a while, and who says nothing, too.
func TestWhoTakesNothingIsLeft(t *testing.T) {
	_, path := serve(t, unary.Options{Unary: methods(nil), GreetingTime: 200 * time.Millisecond, WriteTime: 200 * time.Millisecond})
	silent, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_ = silent.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.Copy(io.Discard, silent); err != nil {
		t.Errorf("who says nothing: %v", err)
	}

	f := dial(t, path, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	_ = f.WriteWindowUpdate(0, 1<<30)
	text := message(strings.Repeat("x", 16_000))
	for id := uint32(1); ; id += 2 {
		f.block.Reset()
		f.ask2(id)
		if err := f.WriteData(id, true, text); err != nil {
			return // it was left
		}
	}
}

// ask2 is ask where the connection may end.
func (f *frames) ask2(id uint32) {
	for _, p := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/t/Echo"}, {"content-type", "application/grpc"}} {
		_ = f.hpack.WriteField(hpack.HeaderField{Name: p[0], Value: p[1]})
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.block.Bytes(), EndHeaders: true})
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
