package main

import (
	"context"
	"errors"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/notify"
)

// NotifyCmd is about messages to people.
type NotifyCmd struct {
	Test  NotifyTestCmd  `cmd:"" help:"Send a message to the operators of the configuration."`
	Queue NotifyQueueCmd `cmd:"" help:"List messages by state."`
	Retry NotifyRetryCmd `cmd:"" help:"Try again what was given up."`
}

// NotifyTestCmd sends a test.
type NotifyTestCmd struct{}

// Help gives an example.
func (*NotifyTestCmd) Help() string {
	return "The operators are mail.operators of the configuration, or mail.fallback.\n\n" + example("patrol notify test")
}

// Run sends it.
func (*NotifyTestCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	return cli.done(cl.TestNotifications(ctx), "Queued: see patrol notify queue.")
}

// NotifyQueueCmd lists messages.
type NotifyQueueCmd struct {
	State string `help:"waiting, sent, skipped or dead." enum:"waiting,sent,skipped,dead" default:"waiting" placeholder:"STATE"`
}

// Help gives an example.
func (*NotifyQueueCmd) Help() string { return example("patrol notify queue --state dead") }

// Run lists them.
func (c *NotifyQueueCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	rows, err := cl.Notifications(ctx, c.State)
	return list(cli, rows, err, "No message.", func(t *table, rows []admin.Notification) {
		t.row("ID", "KIND", "TO", "FOR", "ATTEMPTS", "NEXT", "ERROR")
		for _, r := range rows {
			t.row(r.ID, r.Kind, r.Recipient, r.Audience, r.Attempts, relative(r.NextAt), dash(r.LastError))
		}
	})
}

// NotifyRetryCmd tries again.
type NotifyRetryCmd struct{}

// Help gives an example.
func (*NotifyRetryCmd) Help() string { return example("patrol notify retry") }

// Run tries.
func (*NotifyRetryCmd) Run(ctx context.Context, cli *CLI) error {
	cl, err := cli.client()
	if err != nil {
		return err
	}
	n, err := cl.RetryNotifications(ctx)
	return show(cli, &admin.Retried{Retried: n}, err, func(t *table, r *admin.Retried) { t.row("tried again", r.Retried) })
}

// notifications are the outbox as the API shows it.
type notifications struct{ *App }

func (n notifications) Queue(ctx context.Context, state string, before int64, limit int) ([]admin.Notification, error) {
	rows, err := n.Store.Deliveries(ctx, state, before, limit)
	out := make([]admin.Notification, len(rows))
	for i, d := range rows {
		out[i] = admin.Notification{
			ID: d.ID, Kind: d.Event.Kind, Organization: d.Event.Organization, Token: d.Event.Token, Request: d.Event.Request, Channel: d.Channel,
			Audience: d.Audience, Recipient: d.Recipient, State: d.State, Attempts: d.Attempts, LastError: d.LastError, CreatedAt: d.Event.Created,
		}
		if d.State == "waiting" {
			out[i].NextAt = &rows[i].NextAt
		} else {
			out[i].EndedAt = &rows[i].Ended
		}
	}
	return out, err
}

func (n notifications) Retry(ctx context.Context) (int64, error) {
	count, err := n.Store.RetryDeliveries(ctx, n.Clock())
	n.Notify.Hint()
	return count, err
}

func (n notifications) Test(ctx context.Context) error {
	if m := n.Config.Mail; len(m.Operators) == 0 && len(m.Fallback) == 0 && len(n.Config.Webhooks) == 0 {
		return &inventory.Conflict{Problem: errNobody.Error()}
	}
	now := n.Clock()
	err := n.Store.AddEvents(ctx, []inventory.Event{{Kind: notify.Test, Key: notify.Test + "/" + now.Format(time.RFC3339Nano)}}, now)
	n.Notify.Hint()
	return err
}

var errNobody = errors.New("there is nobody to send it to: set mail.operators or mail.fallback in the configuration")
