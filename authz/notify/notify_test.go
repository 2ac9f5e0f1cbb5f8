package notify_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/notify"
)

// start is a Tuesday.
var start = time.Date(2026, 3, 3, 10, 20, 0, 0, time.UTC)

// clock is a simulated one.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// queue keeps events and jobs in memory, with the leases of a real one.
type queue struct {
	mu     sync.Mutex
	next   int64
	events map[int64]*held[notify.Event]
	jobs   map[int64]*held[notify.Job]
	keys   map[string]bool
	ended  map[int64]string
	nobody []string
	// planned and failing are what planners note, and what they fail by.
	planned map[string]time.Time
	failing error
}

type held[T any] struct {
	v     T
	until time.Time
}

func newQueue() *queue {
	return &queue{events: map[int64]*held[notify.Event]{}, jobs: map[int64]*held[notify.Job]{}, keys: map[string]bool{}, ended: map[int64]string{}, planned: map[string]time.Time{}}
}

func lease[T any](all map[int64]*held[T], due func(T) bool, now time.Time, span time.Duration, limit int) []T {
	var ids []int64
	for id, h := range all {
		if !h.until.After(now) && due(h.v) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var out []T
	for _, id := range ids[:min(limit, len(ids))] {
		all[id].until = now.Add(span)
		out = append(out, all[id].v)
	}
	return out
}

func (q *queue) Add(_ context.Context, events []notify.Event, now time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failing != nil {
		return q.failing
	}
	for _, e := range events {
		if q.keys[e.Key] {
			continue
		}
		q.keys[e.Key] = true
		q.next++
		e.ID, e.Created = q.next, now
		q.events[e.ID] = &held[notify.Event]{v: e}
	}
	return nil
}

func (q *queue) Planned(_ context.Context, part string) (time.Time, error) {
	return q.planned[part], nil
}

func (q *queue) SetPlanned(_ context.Context, parts []string, until time.Time) error {
	for _, part := range parts {
		if until.After(q.planned[part]) {
			q.planned[part] = until
		}
	}
	return nil
}

func (q *queue) Events(_ context.Context, now time.Time, span time.Duration, limit int) ([]notify.Event, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return lease(q.events, func(notify.Event) bool { return true }, now, span, limit), nil
}

func (q *queue) Addressed(_ context.Context, e notify.Event, jobs []notify.Job, nobody string, _ time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.events, e.ID)
	for _, j := range jobs {
		q.next++
		j.ID = q.next
		q.jobs[j.ID] = &held[notify.Job]{v: j}
	}
	if nobody != "" {
		q.nobody = append(q.nobody, nobody)
	}
	return nil
}

func (q *queue) Jobs(_ context.Context, now time.Time, span time.Duration, limit int) ([]notify.Job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return lease(q.jobs, func(j notify.Job) bool { return !j.NextAt.After(now) }, now, span, limit), nil
}

func (q *queue) Done(_ context.Context, ids []int64, state, _ string, _ time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		delete(q.jobs, id)
		q.ended[id] = state
	}
	return nil
}

func (q *queue) Again(_ context.Context, ids []int64, _ string, next time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		h := q.jobs[id]
		h.v.Attempts++
		h.v.NextAt, h.until = next, time.Time{}
	}
	return nil
}

func (q *queue) states(state string) int {
	n := 0
	for _, s := range q.ended {
		if s == state {
			n++
		}
	}
	return n
}

// directory knows the organizations acme and nobody, and bob's tokens t1…t9.
type directory struct {
	administrators []notify.Person
	gather         string
	settled        map[string]bool
	gone           map[string]bool
	// confirm is the address in question; nil: none is.
	confirm *notify.Confirmation
	// bob is another address of the owner's; responsible answer for bob.
	bob         string
	responsible []notify.Person
}

