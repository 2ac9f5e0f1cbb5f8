package main

import (
	"context"
	"fmt"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
)

// questions are the messages that servers are asked, and what is wanted of
// patrol.
type questions struct {
	messages [][]byte
	// http are the same on their way to Envoy.
	http [][]byte
	// want is nil for a server that is none of patrol's.
	want []verdict
}

// verdict is what an answer comes to. The reason is what patrol tells in the
// metadata; "" where none is told, as through Envoy.
type verdict struct {
	allowed bool
	reason  string
}

// check says whether a message was answered as it was before.
func (q *questions) check(at int, got verdict) error {
	if q.want == nil || q.want[at].allowed == got.allowed && (got.reason == "" || got.reason == q.want[at].reason) {
		return nil
	}
	return fmt.Errorf("message %d is answered with %+v, and was with %+v before", at, got, q.want[at])
}

func read(answer []byte) (verdict, error) {
	var r authv3.CheckResponse
	if err := proto.Unmarshal(answer, &r); err != nil {
		return verdict{}, fmt.Errorf("read an answer: %w", err)
	}
	return verdict{r.GetStatus().GetCode() == 0, r.GetDynamicMetadata().GetFields()["reason"].GetStringValue()}, nil
}

// broken are reasons of which none is an answer to what this command asks: a
// server that gives them is measured at failing.
var broken = []string{"", "policy_error", "overloaded", "inventory_unavailable", "request_malformed", "token_unknown", "organization_unknown", "route_unknown"}

// agree lets each server answer every message once, which also warms it. It
// fails where a variant of patrol does not decide, or decides otherwise than
// another one: what answers otherwise is not compared. Their answers are what
// is wanted from then on. Requests for approval that the messages opened are
// written, addressed and read before it returns: that is done once for a token,
// and no part of what an answer costs.
func (f *fleet) agree(q *questions) error {
	var first *server
	for _, s := range f.servers {
		got, err := s.verdicts(q.messages)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if s.data == "" { // no patrol
			continue
		}
		if first == nil {
			first, q.want = s, got
		}
		if err := sameVerdicts(first.name, q.want, s.name, got); err != nil {
			return err
		}
		if err := s.settle(); err != nil {
			return err
		}
	}
	return nil
}

// verdicts asks a server each message once, for its reasons.
func (s *server) verdicts(messages [][]byte) ([]verdict, error) {
	conns, closeAll, err := dial(s, "unix", 1)
	defer closeAll()
	if err != nil {
		return nil, err
	}
	out := make([]verdict, len(messages))
	var answer []byte
	for i := range messages {
		if err := conns[0].Invoke(context.Background(), checkMethod, &messages[i], &answer); err != nil {
			return nil, err
		}
		if out[i], err = read(answer); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func sameVerdicts(first string, want []verdict, name string, got []verdict) error {
	counts := map[string]int{}
	for _, v := range got {
		counts[v.reason]++
	}
	for _, reason := range broken {
		if n := counts[reason]; n > 0 {
			return fmt.Errorf("%s answers %d of %d messages with the reason %q", name, n, len(got), reason)
		}
	}
	for i := range got {
		if got[i] != want[i] {
			return fmt.Errorf("%s and %s answer message %d differently: %+v, and %+v", first, name, i, want[i], got[i])
		}
	}
	return nil
}
