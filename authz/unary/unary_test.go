package unary_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/unary"
)

// raw hands messages over as they are.
type raw struct{}

func (raw) Name() string                       { return "proto" }
func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }

// echo answers with what it is asked.
func echo(q *unary.Question) ([]byte, error) {
	if q.Problem != nil {
		return nil, status.Error(codes.InvalidArgument, q.Problem.Error())
	}
	return append(q.Room, q.Message...), nil
}

// answer is a method of one step that is told what most want to know.
func answer(f func(c *unary.Call, message string, problem error) ([]byte, error)) unary.Method {
	return unary.At(func(q *unary.Question) ([]byte, error) { return f(q.Call, q.Message, q.Problem) })
}

// methods of a service t.
func methods(m map[string]unary.Method) map[string]unary.Method {
	out := map[string]unary.Method{"/t/Echo": unary.At(echo)}
	for name, do := range m {
		out["/t/"+name] = do
	}
	return out
}

// serve serves on a Unix socket until the test ends.
func serve(t testing.TB, o unary.Options) (server *unary.Server, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server = unary.New(o)
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop(time.Second)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return server, path
}

// client is gRPC's own.
func client(t testing.TB, path string, o ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	o = append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(1<<30), grpc.MaxCallSendMsgSize(1<<30)), //nolint:staticcheck // the old interface suffices
	}, o...)
	c, err := grpc.NewClient("unix:"+path, o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func call(ctx context.Context, c *grpc.ClientConn, method string, message []byte, o ...grpc.CallOption) ([]byte, error) {
	var out []byte
	err := c.Invoke(ctx, "/t/"+method, &message, &out, o...)
	return out, err
}

// within gives a test's step some time.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// TestGRPCsOwnClientIsAnswered, whatever the size, and many at once.
func TestGRPCsOwnClientIsAnswered(t *testing.T) {
	_, path := serve(t, unary.Options{Unary: methods(nil), MaxMessage: 8 << 20})
	c := client(t, path)
	for _, size := range []int{0, 1, 1400, 16_379, 16_380, 70_000, 1 << 20, 5 << 20} {
		message := noise(size)
		got, err := call(within(t, 10*time.Second), c, "Echo", message)
		if err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes: %d bytes, %v", size, len(got), err)
		}
	}
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := range 100 {
				message := noise(i * 37)
				if got, err := call(within(t, 20*time.Second), c, "Echo", message); err != nil || !bytes.Equal(got, message) {
					t.Errorf("%d bytes: %d bytes, %v", len(message), len(got), err)
				}
			}
		})
	}
	all.Wait()
}

// TestWhatIsNoCallIsRefused by gRPC's statuses; the connection goes on.
func TestWhatIsNoCallIsRefused(t *testing.T) {
	_, path := serve(t, unary.Options{MaxMessage: 1000, Unary: methods(map[string]unary.Method{
		"Fail": answer(func(*unary.Call, string, error) ([]byte, error) {
			return nil, status.Error(codes.NotFound, "no 100 % “such”\nthing")
		}),
		"Plain":   answer(func(*unary.Call, string, error) ([]byte, error) { return nil, errors.New("broken") }),
		"Panic":   answer(func(*unary.Call, string, error) ([]byte, error) { panic("broken") }),
		"Nothing": answer(func(*unary.Call, string, error) ([]byte, error) { return nil, nil }),
	})})
	c := client(t, path)
	for name, q := range map[string]struct {
		method  string
		message []byte
		code    codes.Code
		says    string
		options []grpc.CallOption
	}{
		"an unknown method":       {method: "Other", code: codes.Unimplemented, says: "there is no method /t/Other"},
		"a status":                {method: "Fail", code: codes.NotFound, says: "no 100 % “such”\nthing"},
		"another error":           {method: "Plain", code: codes.Unknown, says: "broken"},
		"a panic":                 {method: "Panic", code: codes.Internal, says: "the server failed"},
		"an empty answer":         {method: "Nothing", code: codes.OK},
		"a message that is large": {method: "Echo", message: noise(1001), code: codes.InvalidArgument, says: "more than 1000 bytes"},
		"a very large one":        {method: "Echo", message: noise(3 << 20), code: codes.InvalidArgument, says: "more than 1000 bytes"},
		"a compressed one":        {method: "Echo", message: make([]byte, 500), code: codes.InvalidArgument, says: "compressed", options: []grpc.CallOption{grpc.UseCompressor(gzip.Name)}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := call(within(t, 10*time.Second), c, q.method, q.message, q.options...)
			if s := status.Convert(err); s.Code() != q.code || !strings.Contains(s.Message(), q.says) {
				t.Errorf("%v: %s", s.Code(), s.Message())
			}
			if got, err := call(within(t, 10*time.Second), c, "Echo", []byte("on")); err != nil || string(got) != "on" {
				t.Errorf("after it: %q, %v", got, err)
			}
		})
	}
}

