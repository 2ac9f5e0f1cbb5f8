package sources_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/sources"
)

func claimedAs(i int) *authz.Claimed {
	return &authz.Claimed{Source: authz.SourceJWT, Digest: authz.Digest{byte(i), byte(i >> 8), 1}, Owner: "bob"}
}

func TestARecordIsWaitedForALittle(t *testing.T) {
	l := newLab(t, func(o *sources.Options) { o.Wait = 30 * time.Millisecond })
	release, made := make(chan struct{}), atomic.Int64{}
	l.register = func(context.Context, *authz.Claimed) error {
		made.Add(1)
		<-release
		return nil
	}
	for range 3 { // the work goes on, and is not begun again
		if there, err := l.Record(t.Context(), claimedAs(1), false); there || !closedBy(err) {
			t.Errorf("%t %v", there, err)
		}
	}
	close(release)
	for range 500 {
		if there, err := l.Record(t.Context(), claimedAs(1), true); there && err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if made.Load() != 1 {
		t.Errorf("it was made %d times", made.Load())
	}
	l.offset.Store(int64(time.Hour))
	if there, err := l.Record(t.Context(), claimedAs(1), true); !there || err != nil || made.Load() != 2 {
		t.Errorf("much later: %t %v, made %d times", there, err, made.Load())
	}
}

func TestWhoGetsNoRecordIsNotTriedAgainAtOnce(t *testing.T) {
	l := newLab(t, func(*sources.Options) {})
	tried := 0
	l.register = func(context.Context, *authz.Claimed) error {
		tried++
		return fmt.Errorf("%w: nobody knows the owner", sources.ErrRefused)
	}
	for range 10 {
		if there, err := l.Record(t.Context(), claimedAs(1), false); there || err != nil {
			t.Errorf("%t %v", there, err)
		}
	}
	if tried != 1 {
		t.Errorf("tried %d times", tried)
	}
	l.register = func(context.Context, *authz.Claimed) error { return nil } // the owner was added
	l.offset.Store(int64(11 * time.Second))
	if there, err := l.Record(t.Context(), claimedAs(1), false); !there || err != nil {
		t.Errorf("later: %t %v", there, err)
	}
}

func TestAFloodOfNewTokensDoesNotFillTheStore(t *testing.T) {
	l := newLab(t, func(o *sources.Options) { o.NewPerSecond = 0.01 }) // one in a hundred seconds, and one at once
	made := atomic.Int64{}
	l.register = func(context.Context, *authz.Claimed) error { made.Add(1); return nil }
	limited := 0
	for i := range 200 {
		if there, err := l.Record(t.Context(), claimedAs(i), false); closedBy(err) && !there {
			limited++
		}
	}
	if made.Load() != 1 || limited != 199 {
		t.Errorf("of a flood of 200, %d were made, %d refused", made.Load(), limited)
	}
}

func TestAStoreThatFailsAllowsNothing(t *testing.T) {
	l := newLab(t, func(*sources.Options) {})
	l.register = func(context.Context, *authz.Claimed) error { return errors.New("the disk is full") }
	if there, err := l.Record(t.Context(), claimedAs(1), false); there || !closedBy(err) {
		t.Errorf("%t %v", there, err)
	}
	l.register = func(context.Context, *authz.Claimed) error { return nil }
	if there, err := l.Record(t.Context(), claimedAs(1), false); !there || err != nil {
		t.Errorf("after it was mended: %t %v", there, err)
	}
	l.Close()
	if there, err := l.Record(t.Context(), claimedAs(2), false); there || !closedBy(err) {
		t.Errorf("after the end: %t %v", there, err)
	}
}
