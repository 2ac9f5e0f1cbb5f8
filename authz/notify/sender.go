package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Options of a sender. Queue, Directory and Templates are required.
type Options struct {
	Queue     Queue
	Directory Directory
	Templates *Templates
	// Mail carries mails; nil: none are made.
	Mail Transport
	// Hooks are told of events beside it.
	Hooks []Hook
	// From is the sender's address, for the domain of message ids.
	From string
	// PublicURL is where the pages are that messages link to; "" leaves links out.
	PublicURL string
	// Operators are told what concerns patrol itself.
	Operators []string
	// Fallback are told where an organization has no administrator with a
	// confirmed address.
	Fallback []string
	// PerMinute bounds the messages that go out; default 120.
	PerMinute int
	// GiveUp is how long a message is tried before it is dead; default 72 h.
	GiveUp time.Duration
	// Lease is how long a sender has for a batch before another may take it
	// over; default 5 min.
	Lease time.Duration
	// Interval between two looks at the queue; default 5 s.
	Interval time.Duration
	Clock    func() time.Time
	Log      *slog.Logger
	// Observe is told how each message ended, and of audiences that could not
	// be reached (state unreachable); may be nil.
	Observe func(channel, kind, state string)
}

// Hook is a webhook that is told of some events.
type Hook struct {
	Name      string
	Transport Transport
	// Kinds and Organizations (by name) narrow what it is told; empty: all.
	Kinds         []string
	Organizations []string
}

// Sender sends what is queued. Several may work on one queue.
type Sender struct {
	Options
	sent []time.Time // within the last minute
	hint chan struct{}
}

// maxAdministrators bounds who is told of a request.
const maxAdministrators = 50

// batch is how much is taken from the queue at a time.
const batch = 100

// New makes a sender.
func New(o Options) *Sender {
	if o.PerMinute == 0 {
		o.PerMinute = 120
	}
	if o.GiveUp == 0 {
		o.GiveUp = 72 * time.Hour
	}
	if o.Lease == 0 {
		o.Lease = 5 * time.Minute
	}
	if o.Interval == 0 {
		o.Interval = 5 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, string, string) {}
	}
	return &Sender{Options: o, hint: make(chan struct{}, 1)}
}

// Hint says that something was queued: look soon. It never blocks.
func (s *Sender) Hint() {
	select {
	case s.hint <- struct{}{}:
	default:
	}
}

// Run sends until the context ends.
func (s *Sender) Run(ctx context.Context) {
	ticker := time.NewTicker(s.Interval)
	defer ticker.Stop()
	failing := false
	for {
		more, err := s.step(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.Log.Error("notifications wait: the queue cannot be read", "error", err)
		}
		failing = err != nil
		if more && err == nil && ctx.Err() == nil {
			continue // many at once, after an import perhaps: nobody waits for the next look
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.hint:
		}
	}
}

// Step addresses the events and sends the messages that are due. An error is
// the queue's or the directory's; a message that cannot be sent is no error.
func (s *Sender) Step(ctx context.Context) error {
	_, err := s.step(ctx)
	return err
}

