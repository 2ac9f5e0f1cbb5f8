package usage_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/usage"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// store keeps batches, or refuses them.
type store struct {
	mu      sync.Mutex
	err     error
	batches []*usage.Batch
	block   chan struct{}
	full    bool   // no unknown token finds room
	during  func() // what happens while it writes
}

func (s *store) WriteUsage(_ context.Context, b *usage.Batch) (left []usage.Unknown, err error) {
	if s.block != nil {
		<-s.block
	}
	if s.during != nil {
		s.during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	s.batches = append(s.batches, b)
	if s.full {
		left = b.Unknown
	}
	return left, nil
}

func (*store) ForgetUsage(context.Context, usage.Day) error { return nil }

func (s *store) counts() (rows []usage.Count, total int64) {
	for _, b := range s.batches {
		for _, c := range b.Counts {
			rows = append(rows, c)
			total += c.Count
		}
	}
	return rows, total
}

// outcome is one request of a token on a model of acme.
func outcome(token, model, network, reason string, at time.Time) *authz.Outcome {
	return &authz.Outcome{
		Time: at,
		Facts: &authz.Facts{
			Token: &authz.Token{ID: token}, Organization: &authz.Organization{ID: "o1", Name: "acme", Enforcement: authz.Enforce},
			Client: authz.Client{Network: network},
			Route:  &authz.Route{Permission: "repo.write", Resource: &authz.Resource{Type: "model", Name: model}},
		},
		Decision: authz.Decision{Allowed: reason == "allowed", Reason: reason},
	}
}

func flush(t *testing.T, g *usage.Gatherer) {
	t.Helper()
	if err := g.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsOfOneKindAreOneRow(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s})
	for i := range 3 {
		g.Record(outcome("t1", "acme/m", "192.0.2.0/24", "allowed", noon.Add(time.Duration(i)*time.Second)))
	}
	g.Record(outcome("t1", "acme/m", "192.0.2.0/24", "approval_pending", noon.Add(time.Minute)))
	g.Record(outcome("t1", "acme/m", "192.0.2.0/24", "allowed", noon.Add(24*time.Hour)))
	flush(t, g)
	rows, _ := s.counts()
	if len(rows) != 3 {
		t.Fatalf("%d rows, want one for each day and outcome: %+v", len(rows), rows)
	}
	want := usage.Key{
		Day: usage.DayOf(noon), Token: "t1", Organization: "o1", ResourceType: "model", Resource: "acme/m", Permission: "repo.write",
		Network: "192.0.2.0/24", Reason: "allowed", Allowed: true,
	}
	if got := rows[0]; got.Key != want || got.Count != 3 || !got.First.Equal(noon) || !got.Last.Equal(noon.Add(2*time.Second)) {
		t.Errorf("the first row is %+v", got)
	}
	uses := s.batches[0].Uses
	if len(uses) != 1 || !uses[0].Allowed.Equal(noon.Add(24*time.Hour)) || !uses[0].Refused.Equal(noon.Add(time.Minute)) {
		t.Errorf("last used: %+v", uses)
	}
	flush(t, g)
	if len(s.batches) != 1 {
		t.Error("a batch without anything in it was written")
	}
}

func TestAFloodOfDistinctValuesMovesNoBound(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s, MaxKeys: 6400, TokenKeys: 50})
	const n = 200_000
	for i := range n {
		// Each request another resource and another network, by one token …
		g.Record(outcome("flooder", fmt.Sprintf("acme/%d", i), fmt.Sprintf("2001:db8:%x::/48", i), "insufficient_permission", noon))
		if i%10 == 0 { // … and many tokens besides
			g.Record(outcome(fmt.Sprintf("t%d", i), "acme/m", "192.0.2.0/24", "allowed", noon))
		}
		if i%20_000 == 0 {
			flush(t, g)
		}
	}
	if keys := g.Keys(); keys > 2*6400 {
		t.Errorf("%d keys are in memory", keys)
	}
	flush(t, g)
	rows, total := s.counts()
	distinct, other := map[usage.Key]bool{}, int64(0)
	for _, r := range rows {
		if r.Token == "flooder" {
			distinct[r.Key] = true
		}
		if r.Token == "flooder" && r.Resource == usage.Other && r.Network == usage.Other {
			other += r.Count
		}
	}
	if len(distinct) > 60 {
		t.Errorf("one token made %d rows in a day", len(distinct))
	}
	if other < n-100 {
		t.Errorf("%d of the flood's requests are counted together, want nearly all of %d", other, n)
	}
	dropped := int64(metric(t, g, "patrol_usage_dropped_total", "request"))
	if total+dropped != n+n/10 {
		t.Errorf("%d requests are counted and %d dropped, of %d", total, dropped, n+n/10)
	}
}

