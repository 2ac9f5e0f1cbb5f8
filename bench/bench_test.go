package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/deploy/envoy"
)

func TestASpreadIsTheMedianBetweenItsQuartiles(t *testing.T) {
	if got := spreadOf([]float64{5, 1, 4, 2, 3}); got != (spread{2, 3, 4}) {
		t.Errorf("%v", got)
	}
	if got := spreadOf(nil); got != (spread{}) {
		t.Errorf("%v", got)
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	r := &result{names: []string{"floor", "x"}, turns: map[string][]turn{"floor": {{cpu: 10}, {cpu: 100}}, "x": {{cpu: 20}, {cpu: 200}}}}
	if got := r.ratio("x", cpuOf); got != (spread{2, 2, 2}) {
		t.Errorf("%v", got)
	}
}

func TestMessagesAreAsEnvoySendsThem(t *testing.T) {
	w := world{tokens: 100, organizations: 10}
	for _, m := range w.messages(50) {
		if len(m) < 1100 || len(m) > 1700 {
			t.Errorf("a message of %d bytes", len(m))
		}
	}
	w.headers = 100
	if n := len(w.messages(1)[0]); n < 4000 {
		t.Errorf("100 headers are %d bytes", n)
	}
}

func TestAnAnswerIsReadToItsEnd(t *testing.T) {
	in := bufio.NewReader(strings.NewReader("HTTP/1.1 403 Forbidden\r\nx: y\r\ncontent-length: 3\r\n\r\nno.HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
	for _, want := range []int{403, 200} {
		if got, err := readAnswer(in); err != nil || got != want {
			t.Errorf("%d, %v", got, err)
		}
	}
	if _, err := readAnswer(in); err == nil {
		t.Error("the end is an answer")
	}
}

func TestEnvoyTakesTheConfiguration(t *testing.T) {
	yaml, err := edgeConfig([]*server{{edge: "127.0.0.1:20001", unix: "/tmp/a.sock"}, {edge: "127.0.0.1:20002", unix: "/tmp/b.sock"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := envoy.Validate(context.Background(), yaml); err != nil {
		t.Error(err)
	}
}

func TestTheTableIsWrittenBetweenItsMarkers(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "performance.md")
	if err := os.WriteFile(page, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := map[string][]turn{"floor": {{cpu: 10, rate: 1, p99: 1}}, "patrol": {{cpu: 5, rate: 2, p99: 1}}}
	r := &report{
		options: &options{rounds: 1}, results: []*result{{load: load{name: "a load"}, names: []string{"floor", "patrol"}, turns: one}},
		curves: []*curve{{name: "tokens", title: "tokens", names: []string{"patrol"}, points: []point{{x: 10, cpu: map[string]spread{"patrol": {1, 2, 3}}}, {x: 100, cpu: map[string]spread{"patrol": {1, 2, 3}}}}}},
	}
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(page)
	if s := string(text); !strings.HasPrefix(s, "before\n") || !strings.HasSuffix(s, "after\n") || strings.Contains(s, "old") || !strings.Contains(s, "| patrol | 0.50 (0.50-0.50) |") {
		t.Errorf("%s", s)
	}
	for _, name := range []string{"performance-loads.png", "performance-tokens.png"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.HasPrefix(string(b), "\x89PNG") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(page, []byte("no markers"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r.write(dir) == nil {
		t.Error("a page without markers was written")
	}
}

func TestVariantsThatAnswerDifferentlyAreNotCompared(t *testing.T) {
	yes, no := verdict{true, "allowed"}, verdict{false, "no_grant"}
	for _, c := range []struct {
		want, got []verdict
		same      bool
	}{
		{[]verdict{yes, no}, []verdict{yes, no}, true},
		{[]verdict{yes, no}, []verdict{yes, yes}, false},
		{[]verdict{no}, []verdict{{false, "owner_not_member"}}, false},
		{[]verdict{{false, "policy_error"}}, []verdict{{false, "policy_error"}}, false}, // alike, and none of them decides
		{[]verdict{{true, ""}}, []verdict{{true, ""}}, false},
	} {
		if err := sameVerdicts("a", c.want, "b", c.got); (err == nil) != c.same {
			t.Errorf("%v and %v: %v", c.want, c.got, err)
		}
	}
}

func TestAnAnswerUnderLoadThatDiffersIsAnError(t *testing.T) {
	q := &questions{want: []verdict{{true, "allowed"}}}
	for _, c := range []struct {
		got verdict
		ok  bool
	}{
		{verdict{true, "allowed"}, true},
		{verdict{allowed: true}, true}, // through Envoy no reason is told
		{verdict{false, "overloaded"}, false},
		{verdict{allowed: false}, false},
		{verdict{true, "grace_period"}, false},
	} {
		if err := q.check(0, c.got); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.got, err)
		}
	}
	if err := (&questions{}).check(0, verdict{}); err != nil {
		t.Errorf("of another server nothing is wanted: %v", err)
	}
}

func TestAVariantThatFailsUnderLoadFailsTheRun(t *testing.T) {
	var all tally
	for i := range 100 {
		var wrong error
		if i%50 == 0 {
			wrong = errors.New("overloaded")
		}
		all.sample(true, wrong)
	}
	r := report{results: []*result{{names: []string{"a"}, turns: map[string][]turn{"a": {{wrong: float64(all.wrong) / float64(all.sampled), problem: all.problem}}}}}}
	if r.wrong() == nil {
		t.Error("2 % of wrong answers are taken")
	}
	r.results[0].turns["a"] = []turn{{wrong: 0.005}}
	if err := r.wrong(); err != nil {
		t.Error(err)
	}
}

func TestAShortTurnIsSampledToo(t *testing.T) {
	addresses := []string{filepath.Join(t.TempDir(), "s"), "127.0.0.1:0", "127.0.0.1:0"}
	go serveFloor("default", addresses)
	for { // until it listens
		if _, err := os.Stat(addresses[0]); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	s := &server{unix: addresses[0]}
	conns, closeAll, err := dial(s, "unix", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	var all tally
	var answer []byte
	q := &questions{messages: world{tokens: 1, organizations: 1}.messages(1)}
	for all.sampled == 0 && err == nil {
		err = all.ask(conns[0], q, 0, &answer, time.Now())
	}
	if err != nil || len(all.times) != 1 || all.allowed != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}
