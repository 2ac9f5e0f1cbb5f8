package unary_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/unary"
)

// steps note who did what, in three steps; what is asked may block, or panic.
type steps struct {
	mu    sync.Mutex
	log   []string
	waits chan struct{}
}

func (s *steps) step(n int) unary.Step {
	return func(q *unary.Question) {
		s.mu.Lock()
		s.log = append(s.log, fmt.Sprintf("%s%d", q.Message[:1], n))
		s.mu.Unlock()
		if q.Message[1:] == fmt.Sprintf(" blocks at %d", n) {
			q.Call.Block()
			<-s.waits
		}
		if q.Message[1:] == fmt.Sprintf(" panics at %d", n) {
			panic("broken")
		}
		state, _ := q.State.(string)
		q.State = state + q.Message[:1]
		q.Answer = append(q.Room, q.State.(string)...)
	}
}

func (s *steps) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, " ")
}

// TestWhatComesTogetherGoesTogether: each step for all, before the next one. What
// blocks goes on alone, and the others without it; a panic is the end of one.
func TestWhatComesTogetherGoesTogether(t *testing.T) {
	for name, c := range map[string]struct {
		questions []string
		log       string   // until somebody waits, or all are answered
		after     string   // and then
		answers   []string // in their order
	}{
		"all go on": {[]string{"a", "b", "c"}, "a0 b0 c0 a1 b1 c1 a2 b2 c2", "", []string{"aaa", "bbb", "ccc"}},
		"more than go together": {
			[]string{"a", "b", "c", "d", "e", "f", "g", "h", "i"},
			"a0 b0 c0 d0 e0 f0 g0 h0 a1 b1 c1 d1 e1 f1 g1 h1 a2 b2 c2 d2 e2 f2 g2 h2 i0 i1 i2", "",
			[]string{"aaa", "bbb", "ccc", "ddd", "eee", "fff", "ggg", "hhh", "iii"},
		},
		"the first blocks":             {[]string{"a blocks at 0", "b", "c"}, "a0 b0 c0 b1 c1 b2 c2", "a1 a2", []string{"bbb", "ccc", "aaa"}},
		"one in the middle, and later": {[]string{"a", "b blocks at 1", "c"}, "a0 b0 c0 a1 b1 c1 a2 c2", "b2", []string{"aaa", "ccc", "bbb"}},
		"the last, at the end":         {[]string{"a", "b", "c blocks at 2"}, "a0 b0 c0 a1 b1 c1 a2 b2 c2", "", []string{"aaa", "bbb", "ccc"}},
		"two of them":                  {[]string{"a blocks at 1", "b blocks at 1", "c"}, "a0 b0 c0 a1 b1 c1 c2", "?", []string{"ccc", "?", "?"}},
		"a panic":                      {[]string{"a", "b panics at 1", "c"}, "a0 b0 c0 a1 b1 c1 a2 c2", "", []string{"aaa", "", "ccc"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &steps{waits: make(chan struct{})}
			f := askTogether(t, unary.Method{s.step(0), s.step(1), s.step(2)}, c.questions...)
			wait(t, s, c.log)
			close(s.waits)
			var answers []string
			for ended := 0; ended < len(c.questions); {
				switch a := f.next().(type) {
				case *http2.DataFrame:
					answers = append(answers, string(a.Data()[5:]))
				case *http2.MetaHeadersFrame:
					if a.StreamEnded() {
						ended++
					}
					if a.PseudoValue("status") != "" && a.StreamEnded() {
						answers = append(answers, "") // an error alone
					}
				case nil:
					t.Fatal("the connection ended")
				}
			}
			if c.after != "?" {
				wait(t, s, strings.TrimSpace(c.log+" "+c.after))
			}
			for i, want := range c.answers {
				if want != "?" && (i >= len(answers) || answers[i] != want) {
					t.Errorf("answers %q", answers)
				}
			}
			if len(answers) != len(c.questions) || !slices.Contains(answers, c.questions[0][:1]+c.questions[0][:1]+c.questions[0][:1]) {
				t.Errorf("answers %q", answers)
			}
		})
	}
}