// TestAHandlerThatBlocksHoldsUpNobody on its connection, where it says so.
func TestAHandlerThatBlocksHoldsUpNobody(t *testing.T) {
	release := make(chan struct{})
	_, path := serve(t, unary.Options{Unary: methods(map[string]unary.Method{
		"Wait": answer(func(c *unary.Call, _ string, _ error) ([]byte, error) {
			authz.Blocking(context.WithValue(c, "a", "b")) //nolint:staticcheck // some derived context
			c.Block()
			<-release
			return []byte("waited"), nil
		}),
	})})
	c := client(t, path)
	var waiting sync.WaitGroup
	for range 10 {
		waiting.Go(func() {
			if got, err := call(within(t, 20*time.Second), c, "Wait", nil); err != nil || string(got) != "waited" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	for range 100 {
		if _, err := call(within(t, 10*time.Second), c, "Echo", noise(100)); err != nil {
			t.Error(err)
		}
	}
	close(release)
	waiting.Wait()
}

// TestAContextEnds when the handler should give up: the time is up, the caller
// takes the call back, or goes; and who called is told by it.
func TestAContextEnds(t *testing.T) {
	ended, began := make(chan error, 1), make(chan struct{}, 1)
	_, path := serve(t, unary.Options{Unary: methods(map[string]unary.Method{
		"Wait": answer(func(c *unary.Call, message string, _ error) ([]byte, error) {
			c.Block()
			began <- struct{}{}
			if _, has := c.Deadline(); has != (message == "timed") {
				ended <- fmt.Errorf("a deadline: %v", has)
			}
			ctx, cancel := context.WithCancel(c)
			defer cancel()
			<-ctx.Done()
			ended <- c.Err()
			return nil, ctx.Err()
		}),
		"Late": answer(func(c *unary.Call, _ string, _ error) ([]byte, error) {
			time.Sleep(30 * time.Millisecond)
			ended <- c.Err()
			return nil, nil
		}),
		"Who": answer(func(c *unary.Call, _ string, _ error) ([]byte, error) {
			p, ok := peer.FromContext(c)
			return fmt.Appendf(nil, "%v %s %v", ok, p.Addr.Network(), c.Err()), nil
		}),
	})})
	if got, err := call(within(t, 5*time.Second), client(t, path), "Who", nil); string(got) != "true unix <nil>" {
		t.Errorf("%s, %v", got, err)
	}
	for name, q := range map[string]struct {
		method string
		give   func(*grpc.ClientConn)
		want   error
	}{
		"the time is up": {"Wait", func(c *grpc.ClientConn) {
			_, _ = call(within(t, 50*time.Millisecond), c, "Wait", []byte("timed"))
		}, nil}, // the caller takes it back then, too
		"unless it asks, too": {"Late", func(c *grpc.ClientConn) {
			_, _ = call(within(t, 20*time.Millisecond), c, "Late", nil)
		}, context.DeadlineExceeded},
		"it is taken back": {"Wait", func(c *grpc.ClientConn) {
			ctx, cancel := context.WithCancel(context.Background())
			go func() { <-began; cancel() }()
			_, _ = call(ctx, c, "Wait", nil)
		}, context.Canceled},
		"the connection ends": {"Wait", func(c *grpc.ClientConn) {
			go func() { <-began; c.Close() }()
			_, _ = call(context.Background(), c, "Wait", nil)
		}, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			q.give(client(t, path))
			select {
			case err := <-ended:
				if err == nil || q.want != nil && !errors.Is(err, q.want) {
					t.Errorf("the context ends with %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Error("the handler was not told")
			}
			select {
			case <-began:
			default:
			}
		})
	}
}

// readers is how many goroutines read a connection.
func readers() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "unary.(*conn).serve(")
}

// TestBlockingAfterwardsIsNothing: a goroutine that outlives the handler may still
// have its context.
func TestBlockingAfterwardsIsNothing(t *testing.T) {
	left := make(chan *unary.Call, 1)
	_, path := serve(t, unary.Options{Unary: methods(map[string]unary.Method{
		"Leave": answer(func(c *unary.Call, _ string, _ error) ([]byte, error) { left <- c; return nil, nil }),
	})})
	c := client(t, path)
	if _, err := call(within(t, 5*time.Second), c, "Leave", nil); err != nil {
		t.Fatal(err)
	}
	last := <-left
	<-last.Done()
	before := readers()
	authz.Blocking(last)
	last.Block()
	time.Sleep(50 * time.Millisecond)
	if n := readers(); n != before || before != 1 {
		t.Errorf("%d read where %d did", n, before)
	}
}

// TestAStreamIsAnsweredAsItGoes and ends when the server stops.
func TestAStreamIsAnsweredAsItGoes(t *testing.T) {
	next := make(chan string)
	server, path := serve(t, unary.Options{Unary: methods(nil), Streams: map[string]unary.StreamMethod{
		"/t/Watch": func(c *unary.Call, message string, _ error) error {
			for {
				select {
				case s := <-next:
					if err := c.Send([]byte(message + s)); err != nil {
						return err
					}
				case <-c.Done():
					return status.Error(codes.Canceled, "the end")
				}
			}
		},
	}})
	c := client(t, path)
	stream, err := c.NewStream(within(t, 20*time.Second), &grpc.StreamDesc{ServerStreams: true}, "/t/Watch")
	if err != nil {
		t.Fatal(err)
	}
	asked := []byte("a")
	if err := errors.Join(stream.SendMsg(&asked), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"1", "2", strings.Repeat("3", 200_000)} {
		next <- s
		var got []byte
		if err := stream.RecvMsg(&got); err != nil || string(got) != "a"+s {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if _, err := call(within(t, 5*time.Second), c, "Echo", nil); err != nil {
			t.Errorf("a call beside it: %v", err)
		}
	}
	server.Stop(5 * time.Second)
	var got []byte
	if err := stream.RecvMsg(&got); status.Code(err) != codes.Canceled || status.Convert(err).Message() != "the end" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestStoppingLetsCallsEnd, takes no new ones, and breaks off what lasts too long.
func TestStoppingLetsCallsEnd(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	wait := map[string]unary.Method{"Wait": answer(func(c *unary.Call, message string, _ error) ([]byte, error) {
		c.Block()
		began <- struct{}{}
		if message == "long" {
			<-c.Done()
		}
		<-release
		return []byte("done"), nil
	})}
	server, path := serve(t, unary.Options{Unary: methods(wait)})
	c := client(t, path)
	answer, stopped := make(chan error), make(chan struct{})
	go func() {
		got, err := call(context.Background(), c, "Wait", nil)
		if err == nil && string(got) != "done" {
			err = fmt.Errorf("answered %q", got)
		}
		answer <- err
	}()
	<-began
	go func() { server.Stop(10 * time.Second); close(stopped) }()
	for { // until no new one is taken
		if _, err := call(within(t, 5*time.Second), c, "Echo", nil); status.Code(err) == codes.Unavailable {
			break
		}
	}
	select {
	case <-stopped:
		t.Error("it stopped while a call went on")
	default:
	}
	close(release)
	if err := <-answer; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	<-stopped

	server, path = serve(t, unary.Options{Unary: methods(wait)})
	c = client(t, path)
	go func() { _, err := call(context.Background(), c, "Wait", []byte("long")); answer <- err }()
	<-began
	begun := time.Now()
	server.Stop(50 * time.Millisecond)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it stopped after %v", took)
	}
	if err := <-answer; status.Code(err) != codes.Unavailable {
		t.Errorf("what was broken off: %v", err)
	}
}