func (d *directory) Subject(_ context.Context, e notify.Event) (*notify.Subject, error) {
	if d.gone[e.Token] {
		return nil, nil
	}
	if e.Kind == notify.AddressConfirmation {
		return &notify.Subject{Organization: notify.Organization{ID: e.Organization, Name: e.Organization}, Confirm: d.confirm}, nil
	}
	s := &notify.Subject{
		Organization: notify.Organization{ID: e.Organization, Name: e.Organization, Gather: d.gather, EnforceAt: start.AddDate(0, 0, 9)},
		Owner:        notify.Person{Name: "bob", Email: "bob@example.com"},
		Token: &notify.Token{
			ID: e.Token, Name: "ci " + e.Token, Last4: "abcd", Kind: "fine-grained", Owner: "bob", Purpose: "nightly <b>builds</b>",
			Grants: []string{"repo.write on model acme/m"}, Request: "open", AskedAt: start, Comment: "which job uses it?", Until: start, Expires: start,
		},
	}
	if d.bob != "" {
		s.Owner.Email = d.bob
	}
	s.Responsible = d.responsible
	if d.settled[e.Token] {
		s.Token.Request = "decided"
	}
	if e.Token == "" {
		s.Token = nil
		s.Findings = []notify.Finding{{Title: "Not rotated", Severity: "high", Advice: "Rotate it", Token: notify.Token{Name: "old", Owner: "bob"}}}
	}
	return s, nil
}

func (d *directory) Administrators(context.Context, string) ([]notify.Person, error) {
	return d.administrators, nil
}

// outbox takes messages, or fails.
type outbox struct {
	got  []*notify.Message
	fail error
}

func (o *outbox) Send(_ context.Context, m *notify.Message) error {
	if o.fail != nil {
		return o.fail
	}
	o.got = append(o.got, m)
	return nil
}

type bench struct {
	*notify.Sender
	q    *queue
	dir  *directory
	mail *outbox
	at   *clock
}

func newBench(t *testing.T, change func(*notify.Options)) *bench {
	t.Helper()
	templates, err := notify.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{q: newQueue(), mail: &outbox{}, at: &clock{now: start}, dir: &directory{
		administrators: []notify.Person{{Name: "alice", Email: "alice@example.com"}, {Name: "carol", Email: "carol@example.com"}},
		settled:        map[string]bool{}, gone: map[string]bool{},
	}}
	o := notify.Options{
		Queue: b.q, Directory: b.dir, Templates: templates, Mail: b.mail, From: "patrol@example.com",
		PublicURL: "https://patrol.example.com", Clock: b.at.Now,
	}
	if change != nil {
		change(&o)
	}
	b.Sender = notify.New(o)
	return b
}

func (b *bench) add(t *testing.T, kind, token string) {
	t.Helper()
	e := notify.Event{Kind: kind, Organization: "acme", Token: token, Request: "r-" + token, Key: kind + "/" + token}
	if err := b.q.Add(t.Context(), []notify.Event{e}, b.at.Now()); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) step(t *testing.T) {
	t.Helper()
	if err := b.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) to() []string {
	var out []string
	for _, m := range b.mail.got {
		out = append(out, m.To+": "+m.Subject)
	}
	slices.Sort(out)
	return out
}