func TestATokenMayAddItsKeysAgainOnTheNextDay(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s, TokenKeys: 2})
	for day := range 2 {
		for i := range 5 {
			g.Record(outcome("t1", fmt.Sprintf("acme/%d", i), "192.0.2.0/24", "allowed", noon.Add(time.Duration(day)*24*time.Hour)))
		}
	}
	flush(t, g)
	rows, total := s.counts()
	if len(rows) != 6 || total != 10 {
		t.Errorf("%d rows of %d requests, want 2 apart and 1 together each day", len(rows), total)
	}
}

func TestWhatTheStoreRefusesIsWrittenLater(t *testing.T) {
	s := &store{err: errors.New("the disk is full")}
	g := usage.New(usage.Options{Store: s})
	unknown := outcome("", "acme/m", "192.0.2.0/24", "observed", noon)
	unknown.Facts.Token, unknown.Facts.Organization.Enforcement, unknown.Unknown = nil, authz.Observe, authz.Digest{1}
	for range 2 {
		g.Record(outcome("t1", "acme/m", "192.0.2.0/24", "allowed", noon))
		g.Record(unknown)
		if err := g.Flush(context.Background()); err == nil || !strings.Contains(err.Error(), "disk is full") {
			t.Fatalf("the error is %v", err)
		}
	}
	s.err = nil
	g.Record(outcome("t1", "acme/m", "192.0.2.0/24", "allowed", noon.Add(time.Second)))
	if err := g.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	b := s.batches[0]
	if len(b.Counts) != 1 || b.Counts[0].Count != 3 || !b.Counts[0].First.Equal(noon) || len(b.Unknown) != 1 || b.Unknown[0].Count != 2 {
		t.Errorf("written: %+v", b)
	}
	if f := metric(t, g, "patrol_usage_flush_total", "failed"); f != 2 {
		t.Errorf("%v failures are counted", f)
	}
}

func TestRecordingNeverWaitsForTheStore(t *testing.T) {
	s := &store{block: make(chan struct{})}
	g := usage.New(usage.Options{Store: s})
	g.Record(outcome("t1", "acme/m", "", "allowed", noon))
	written := make(chan error)
	go func() { written <- g.Flush(context.Background()) }()
	recorded := make(chan struct{})
	go func() {
		for range 1000 {
			g.Record(outcome("t1", "acme/m", "", "allowed", noon))
		}
		close(recorded)
	}()
	<-recorded // the store has not answered yet
	close(s.block)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	flush(t, g)
	if _, total := s.counts(); total != 1001 {
		t.Errorf("%d requests are counted", total)
	}
}

func TestWhatIsKeptIsCopiedFromTheRequest(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s})
	var buffer strings.Builder
	buffer.WriteString("acme/model")
	o := outcome("t1", buffer.String(), "192.0.2.0/24", "allowed", noon)
	g.Record(o)
	if n := testing.AllocsPerRun(100, func() { g.Record(o) }); n != 0 {
		t.Errorf("a request of a known kind costs %v allocations", n)
	}
	flush(t, g)
	rows, _ := s.counts()
	if same(rows[0].Resource, o.Facts.Route.Resource.Name) {
		t.Error("the name of the resource is the request's own memory")
	}
}

