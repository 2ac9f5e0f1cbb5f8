package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore/db"
)

// OutboxEvent is an event that people may have to be told.
type OutboxEvent struct {
	ID                                      int64
	Kind, Organization, Token, Request, Key string
	Created                                 time.Time
	// Owner is whom the event is about, where it is no single token; At is the
	// moment that it is about, where there is one.
	Owner string
	At    time.Time
}

// Delivery is a message to one recipient.
type Delivery struct {
	ID                           int64
	Event                        OutboxEvent
	Channel, Audience, Recipient string
	State                        string // waiting, sent, skipped, dead
	Attempts                     int
	NextAt, Ended                time.Time
	LastError                    string
}

func eventOf(o *db.Outbox) OutboxEvent {
	return OutboxEvent{ID: o.ID, Kind: o.Kind, Organization: o.OrganizationID, Token: o.TokenID, Request: o.RequestID, Key: o.DedupeKey, Created: fromMillis(o.CreatedAt), Owner: o.Owner, At: fromMillis(o.At)}
}

func deliveryOf(d *db.Delivery, o *db.Outbox) Delivery {
	return Delivery{
		ID: d.ID, Event: eventOf(o), Channel: d.Channel, Audience: d.Audience, Recipient: d.Recipient, State: d.State, Attempts: int(d.Attempts),
		NextAt: fromMillis(d.NextAt), Ended: fromMillis(d.EndedAt), LastError: d.LastError,
	}
}

// writing runs f in a transaction that writes and takes no change number: the
// outbox is no part of what the change log tells.
func (s *Store) writing(ctx context.Context, what string, f func(*state) error) (err error) {
	defer func() { err = s.room(err) }()
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("begin to %s: %w", what, err)
	}
	defer tx.Rollback()
	st := s.newState(ctx, tx)
	defer st.close()
	if err := f(st); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	st.close()
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit to %s: %w", what, err)
	}
	return nil
}

// LeaseEvents takes events that were not addressed yet, for a span. It writes
// nothing where there are none.
func (s *Store) LeaseEvents(ctx context.Context, now time.Time, span time.Duration, limit int) (out []OutboxEvent, err error) {
	p := db.EventsWaitingParams{Now: millis(now), Size: int32(limit)} //nolint:gosec // a batch
	some := false
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.EventsWaiting(ctx, db.EventsWaitingParams{Now: p.Now, Size: 1})
		some = len(rows) > 0
		return err
	})
	if err != nil || !some {
		return nil, err
	}
	err = s.writing(ctx, "lease events", func(st *state) error {
		rows, err := st.EventsWaiting(ctx, p)
		for i := range rows {
			if err == nil {
				err = st.LeaseEvent(ctx, db.LeaseEventParams{LeasedUntil: millis(now.Add(span)), ID: rows[i].ID})
			}
			out = append(out, eventOf(&rows[i]))
		}
		return err
	})
	return out, err
}

// Address replaces an event by its deliveries, once. Where nobody could be
// reached, the audit log says so.
func (s *Store) Address(ctx context.Context, e OutboxEvent, deliveries []Delivery, nobody string, now time.Time) error {
	return s.writing(ctx, "address an event", func(st *state) error {
		n, err := st.EndEvent(ctx, e.ID)
		if err != nil || n == 0 {
			return err
		}
		for _, d := range deliveries {
			err := st.InsertDelivery(ctx, db.InsertDeliveryParams{
				EventID: e.ID, Channel: d.Channel, Audience: d.Audience, Recipient: d.Recipient, NextAt: millis(d.NextAt),
			})
			if err != nil {
				return err
			}
		}
		if nobody == "" {
			return nil
		}
		change := &inventory.Change{Audit: &inventory.AuditEntry{
			Actor: inventory.Actor{Kind: "system", Name: "patrol"}, Action: "notify.unreachable", OrganizationID: e.Organization, TokenID: e.Token,
			Details: map[string]any{"event": e.Kind, "audience": nobody},
		}}
		if err := s.write(st, change, now); err != nil {
			return err
		}
		return s.take(st)
	})
}

// LeaseDeliveries takes deliveries that are due, for a span.
func (s *Store) LeaseDeliveries(ctx context.Context, now time.Time, span time.Duration, limit int) (out []Delivery, err error) {
	p := db.DeliveriesWaitingParams{Now: millis(now), Size: int32(limit)} //nolint:gosec // a batch
	some := false
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.DeliveriesWaiting(ctx, db.DeliveriesWaitingParams{Now: p.Now, Size: 1})
		some = len(rows) > 0
		return err
	})
	if err != nil || !some {
		return nil, err
	}
	err = s.writing(ctx, "lease deliveries", func(st *state) error {
		rows, err := st.DeliveriesWaiting(ctx, p)
		for i := range rows {
			if err == nil {
				err = st.LeaseDelivery(ctx, db.LeaseDeliveryParams{LeasedUntil: millis(now.Add(span)), ID: rows[i].Delivery.ID})
			}
			out = append(out, deliveryOf(&rows[i].Delivery, &rows[i].Outbox))
		}
		return err
	})
	return out, err
}