func TestWhoIsToldOfWhat(t *testing.T) {
	cases := []struct {
		kind string
		want []string
	}{
		{notify.ApprovalRequested, []string{"alice@example.com: bob asks for access to acme: ci t1", "bob@example.com: Your token ci t1 waits for an approval by acme", "carol@example.com: bob asks for access to acme: ci t1"}},
		{notify.TokenApproved, []string{"bob@example.com: Approved for acme: ci t1"}},
		{notify.TokenDenied, []string{"bob@example.com: Denied for acme: ci t1"}},
		{notify.TokenRevoked, []string{"bob@example.com: Revoked for acme: ci t1"}},
		{notify.TokenSuspended, []string{"bob@example.com: Suspended for acme: ci t1"}},
		{notify.TokenResumed, []string{"bob@example.com: Resumed for acme: ci t1"}},
		{notify.OwnerAsked, []string{"bob@example.com: acme asks about your token ci t1"}},
		{notify.ApprovalEnds, []string{"bob@example.com: The approval of ci t1 by acme ends on 2026-03-03"}},
		{notify.ApprovalEnded, []string{"bob@example.com: The approval of ci t1 by acme has ended"}},
		{notify.TokenExpires, []string{"bob@example.com: Your token ci t1 expires on 2026-03-03"}},
		{notify.PolicyDated, []string{"bob@example.com: From 2026-03-12 on, acme refuses your token ci t1"}},
		{notify.ApprovalReminder, []string{"alice@example.com: Still waiting for a decision by acme: ci t1", "carol@example.com: Still waiting for a decision by acme: ci t1"}},
		{notify.ApprovalEscalated, []string{"ops@example.com: Nobody decides on a token for acme: ci t1"}},
	}
	for _, c := range cases {
		t.Run(c.kind, func(t *testing.T) {
			b := newBench(t, func(o *notify.Options) { o.Operators = []string{"ops@example.com"} })
			b.add(t, c.kind, "t1")
			b.step(t)
			if got := b.to(); !slices.Equal(got, c.want) {
				t.Errorf("told\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}

func TestARequestIsOneThreadAndItsMessagesNameTheirLink(t *testing.T) {
	b := newBench(t, nil)
	b.add(t, notify.ApprovalRequested, "t1")
	b.step(t)
	b.add(t, notify.TokenApproved, "t1")
	b.step(t)
	for _, m := range b.mail.got {
		if m.Thread != "request-r-t1@patrol.example.com" {
			t.Errorf("%s: thread %q", m.Subject, m.Thread)
		}
		want := "https://patrol.example.com/tokens/t1?organization=acme"
		if m.View.Audience == notify.Administrators {
			want = "https://patrol.example.com/organizations/acme/review/t1"
		}
		if !strings.Contains(m.Text, want) {
			t.Errorf("%s to %s does not hold %s:\n%s", m.Subject, m.To, want, m.Text)
		}
		if strings.Contains(m.HTML, "<b>builds") {
			t.Errorf("the purpose became markup:\n%s", m.HTML)
		}
		if !strings.Contains(m.Text, "nightly <b>builds</b>") {
			t.Errorf("the purpose is missing:\n%s", m.Text)
		}
	}
}

func TestWhatIsSettledIsNotTold(t *testing.T) {
	b := newBench(t, nil)
	b.add(t, notify.ApprovalRequested, "t1")
	b.add(t, notify.ApprovalRequested, "t2")
	b.dir.gather = "hourly"
	b.step(t) // addressed; the administrators' mail waits for the hour
	b.mail.got = nil
	b.dir.settled["t1"], b.dir.gone["t2"] = true, true
	b.at.add(time.Hour)
	b.step(t)
	if len(b.mail.got) != 0 || b.q.states(notify.Skipped) != 4 {
		t.Errorf("%d messages, %d skipped; want 0 and 4", len(b.mail.got), b.q.states(notify.Skipped))
	}
}

// TestWhoLeavesWhileAMessageWaitsIsNotTold: what is told is of the day on which it
// goes out, and so is to whom.
func TestWhoLeavesWhileAMessageWaitsIsNotTold(t *testing.T) {
	b := newBench(t, func(o *notify.Options) { o.Operators = []string{"ops@example.com"} })
	b.dir.responsible = []notify.Person{{Name: "rita", Email: "rita@example.com"}, {Name: "rob", Email: "rob@example.com"}}
	b.mail.fail = errors.New("the server is away")
	b.add(t, notify.ApprovalReminder, "t1")
	b.add(t, notify.TokenRevoked, "t2")
	b.add(t, notify.ApprovalEscalated, "t3")
	b.step(t)
	b.mail.fail = nil
	b.dir.administrators = b.dir.administrators[1:]
	b.dir.responsible = b.dir.responsible[:1]
	b.dir.bob = "bob@new.example"
	b.at.add(time.Hour)
	b.step(t)
	want := []string{"carol@example.com: Still waiting for a decision by acme: ci t1", "ops@example.com: Nobody decides on a token for acme: ci t3", "rita@example.com: Revoked for acme: ci t2"}
	if got := b.to(); !slices.Equal(got, want) || b.q.states(notify.Skipped) != 3 {
		t.Errorf("told\n%q\nwant\n%q; %d skipped", got, want, b.q.states(notify.Skipped))
	}
}

// slow takes its time for each message.
type slow struct {
	outbox
	at *clock
}

func (o *slow) Send(ctx context.Context, m *notify.Message) error {
	o.at.add(time.Minute)
	return o.outbox.Send(ctx, m)
}

// TestASlowServerMakesNothingArriveTwice, and holds no webhook up: who sends stops
// long before its leases end.
func TestASlowServerMakesNothingArriveTwice(t *testing.T) {
	hook := &outbox{}
	b := newBench(t, func(o *notify.Options) { o.Hooks = []notify.Hook{{Name: "siem", Transport: hook}} })
	server := &slow{at: b.at}
	b.Mail = server
	other := notify.New(b.Options)
	for i := range 8 {
		b.add(t, notify.TokenRevoked, fmt.Sprintf("t%d", i))
	}
	b.step(t)
	if len(hook.got) != 8 || len(server.got) != 3 {
		t.Errorf("%d webhooks and %d mails went out, want 8 and 3", len(hook.got), len(server.got))
	}
	for range 8 {
		if err := other.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.at.add(5 * time.Minute)
		b.step(t)
	}
	seen := map[string]int{}
	for _, m := range server.got {
		seen[m.ID]++
	}
	if len(seen) != 8 || len(server.got) != 8 {
		t.Errorf("%d mails arrived, %d of them different; want 8", len(server.got), len(seen))
	}
}

// stopping ends the sender's context while a message goes out.
type stopping struct {
	outbox
	stop context.CancelFunc
}

func (o *stopping) Send(ctx context.Context, m *notify.Message) error {
	o.stop()
	return o.outbox.Send(ctx, m)
}

// noting is a queue that notes nothing once the caller's context has ended.
type noting struct{ *queue }

func (q noting) Done(ctx context.Context, ids []int64, state, problem string, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.queue.Done(ctx, ids, state, problem, now)
}

func TestWhatIsSentWhilePatrolStopsIsNoted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	b := newBench(t, nil)
	b.Mail, b.Queue = &stopping{stop: stop}, noting{b.q}
	b.add(t, notify.TokenRevoked, "t1")
	if err := b.Step(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if b.q.states(notify.Sent) != 1 {
		t.Errorf("ended are %v", b.q.ended)
	}
}

func TestGatheredRequestsGoIntoOneMessage(t *testing.T) {
	b := newBench(t, nil)
	b.dir.gather = "hourly"
	for i := range 5 {
		b.add(t, notify.ApprovalRequested, fmt.Sprintf("t%d", i))
	}
	b.step(t)
	if got := b.to(); len(got) != 1 || !strings.HasPrefix(got[0], "bob@") {
		t.Fatalf("before the hour only the owner is told: %q", got)
	}
	b.mail.got = nil
	b.at.add(40 * time.Minute)
	b.step(t)
	want := []string{"alice@example.com: 5 tokens ask for access to acme", "carol@example.com: 5 tokens ask for access to acme"}
	if got := b.to(); !slices.Equal(got, want) {
		t.Fatalf("told %q, want %q", got, want)
	}
	for i := range 5 {
		if link := fmt.Sprintf("/organizations/acme/review/t%d", i); !strings.Contains(b.mail.got[0].Text, link) || !strings.Contains(b.mail.got[0].HTML, link) {
			t.Errorf("the message does not link to %s", link)
		}
	}
}

func TestAnHourWithoutAMailServerLosesNothing(t *testing.T) {
	b := newBench(t, nil)
	b.mail.fail = errors.New("connection refused")
	for i := range 20 {
		b.add(t, notify.TokenRevoked, fmt.Sprintf("t%d", i))
	}
	for range 720 { // an hour of five seconds
		b.step(t)
		b.at.add(5 * time.Second)
	}
	if b.q.states(notify.Dead) != 0 {
		t.Fatalf("%d messages were given up", b.q.states(notify.Dead))
	}
	b.mail.fail = nil
	for range 2000 {
		b.step(t)
		b.at.add(5 * time.Second)
	}
	if len(b.mail.got) != 20 || b.q.states(notify.Sent) != 20 {
		t.Errorf("%d messages arrived, %d are marked sent; want 20", len(b.mail.got), b.q.states(notify.Sent))
	}
}

func TestASenderThatDiedRepeatsUnderTheSameMessageID(t *testing.T) {
	b := newBench(t, nil)
	b.add(t, notify.TokenRevoked, "t1")
	died, cancel := context.WithCancel(t.Context())
	inner := b.mail
	b.Mail = transport(func(ctx context.Context, m *notify.Message) error {
		_ = inner.Send(ctx, m)
		cancel() // after the server took it, before that was noted
		return ctx.Err()
	})
	if err := b.Step(died); err == nil {
		t.Fatal("the sender did not die")
	}
	b.Mail = inner
	b.step(t)
	if len(inner.got) != 1 {
		t.Fatalf("the lease did not hold: %d messages", len(inner.got))
	}
	b.at.add(6 * time.Minute)
	b.step(t)
	if len(inner.got) != 2 || inner.got[0].ID != inner.got[1].ID {
		t.Errorf("want the same message twice, got %d", len(inner.got))
	}
}

type transport func(context.Context, *notify.Message) error

func (f transport) Send(ctx context.Context, m *notify.Message) error { return f(ctx, m) }

func TestWhatCannotBeSentEndsDead(t *testing.T) {
	for name, c := range map[string]struct {
		problem error
		after   time.Duration
	}{
		"refused for good":      {&notify.Permanent{Err: errors.New("550 no such user")}, 0},
		"failed for three days": {errors.New("connection refused"), 73 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.mail.fail = c.problem
			b.add(t, notify.TokenRevoked, "t1")
			b.step(t)
			if c.after > 0 {
				if b.q.states(notify.Dead) != 0 {
					t.Fatal("given up at once")
				}
				b.at.add(c.after)
				b.step(t)
			}
			if b.q.states(notify.Dead) != 1 {
				t.Errorf("%d are dead, want 1", b.q.states(notify.Dead))
			}
		})
	}
}

func TestEdge26_NoAdministratorWithAnAddress_FallsBackToAListOrIsCounted(t *testing.T) {
	var seen []string
	b := newBench(t, func(o *notify.Options) {
		o.Fallback = []string{"desk@example.com"}
		o.Observe = func(_, _, state string) { seen = append(seen, state) }
	})
	b.dir.administrators = []notify.Person{{Name: "alice"}}
	b.add(t, notify.ApprovalRequested, "t1")
	b.step(t)
	if got := b.to(); len(got) != 2 || !strings.HasPrefix(got[1], "desk@") {
		t.Errorf("told %q; want the fallback and the owner", got)
	}
	if !slices.Equal(b.q.nobody, []string{notify.Administrators}) || !slices.Contains(seen, "unreachable") {
		t.Errorf("the audit has %q, the metrics %q", b.q.nobody, seen)
	}
}

func TestARateBoundsWhatGoesOut(t *testing.T) {
	b := newBench(t, func(o *notify.Options) { o.PerMinute = 10 })
	for i := range 25 {
		b.add(t, notify.TokenRevoked, fmt.Sprintf("t%d", i))
	}
	for _, want := range []int{10, 10, 20, 20, 25} {
		b.step(t)
		if len(b.mail.got) != want {
			t.Fatalf("%d went out, want %d", len(b.mail.got), want)
		}
		b.at.add(31 * time.Second)
	}
}

func TestTemplatesOfAnOperator(t *testing.T) {
	cases := map[string]struct{ file, text, problem string }{
		"replaces one":       {"token_revoked.owner.tmpl", `{{define "subject"}}Gone: {{.Token.Name}}{{end}}{{define "lead"}}It is gone.{{end}}`, ""},
		"unknown name":       {"token_gone.owner.tmpl", "", "token_gone.owner.tmpl replaces no template"},
		"does not parse":     {"token_revoked.owner.tmpl", "{{define \"subject\"}}\n{{if}}{{end}}", "token_revoked.owner.tmpl:2"},
		"reads what is not":  {"token_revoked.owner.tmpl", "{{define \"subject\"}}{{.Token.Secret}}{{end}}{{define \"lead\"}}x{{end}}", "Secret"},
		"lacks a block":      {"token_revoked.owner.tmpl", `{{define "subject"}}x{{end}}`, `does not define "lead"`},
		"layout that breaks": {"layout.html", "{{.Nothing}}", "layout.html"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			templates, err := notify.LoadTemplates(dir)
			switch {
			case c.problem == "" && err != nil:
				t.Fatal(err)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
				t.Fatalf("the error is %v, want it to say %q", err, c.problem)
			case c.problem != "":
				return
			}
			m, err := templates.Render(notify.View{Kind: notify.TokenRevoked, Audience: notify.Owner, Token: notify.Token{ID: "1", Name: "ci"}})
			if err != nil || m.Subject != "Gone: ci" {
				t.Errorf("the subject is %v, %v", m, err)
			}
		})
	}
}