func TestTokensThatFactsDoNotShowAreCounted(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s})
	disabled := outcome("", "acme/m", "192.0.2.0/24", "token_unknown", noon)
	disabled.Facts.Token, disabled.Disabled = nil, &authz.Token{ID: "t1"}
	g.Record(disabled)
	g.Record(&authz.Outcome{Time: noon, Leaked: &authz.Token{ID: "t2"}, Decision: authz.Decision{Reason: authz.ReasonCredentialMalformed}})
	flush(t, g)
	rows, _ := s.counts()
	if len(rows) != 2 || rows[0].Token != "t1" || rows[0].Reason != usage.ReasonDisabled || rows[0].Organization != "o1" ||
		rows[1].Token != "t2" || rows[1].Reason != usage.ReasonSeenInQuery {
		t.Errorf("counted: %+v", rows)
	}
}

func TestUnknownTokensAreGatheredOnlyInObserveAndWithinABound(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s, MaxUnknown: 100})
	one := func(enforcement string, n int) {
		o := outcome("", "acme/m", "192.0.2.0/24", "observed", noon.Add(time.Duration(n)*time.Second))
		o.Facts.Token, o.Facts.Organization.Enforcement = nil, enforcement
		o.Unknown = authz.Digest{byte(n), byte(n >> 8), 7}
		g.Record(o)
	}
	for n := range 50 {
		one(authz.Enforce, n)
		one(authz.Observe, n)
		one(authz.Observe, n)
	}
	flush(t, g)
	if got := s.batches[0].Unknown; len(got) != 50 || got[0].Count != 2 || got[0].Organization != "o1" || got[0].Network != "192.0.2.0/24" {
		t.Errorf("%d unknown tokens; the first is %+v", len(got), got[0])
	}
	for n := range 1000 {
		one(authz.Observe, n)
	}
	flush(t, g)
	if got := s.batches[1].Unknown; len(got) != 100 {
		t.Errorf("%d unknown tokens were gathered at a bound of 100", len(got))
	}
	if d := metric(t, g, "patrol_usage_dropped_total", "unknown_token"); d != 900 {
		t.Errorf("%v are counted as dropped", d)
	}
	// What the store has no room for is counted too, by requests.
	s.full = true
	for range 3 {
		one(authz.Observe, 1)
	}
	flush(t, g)
	if d := metric(t, g, "patrol_usage_dropped_total", "unknown_token"); d != 903 {
		t.Errorf("%v are counted as dropped", d)
	}
	if rows := metric(t, g, "patrol_usage_flush_rows_total", ""); rows != 150 {
		t.Errorf("%v rows are counted as written", rows)
	}
}

// What a store refuses again and again is kept within the same bound.
func TestAFloodOfUnknownTokensDuringAnOutageMovesNoBound(t *testing.T) {
	s := &store{err: errors.New("the database is gone")}
	g := usage.New(usage.Options{Store: s, MaxUnknown: 100})
	sent := 0
	s.during = func() {
		for range 80 {
			sent++
			o := outcome("", "acme/m", "192.0.2.0/24", "observed", noon)
			o.Facts.Token, o.Facts.Organization.Enforcement, o.Unknown = nil, authz.Observe, authz.Digest{byte(sent), byte(sent >> 8), 7}
			g.Record(o)
		}
	}
	s.during()
	for range 5 {
		if err := g.Flush(context.Background()); err == nil {
			t.Fatal("it was written")
		}
	}
	s.err, s.during = nil, nil
	flush(t, g)
	written := int64(0)
	for _, u := range s.batches[0].Unknown {
		written += u.Count
	}
	dropped := int64(metric(t, g, "patrol_usage_dropped_total", "unknown_token"))
	if n := len(s.batches[0].Unknown); n > 100 || written+dropped != int64(sent) {
		t.Errorf("%d unknown tokens of %d requests were written, %d requests dropped, of %d", n, written, dropped, sent)
	}
}

