package extauthz_test

import (
	"context"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/extauthz"
)

// waits begins each decision when it is told to.
type waits struct {
	closed
	begun, on chan struct{}
}

func (w waits) Begin(ctx context.Context, r authz.Request) authz.Deciding {
	w.begun <- struct{}{}
	<-w.on
	return w.closed.Begin(ctx, r)
}

// TestLargeMessagesAreShedByTheirBytes, small ones by their number alone; what was
// answered, or ended in a panic, counts no more.
func TestLargeMessagesAreShedByTheirBytes(t *testing.T) {
	message := func(bytes int) []byte { return request(map[string]string{"x": strings.Repeat("y", bytes)}) }
	codeOf := func(r *authv3.CheckResponse) (code string) {
		for _, h := range r.GetDeniedResponse().GetHeaders() {
			if h.GetHeader().GetKey() == "x-error-code" {
				code = h.GetHeader().GetValue()
			}
		}
		return code
	}
	w := waits{closed{reason: "credential_malformed"}, make(chan struct{}), make(chan struct{})}
	s := extauthz.New(extauthz.Options{Decider: w, MaxBytes: 200 << 10})
	answers := make(chan string)
	ask := func(m []byte) { go func() { answers <- codeOf(check(t, s, m)) }() }
	for range 2 { // 200,000 bytes and some
		ask(message(100_000))
		<-w.begun
	}
	ask(message(100_000))
	if code := <-answers; code != "overloaded" {
		t.Errorf("one too many: %q", code)
	}
	ask(message(10_000))
	<-w.begun
	for range 3 {
		w.on <- struct{}{}
		if code := <-answers; code != "credential_malformed" {
			t.Errorf("one of those in flight: %q", code)
		}
	}
	ask(message(100_000))
	<-w.begun
	w.on <- struct{}{}
	if code := <-answers; code != "credential_malformed" {
		t.Errorf("when they were answered: %q", code)
	}
	for _, step := range []string{"begin", "evaluate", "outcome"} {
		s := extauthz.New(extauthz.Options{Decider: closed{reason: "credential_malformed", panics: step}, MaxBytes: 150_000})
		if code := codeOf(overGRPC(t, s, message(100_000))); code != "policy_error" {
			t.Errorf("a panic in %s, over gRPC: %q", step, code)
		}
		for range 2 {
			if code := codeOf(check(t, s, message(100_000))); code != "policy_error" {
				t.Errorf("a panic in %s: %q", step, code)
			}
		}
	}
}