// askTogether sends questions so that they are read together.
func askTogether(t *testing.T, m unary.Method, questions ...string) *frames {
	t.Helper()
	_, path := serve(t, unary.Options{Unary: map[string]unary.Method{"/t/Echo": m}})
	f := dial(t, path)
	f.greeted() // what is sent next is all that comes
	var all bytes.Buffer
	reads := f.ReadMetaHeaders
	f.Framer = http2.NewFramer(&all, f.Conn)
	f.ReadMetaHeaders = reads
	for i, q := range questions {
		f.ask(uint32(2*i+1), false)
		_ = f.WriteData(uint32(2*i+1), true, message(q))
	}
	if _, err := f.Conn.Write(all.Bytes()); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestWhoIsSlowHoldsUpNobodyForLong: who came with it and is further, or not so far,
// is answered meanwhile.
func TestWhoIsSlowHoldsUpNobodyForLong(t *testing.T) {
	for name, c := range map[string]struct {
		questions []string
		before    []string
	}{
		"who was told nothing yet": {[]string{"a", "b takes a while", "c"}, []string{"aaa", "bbb", "ccc"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &steps{}
			slow := func(q *unary.Question) {
				if strings.Contains(q.Message, "takes a while") {
					time.Sleep(200 * time.Millisecond)
				}
				s.step(1)(q)
			}
			f := askTogether(t, unary.Method{s.step(0), slow, s.step(2)}, c.questions...)
			var answers []string
			for len(answers) < len(c.questions) {
				switch a := f.next().(type) {
				case *http2.DataFrame:
					answers = append(answers, string(a.Data()[5:]))
				case nil:
					t.Fatal("the connection ended")
				}
			}
			if log := s.said(); !strings.HasPrefix(log, "a0 b0 c0 a1 b1") || strings.Count(log, " ") != 8 {
				t.Errorf("done was %s", log)
			}
			if slices.Sort(answers); !slices.Equal(answers, c.before) {
				t.Errorf("answers %q", answers)
			}
		})
	}
}

// TestSayingLateThatOneWaitsIsNothing: a goroutine that outlives its step says so
// while another question has its turn.
func TestSayingLateThatOneWaitsIsNothing(t *testing.T) {
	for at := range 3 {
		t.Run(fmt.Sprintf("in step %d of another", at), func(t *testing.T) {
			s := &steps{}
			now, said := make(chan struct{}), make(chan struct{})
			step := func(n int) unary.Step {
				return func(q *unary.Question) {
					if q.Message == "a" && n == 0 {
						call := q.Call
						go func() { <-now; call.Block(); close(said) }()
					}
					if q.Message == "b" && n == at {
						close(now)
						<-said
					}
					s.step(n)(q)
				}
			}
			f := askTogether(t, unary.Method{step(0), step(1), step(2)}, "a", "b", "c")
			for ended := 0; ended < 3; {
				if a, ok := f.next().(*http2.MetaHeadersFrame); ok && a.StreamEnded() {
					ended++
				}
			}
			wait(t, s, "a0 b0 c0 a1 b1 c1 a2 b2 c2")
			if n := readers(); n != 1 {
				t.Errorf("%d read", n)
			}
		})
	}
}

// TestAContextMayBeDerivedFrom by what outlives the call.
func TestAContextMayBeDerivedFrom(t *testing.T) {
	var ended sync.WaitGroup
	_, path := serve(t, unary.Options{Unary: methods(map[string]unary.Method{"Derive": {func(q *unary.Question) {
		ended.Add(1)
		context.AfterFunc(q.Call, ended.Done)
		ctx, cancel := context.WithTimeout(q.Call, time.Minute)
		go func() { // after the call, mostly
			_, _ = ctx.Deadline()
			authz.Blocking(context.WithoutCancel(ctx))
			cancel()
		}()
		q.Answer = append(q.Room, 'a')
	}}})})
	c := client(t, path)
	for range 300 {
		if _, err := call(within(t, 10*time.Second), c, "Derive", nil); err != nil {
			t.Fatal(err)
		}
	}
	ended.Wait()
	if n := readers(); n != 1 {
		t.Errorf("%d read", n)
	}
}

// TestWhatIsWrongHoldsNoPlace among the calls that may be at once.
func TestWhatIsWrongHoldsNoPlace(t *testing.T) {
	_, path := serve(t, unary.Options{MaxStreams: 3, Unary: methods(nil)})
	f := dial(t, path)
	for id := uint32(1); id < 20; id += 2 {
		f.block.Reset()
		for _, p := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/t/Echo"}, {"content-type", "application/grpc"}, {"content-length", "99"}} {
			_ = f.hpack.WriteField(hpack.HeaderField{Name: p[0], Value: p[1]})
		}
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.block.Bytes(), EndHeaders: true})
		_ = f.WriteData(id, true, message("q"))
		if f.ends(id) {
			t.Error("a wrong length is answered")
		}
	}
	f.ask(21, false)
	_ = f.WriteData(21, true, message("q"))
	if !f.ends(21) {
		t.Error("what is right is not answered")
	}
}

// wait waits until the log is as wanted, and no more comes.
func wait(t *testing.T, s *steps, want string) {
	t.Helper()
	for range 200 {
		if s.said() == want {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	if got := s.said(); got != want {
		t.Fatalf("done was\n%s\nand wanted\n%s", got, want)
	}
}

// TestWhatWasAskedBeforeTheEndIsAnswered: who asks may then have nothing more to say,
// or say what is wrong.
func TestWhatWasAskedBeforeTheEndIsAnswered(t *testing.T) {
	for name, end := range map[string]func(f *frames){
		"no more to say": func(f *frames) { _ = f.Conn.(*net.UnixConn).CloseWrite() },
		"a wrong frame":  func(f *frames) { _ = f.WriteRawFrame(http2.FramePing, 0, 1, make([]byte, 8)) },
	} {
		t.Run(name, func(t *testing.T) {
			_, path := serve(t, unary.Options{Unary: methods(nil)})
			f := dial(t, path)
			f.ask(1, false)
			_ = f.WriteData(1, true, message("q"))
			end(f)
			if !f.ends(1) {
				t.Error("it is not answered")
			}
			if _, err := io.Copy(io.Discard, f.Conn); err != nil {
				t.Error(err)
			}
		})
	}
}
