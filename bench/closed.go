package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

const checkMethod = "/envoy.service.auth.v3.Authorization/Check"

// bytesCodec sends messages that are encoded already, and keeps answers so.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	out := v.(*[]byte)
	*out = append((*out)[:0], data.Materialize()...)
	return nil
}
func (bytesCodec) Name() string { return "proto" }

// dial opens connections to a server.
func dial(s *server, transport string, n int) (conns []*grpc.ClientConn, closeAll func(), err error) {
	target := map[string]string{"unix": "unix:" + s.unix, "tcp": "passthrough:///" + s.tcp}[transport]
	closeAll = func() {
		for _, c := range conns {
			c.Close()
		}
	}
	for range n {
		c, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{})),
			grpc.WithStaticStreamWindowSize(1<<20), grpc.WithStaticConnWindowSize(1<<24))
		if err != nil {
			return conns, closeAll, err
		}
		conns = append(conns, c)
	}
	return conns, closeAll, nil
}

// sampleEvery of how many answers of a stream one is looked at, the first one
// among them.
const sampleEvery = 61

// ask sends one of the messages and notes the answer.
func (t *tally) ask(c *grpc.ClientConn, q *questions, at int, answer *[]byte, since time.Time) error {
	at %= len(q.messages)
	if err := c.Invoke(context.Background(), checkMethod, &q.messages[at], answer); err != nil {
		return err
	}
	t.times = append(t.times, time.Since(since).Nanoseconds())
	if len(t.times)%sampleEvery != 1 {
		return nil
	}
	v, err := read(*answer)
	if err != nil {
		return err
	}
	t.sample(v.allowed, q.check(at, v))
	return nil
}

// closedLoop asks over and over: as many requests are under way as there are
// streams, each sent when the one before was answered.
func closedLoop(conns []*grpc.ClientConn, streams int, length time.Duration, q *questions) (*tally, error) {
	end := time.Now().Add(length)
	return together(streams, func(i int, own *tally) error {
		var answer []byte
		for at := i * 7919; time.Now().Before(end); at++ {
			if err := own.ask(conns[i%len(conns)], q, at, &answer, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// openLoop sends at a rate, whether or not earlier requests were answered; as
// many as there are streams may be under way. Time is counted from when a
// request should have been sent: one that waited for a stream has waited.
func openLoop(conns []*grpc.ClientConn, streams int, rate float64, length time.Duration, q *questions) (*tally, error) {
	var next atomic.Int64
	started := time.Now()
	return together(streams, func(i int, own *tally) error {
		var answer []byte
		for {
			n := next.Add(1)
			due := time.Duration(float64(n) / rate * float64(time.Second))
			if due > length {
				return nil
			}
			if wait := due - time.Since(started); wait > 0 {
				time.Sleep(wait)
			}
			if err := own.ask(conns[i%len(conns)], q, int(n), &answer, started.Add(due)); err != nil {
				return err
			}
		}
	})
}

// together runs workers and gathers what they saw.
func together(n int, work func(i int, own *tally) error) (*tally, error) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var all tally
	var failed error
	for i := range n {
		wait.Add(1)
		go func() {
			defer wait.Done()
			own := &tally{times: make([]int64, 0, 1<<14)}
			err := work(i, own)
			mu.Lock()
			defer mu.Unlock()
			all.add(own)
			if err != nil {
				failed = err
			}
		}()
	}
	wait.Wait()
	return &all, failed
}