// step says whether there is more to do at once.
func (s *Sender) step(ctx context.Context) (more bool, err error) {
	now := s.Clock()
	events, err := s.Queue.Events(ctx, now, s.Lease, batch)
	if err != nil {
		return false, fmt.Errorf("read events: %w", err)
	}
	more = len(events) == batch
	var failed error // what one event or message fails by does not hold up the others
	for _, e := range events {
		if err := safely(func() error { return s.address(ctx, e, now) }); err != nil {
			failed = errors.Join(failed, fmt.Errorf("address the event %d (%s): %w", e.ID, e.Kind, err))
		}
	}
	limit := s.budget(now)
	if limit == 0 {
		return more, failed
	}
	jobs, err := s.Queue.Jobs(ctx, now, s.Lease, limit)
	if err != nil {
		return false, fmt.Errorf("read messages to send: %w", err)
	}
	more = more || len(jobs) == limit
	for _, group := range grouped(jobs) {
		// A slow server: what is left is somebody else's once its lease has ended.
		if s.Clock().Sub(now) > s.Lease/2 {
			return true, failed
		}
		if err := safely(func() error { return s.deliver(ctx, group) }); err != nil {
			failed = errors.Join(failed, err)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	return more, failed
}

// safely makes an error of a panic: telling people is not worth the server.
func safely(f func() error) (err error) {
	defer func() {
		if broke := recover(); broke != nil {
			err = fmt.Errorf("panic: %v", broke)
		}
	}()
	return f()
}

// budget is how many messages may go out now.
func (s *Sender) budget(now time.Time) int {
	kept := s.sent[:0]
	for _, at := range s.sent {
		if now.Sub(at) < time.Minute {
			kept = append(kept, at)
		}
	}
	s.sent = kept
	return max(0, min(batch, s.PerMinute-len(s.sent)))
}

// grouped puts jobs together that make one message: of one kind, to one
// recipient, about one organization. Webhooks, which are told at once and answer
// soon, go before mails, which may have to wait for a server.
func grouped(jobs []Job) [][]Job {
	var groups [][]Job
	at := map[[5]string]int{}
	for _, j := range jobs {
		k := [5]string{j.Channel, j.Recipient, j.Audience, j.Event.Kind, j.Event.Organization}
		if i, ok := at[k]; ok && gathered[j.Event.Kind] && j.Channel == Mail {
			groups[i] = append(groups[i], j)
			continue
		}
		at[k] = len(groups)
		groups = append(groups, []Job{j})
	}
	turn := func(group []Job) int {
		if group[0].Channel == Webhook {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(groups, func(a, b []Job) int { return turn(a) - turn(b) })
	return groups
}

// deliver sends one message about some jobs, and notes what became of it.
func (s *Sender) deliver(ctx context.Context, group []Job) error {
	first := group[0]
	var subjects []*Subject
	var live, settled []int64
	for _, j := range group {
		subject, err := s.Directory.Subject(ctx, j.Event)
		if err != nil {
			return fmt.Errorf("read what the message %d is about: %w", j.ID, err)
		}
		wanted := subject != nil && !isSettled(j.Event.Kind, subject)
		if wanted {
			if wanted, err = s.concerns(ctx, j, subject); err != nil {
				return fmt.Errorf("read whom the message %d concerns: %w", j.ID, err)
			}
		}
		if !wanted {
			settled = append(settled, j.ID)
			continue
		}
		live, subjects = append(live, j.ID), append(subjects, subject)
	}
	if len(settled) > 0 {
		s.Observe(first.Channel, first.Event.Kind, Skipped)
		if err := s.Queue.Done(ctx, settled, Skipped, "", s.Clock()); err != nil {
			return fmt.Errorf("note what needs no message: %w", err)
		}
	}
	if len(live) == 0 {
		return nil
	}
	transport := s.transport(first)
	if transport == nil {
		return s.ended(ctx, first, live, Dead, "there is no "+first.Channel+" "+first.Recipient+" any more")
	}
	m, err := s.message(first, subjects)
	if err != nil {
		return s.ended(ctx, first, live, Dead, err.Error())
	}
	s.sent = append(s.sent, s.Clock())
	return s.tried(ctx, group, live, transport.Send(ctx, m))
}

// tried notes how an attempt ended.
func (s *Sender) tried(ctx context.Context, group []Job, ids []int64, problem error) error {
	first, now := group[0], s.Clock()
	switch {
	case problem == nil:
		return s.ended(ctx, first, ids, Sent, "")
	case ctx.Err() != nil:
		return ctx.Err() // the lease ends by itself
	case permanent(problem) || now.Sub(first.Event.Created) > s.GiveUp:
		return s.ended(ctx, first, ids, Dead, problem.Error())
	}
	next := now.Add(Backoff(first.Attempts))
	s.Log.Warn("a message could not be sent; it is tried again", "channel", first.Channel, "kind", first.Event.Kind,
		"attempts", first.Attempts+1, "next", next, "error", problem)
	s.Observe(first.Channel, first.Event.Kind, "retried")
	if err := s.Queue.Again(ctx, ids, problem.Error(), next); err != nil {
		return fmt.Errorf("put a message back: %w", err)
	}
	return nil
}

func (s *Sender) ended(ctx context.Context, j Job, ids []int64, state, problem string) error {
	// What was sent while patrol stops is noted all the same, or it is sent again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if state == Dead {
		s.Log.Error("a message is given up; patrol notify retry tries it again", "channel", j.Channel, "kind", j.Event.Kind, "attempts", j.Attempts+1, "error", problem)
	}
	s.Observe(j.Channel, j.Event.Kind, state)
	if err := s.Queue.Done(ctx, ids, state, problem, s.Clock()); err != nil {
		return fmt.Errorf("note that a message was %s: %w", state, err)
	}
	return nil
}

// Backoff is how long a message waits after attempts that failed: 30 s, twice
// that after each more, and at most an hour.
func Backoff(attempts int) time.Duration {
	return min(30*time.Second<<min(attempts, 10), time.Hour)
}

func (s *Sender) transport(j Job) Transport {
	if j.Channel == Mail {
		return s.Mail
	}
	for _, h := range s.Hooks {
		if h.Name == j.Recipient {
			return h.Transport
		}
	}
	return nil
}

func (s *Sender) message(j Job, subjects []*Subject) (*Message, error) {
	now := s.Clock()
	m, err := s.Templates.Render(links(s.PublicURL).view(j, subjects, now))
	if err != nil {
		return nil, err
	}
	domain := domainOf(s.PublicURL, s.From)
	m.ID = messageID(domain, j.Event.Key, j.Audience, j.Channel, strings.ToLower(j.Recipient))
	m.Thread = threadID(domain, j.Event.Request)
	m.List = "tokens." + domain
	if o := m.View.Organization.Name; o != "" {
		m.List = o + "." + m.List
	}
	m.To, m.Date, m.Event = j.Recipient, now, j.Event
	return m, nil
}

// isSettled says whether a message would tell of what is over.
func isSettled(kind string, s *Subject) bool {
	return pendingOnly[kind] && (s.Token == nil || s.Token.Request != "open")
}
