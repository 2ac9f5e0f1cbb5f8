package record

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/patrol-authz/patrol/authz"
)

// Decision is a decision as who follows it is told of it: a refusal as it is kept,
// or an allow in the same form.
type Decision struct {
	Allowed bool `json:"allowed"`
	Refusal
}

// followers are those who follow, nil where nobody does.
type followers = atomic.Pointer[[]*Follower]

// Follower is somebody who follows decisions.
type Follower struct {
	recorder *Recorder
	see      func(*authz.Outcome) bool
	lines    chan []byte
	limit    *limit
	missed   atomic.Int64
}

const (
	mostFollowers = 8
	mostUntold    = 256
)

// Follow begins to follow decisions as they are made, allows too: those that see
// says yes to. As many a second are told of as are kept (see [Options]), and none
// waits for who follows. What is kept of a request is told of it, and no more. It is
// nil where too many follow already; [Follower.Each] ends it.
func (r *Recorder) Follow(see func(*authz.Outcome) bool) *Follower {
	one := &Follower{recorder: r, see: see, lines: make(chan []byte, mostUntold), limit: r.limit.fresh()}
	if !r.join(one) {
		return nil
	}
	return one
}

// Each hands on the decisions since Follow, each as a line of JSON, until the
// context or the server ends or f returns an error, and says how many came too fast.
func (f *Follower) Each(ctx context.Context, yield func(line []byte) error) (missed int64, err error) {
	defer f.recorder.leave(f)
	for {
		select {
		case line := <-f.lines:
			if err := yield(line); err != nil {
				return f.missed.Load(), err
			}
		case <-ctx.Done():
			return f.missed.Load(), nil
		case <-f.recorder.unfollow:
			return f.missed.Load(), nil
		}
	}
}

// EndFollowing ends what follows, once and for all: the server stops.
func (r *Recorder) EndFollowing() { r.unfollows.Do(func() { close(r.unfollow) }) }

// join lets somebody follow, unless too many do.
func (r *Recorder) join(one *Follower) bool {
	for {
		before := r.followers.Load()
		var all []*Follower
		if before != nil {
			all = *before
		}
		if len(all) >= mostFollowers {
			return false
		}
		with := append(slices.Clone(all), one)
		if r.followers.CompareAndSwap(before, &with) {
			return true
		}
	}
}

func (r *Recorder) leave(one *Follower) {
	for {
		before := r.followers.Load()
		without := slices.DeleteFunc(slices.Clone(*before), func(f *Follower) bool { return f == one })
		after := &without
		if len(without) == 0 {
			after = nil
		}
		if r.followers.CompareAndSwap(before, after) {
			return
		}
	}
}

// tell tells those who follow of a decision. It waits for nobody.
func (r *Recorder) tell(all []*Follower, o *authz.Outcome) {
	var line []byte
	for _, one := range all {
		if !one.see(o) {
			continue
		}
		if len(one.lines) == cap(one.lines) || !one.limit.allow(source(o), o.Time) {
			one.missed.Add(1)
			continue
		}
		if line == nil {
			e, err := r.encode(nil, o, true)
			if err != nil {
				one.missed.Add(1)
				continue
			}
			line = e.line
		}
		select {
		case one.lines <- line:
		default:
			one.missed.Add(1)
		}
	}
}