func TestEachOrganizationOfARequestCountsIt(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s})
	o := outcome("t1", "acme/m", "", "allowed", noon)
	second := *o.Facts
	second.Organization = &authz.Organization{ID: "o2"}
	o.Others = []*authz.Facts{&second}
	g.Record(o)
	flush(t, g)
	if rows, _ := s.counts(); len(rows) != 2 || rows[0].Organization != "o1" || rows[1].Organization != "o2" {
		t.Errorf("counted: %+v", rows)
	}
}

// asked is a request with a credential.
type asked struct {
	authz.Request
	authorization string
}

func (a asked) Header(string) (string, int) { return a.authorization, 1 }

func (a asked) EachHeader(yield func(name, value string) bool) {
	_ = yield("authorization", a.authorization) && yield("x-api-key", "the-key-of-the-request")
}

func TestNoSecretIsKeptAsTheNameOfAResource(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s, CredentialHeaders: []string{"X-Api-Key"}})
	for name, authorization := range map[string]string{
		"acme/ptl_0123456789abcdef":            "",
		"hf_0123456789abcdef/m":                "",
		"acme/tok_github_pat_11AAAAAAA0AbCd01": "",
		"acme/%67ho_0123456789abcdef":          "", // it was escaped twice
		"acme/the-secret-of-the-request":       "Bearer the-secret-of-the-request",
		"acme/the-password":                    "Basic " + base64.StdEncoding.EncodeToString([]byte("git:the-password")),
		"acme/the-key-of-the-request":          "",
	} {
		o := outcome("t1", name, "", "allowed", noon)
		o.Request = asked{authorization: authorization}
		g.Record(o)
	}
	flush(t, g)
	if rows, total := s.counts(); len(rows) != 1 || rows[0].Resource != usage.Other || total != 7 {
		t.Errorf("counted: %+v", rows)
	}
}

func TestMuchUsageIsWrittenInParts(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s, MaxRows: 10})
	for i := range 25 {
		g.Record(outcome(fmt.Sprintf("t%d", i), "acme/m", "", "allowed", noon))
	}
	flush(t, g)
	rows, total := s.counts()
	if len(s.batches) != 3 || len(rows) != 25 || total != 25 || len(s.batches[0].Counts) != 10 || len(s.batches[2].Uses) != 5 {
		t.Errorf("%d batches of %d rows", len(s.batches), len(rows))
	}
}

func TestNamesThatNoStoreKeepsAreCountedTogether(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s})
	for _, name := range []string{"acme/\xff", "acme/\x00", "acme/" + strings.Repeat("x", 400), "acme/" + strings.Repeat("y", 400)} {
		g.Record(outcome("t1", name, "", "allowed", noon))
		g.Record(outcome("t1", name, "", "allowed", noon))
	}
	flush(t, g)
	if rows, total := s.counts(); len(rows) != 1 || rows[0].Resource != usage.Other || total != 8 {
		t.Errorf("counted: %+v", rows)
	}
}

func TestConcurrentRequestsAreAllCounted(t *testing.T) {
	s := &store{}
	g := usage.New(usage.Options{Store: s, Interval: time.Millisecond})
	g.Start()
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range 5000 {
				g.Record(outcome(fmt.Sprintf("t%d", i%7), fmt.Sprintf("acme/%d", i%5), "", "allowed", noon.Add(time.Duration(worker)*time.Second)))
			}
		}()
	}
	wait.Wait()
	if err := g.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, total := s.counts(); total != 40_000 {
		t.Errorf("%d requests are counted of 40,000", total)
	}
}

func BenchmarkRecord(b *testing.B) {
	g := usage.New(usage.Options{Store: &store{}})
	o := outcome("0199e9cf-8d3a-7c75-94a4-182374a6e5b3", "acme/model", "192.0.2.0/24", "allowed", noon)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Record(o)
		}
	})
}

// metric reads a metric, by its name and its one label's value.
func metric(t *testing.T, g *usage.Gatherer, name, label string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(g)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no %s of %s", name, label)
	return 0
}