// EndDeliveries notes how deliveries ended, and forgets those that arrived
// longer than the retention ago.
func (s *Store) EndDeliveries(ctx context.Context, ids []int64, how, problem string, now time.Time) error {
	return s.writing(ctx, "end deliveries", func(st *state) error {
		for _, id := range ids {
			if err := st.EndDelivery(ctx, db.EndDeliveryParams{State: how, LastError: problem, EndedAt: millis(now), ID: id}); err != nil {
				return err
			}
		}
		return st.ForgetDeliveries(ctx, millis(now.Add(-s.Retention)))
	})
}

// ForgetEvents deletes events that were told before a time, with what was given
// up of them, and says how many. Their keys are free then: what is planned by a
// key must be over.
func (s *Store) ForgetEvents(ctx context.Context, before time.Time) (n int64, err error) {
	for {
		part := int64(0)
		err := s.writing(ctx, "forget events", func(st *state) error {
			if err := st.ForgetDeliveries(ctx, millis(before)); err != nil {
				return err
			}
			if err := st.ForgetDead(ctx, millis(before)); err != nil {
				return err
			}
			part, err = st.Queries.ForgetEvents(ctx, millis(before))
			return err
		})
		if n += part; err != nil || part == 0 {
			return n, err
		}
	}
}

// PutBackDeliveries lets deliveries be tried again from a time on.
func (s *Store) PutBackDeliveries(ctx context.Context, ids []int64, problem string, next time.Time) error {
	return s.writing(ctx, "put deliveries back", func(st *state) error {
		for _, id := range ids {
			if err := st.PutBackDelivery(ctx, db.PutBackDeliveryParams{LastError: problem, NextAt: millis(next), ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddEvents adds events; those whose key is there already are left out.
func (s *Store) AddEvents(ctx context.Context, events []inventory.Event, now time.Time) error {
	return s.writing(ctx, "add events", func(st *state) error {
		w := &writer{state: st}
		w.events(events, now)
		return w.err
	})
}

// plannedName is under which name it is noted until when something was planned.
func plannedName(part string) string { return "planned_" + part }

// Planned returns until when a part of what time brings was planned; zero: never.
func (s *Store) Planned(ctx context.Context, part string) (until time.Time, err error) {
	err = s.reading(ctx, func(st *state) error {
		until, err = st.planned(part)
		return err
	})
	return until, err
}

func (s *state) planned(part string) (time.Time, error) {
	value, err := s.MetaValue(s.ctx, plannedName(part))
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	at, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read until when %s were planned: %w", part, err)
	}
	return fromMillis(at), nil
}

// SetPlanned notes that parts were planned until a time; an earlier one than what
// is noted changes nothing.
func (s *Store) SetPlanned(ctx context.Context, parts []string, until time.Time) error {
	return s.writing(ctx, "note what was planned", func(st *state) error {
		for _, part := range parts {
			noted, err := st.planned(part)
			if err != nil {
				return err
			}
			if !until.After(noted) {
				continue
			}
			if err := st.SetMeta(ctx, db.SetMetaParams{Name: plannedName(part), Value: strconv.FormatInt(millis(until), 10)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// RetryDeliveries tries everything anew that was given up, and says how much.
func (s *Store) RetryDeliveries(ctx context.Context, now time.Time) (n int64, err error) {
	err = s.writing(ctx, "retry deliveries", func(st *state) error {
		n, err = st.RetryDeliveries(ctx, millis(now))
		return err
	})
	return n, err
}

// Deliveries lists deliveries in a state, the newest first; before is the id of
// the last one of the page before, 0 for the first page.
func (s *Store) Deliveries(ctx context.Context, how string, before int64, limit int) (out []Delivery, err error) {
	if before == 0 {
		before = math.MaxInt64
	}
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.DeliveriesPage(ctx, db.DeliveriesPageParams{State: how, Before: before, Size: int32(limit)}) //nolint:gosec // a page
		for i := range rows {
			out = append(out, deliveryOf(&rows[i].Delivery, &rows[i].Outbox))
		}
		return err
	})
	return out, err
}

// OutboxSizes counts what waits or was given up, by state; events that were not
// addressed yet count as "events".
func (s *Store) OutboxSizes(ctx context.Context) (out map[string]int64, err error) {
	out = map[string]int64{"events": 0, "waiting": 0, "dead": 0}
	err = s.reading(ctx, func(st *state) error {
		rows, err := st.CountDeliveries(ctx)
		if err != nil {
			return err
		}
		for _, r := range rows {
			out[r.State] = r.Deliveries
		}
		out["events"], err = st.CountEventsWaiting(ctx)
		return err
	})
	return out, err
}
