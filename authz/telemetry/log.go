package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/redact"
)

// DenialLog writes at most one line for a refusal, and no more lines than its
// rate: a flood of refusals costs counters, not a full disk.
type DenialLog struct {
	Log *slog.Logger
	// PerSecond lines, with a burst of the same size; default 50.
	PerSecond int
	// CredentialHeaders are those whose words are erased from a line.
	CredentialHeaders redact.Headers
	// Clock is asked where an outcome has no time.
	Clock func() time.Time

	mu         sync.Mutex
	tokens     float64
	last       time.Time
	suppressed int
}

// Record writes the line of a refusal.
func (d *DenialLog) Record(o *authz.Outcome) {
	if o.Decision.Allowed && o.Conflict == "" {
		return
	}
	at := o.Time // the request's own reading of the clock
	if at.IsZero() && d.Clock != nil {
		at = d.Clock()
	}
	suppressed, ok := d.take(at)
	if !ok {
		return
	}
	var erase redact.Request
	if o.Request != nil {
		erase = d.CredentialHeaders.Of(o.Request)
	}
	attrs := []slog.Attr{
		slog.String("reason", o.Decision.Reason), slog.String("decision_id", o.DecisionID), slog.String("request_id", erase.Text(o.RequestID)),
		slog.String("revision", o.Revision),
	}
	if o.Request != nil {
		path, _, _ := strings.Cut(o.Request.Path(), "?")
		attrs = append(attrs, slog.String("method", erase.Beginning(o.Request.Method(), 32)), slog.String("path", erase.Beginning(path, 200)))
	}
	if f := o.Facts; f != nil {
		if f.Organization != nil {
			attrs = append(attrs, slog.String("organization", f.Organization.Name), slog.String("policy", o.Policy))
		}
		if f.Token != nil {
			attrs = append(attrs, slog.String("token_id", f.Token.ID))
		}
	}
	if o.Conflict != "" {
		attrs = append(attrs, slog.String("safety_net_overruled", o.Conflict))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	level := slog.LevelInfo
	if o.Err != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("error", erase.Text(o.Err.Error())))
	}
	d.Log.LogAttrs(context.Background(), level, "denied", attrs...)
}

// cut cuts a text that is too long.
func (d *DenialLog) take(now time.Time) (suppressed int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rate := float64(d.PerSecond)
	if rate == 0 {
		rate = 50
	}
	if d.last.IsZero() {
		d.tokens = rate
	}
	if passed := now.Sub(d.last); passed > 0 { // of two requests the later may be recorded first
		d.tokens = min(rate, d.tokens+passed.Seconds()*rate)
		d.last = now
	}
	if d.tokens < 1 {
		d.suppressed++
		return 0, false
	}
	d.tokens--
	suppressed, d.suppressed = d.suppressed, 0
	return suppressed, true
}

// Guard wraps a handler: whatever looks like a credential in a message or an
// attribute is replaced. It is the second line; the first is that secrets
// are of a type that prints as redacted.
func Guard(h slog.Handler) slog.Handler { return guard{h} }

type guard struct{ slog.Handler }

func (g guard) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, redact.Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(redactAttr(a))
		return true
	})
	return g.Handler.Handle(ctx, out)
}

func (g guard) WithAttrs(attrs []slog.Attr) slog.Handler {
	for i := range attrs {
		attrs[i] = redactAttr(attrs[i])
	}
	return guard{g.Handler.WithAttrs(attrs)}
}

func (g guard) WithGroup(name string) slog.Handler { return guard{g.Handler.WithGroup(name)} }

func redactAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, redact.Text(v.String()))
	case slog.KindGroup:
		group := slices.Clone(v.Group())
		for i := range group {
			group[i] = redactAttr(group[i])
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(group...)}
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return slog.String(a.Key, redact.Text(err.Error()))
		}
		// Anything else stays what it is, unless it holds a credential.
		text := fmt.Sprintf("%+v", v.Any())
		if redacted := redact.Text(text); redacted != text {
			return slog.String(a.Key, redacted)
		}
	}
	return a
}

// Recorders records with each of several.
type Recorders []interface{ Record(*authz.Outcome) }

// Record records with each.
func (rs Recorders) Record(o *authz.Outcome) {
	for _, r := range rs {
		r.Record(o)
	}
}
