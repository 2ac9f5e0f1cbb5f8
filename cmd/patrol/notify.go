package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/notify"
)

// MailConfig says how people are told by mail. Without smtp, mails are put into
// a folder.
type MailConfig struct {
	From      string     `yaml:"from"`
	ReplyTo   string     `yaml:"reply_to"`
	SMTP      SMTPConfig `yaml:"smtp"`
	Folder    string     `yaml:"folder"`
	Operators []string   `yaml:"operators"`
	Fallback  []string   `yaml:"fallback"`
	Templates string     `yaml:"templates"`
	PerMinute int        `yaml:"per_minute"`
	// PolicyDays are how many days before a dated change of policy people are told.
	PolicyDays []int `yaml:"policy_days"`
	// KeepDays is how long it is kept what was told, and FolderDays how long mails
	// in the folder are.
	KeepDays   int `yaml:"keep_days"`
	FolderDays int `yaml:"folder_days"`
}

// SMTPConfig is a mail server.
type SMTPConfig struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	TLS          string `yaml:"tls"`
	CAFile       string `yaml:"ca_file"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
}

// WebhookConfig is an address that is told of events.
type WebhookConfig struct {
	Name          string   `yaml:"name"`
	URL           string   `yaml:"url"`
	URLFile       string   `yaml:"url_file"`
	SecretFile    string   `yaml:"secret_file"`
	Format        string   `yaml:"format"`
	Kinds         []string `yaml:"kinds"`
	Organizations []string `yaml:"organizations"`
}

// startNotify starts the sender and the planner.
func (a *App) startNotify(ctx context.Context) error {
	templates, err := notify.LoadTemplates(a.Config.Mail.Templates)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	transport, err := a.Config.mailTransport()
	if err != nil {
		return err
	}
	hooks, err := a.Config.hooks()
	if err != nil {
		return err
	}
	m := a.Config.Mail
	a.Notify = notify.New(notify.Options{
		Queue: outbox{a.Store}, Directory: directory{a}, Templates: templates, Mail: transport, Hooks: hooks, From: m.From,
		PublicURL: a.Config.Answer.PublicURL, Operators: m.Operators, Fallback: m.Fallback, PerMinute: m.PerMinute, Clock: a.Clock, Log: a.Log,
		Observe: a.Metrics.Notified,
	})
	a.wait.Add(2)
	go func() {
		defer a.wait.Done()
		a.Notify.Run(ctx)
	}()
	go func() {
		defer a.wait.Done()
		a.plan(ctx, a.planner())
	}()
	return nil
}

func (a *App) planner() *notify.Planner {
	p := notify.NewPlanner(outbox{a.Store}, calendar{a})
	if days := a.Config.Mail.PolicyDays; days != nil {
		p.PolicyBefore = nil // [] tells nobody
		for _, n := range days {
			p.PolicyBefore = append(p.PolicyBefore, time.Duration(n)*24*time.Hour)
		}
	}
	return p
}

// plan looks at the calendar now and each quarter of an hour.
func (a *App) plan(ctx context.Context, p *notify.Planner) {
	ticker := time.NewTicker(15 * time.Minute)
	defer ticker.Stop()
	for {
		if err := p.Plan(ctx, a.Clock()); err != nil && ctx.Err() == nil {
			a.Log.Error("what is due cannot be planned", "error", err)
		}
		a.forgetTold(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// mailTransport hands mails over; it sets the sender where none is configured.
func (c *Config) mailTransport() (notify.Transport, error) {
	m := &c.Mail
	if m.From == "" {
		m.From = "patrol <patrol@localhost>"
		if m.SMTP.Host != "" {
			return nil, errors.New("mail.from: is missing, and mail.smtp is given")
		}
	}
	if m.SMTP.Host == "" {
		return &notify.Folder{Path: c.mailFolder(), From: m.From}, nil
	}
	s := m.SMTP
	return notify.NewSMTP(notify.SMTPOptions{
		Host: s.Host, Port: s.Port, TLS: s.TLS, CAFile: s.CAFile, Username: s.Username, PasswordFile: s.PasswordFile, From: m.From, ReplyTo: m.ReplyTo,
	})
}

func (c *Config) hooks() ([]notify.Hook, error) {
	var out []notify.Hook
	for i, w := range c.Webhooks {
		field := fmt.Sprintf("webhooks[%d]", i)
		if w.Name == "" {
			return nil, fmt.Errorf("%s.name: is missing", field)
		}
		address, secret := w.URL, []byte(nil)
		var err error
		if w.URLFile != "" {
			var b []byte
			if b, err = os.ReadFile(w.URLFile); err != nil {
				return nil, fmt.Errorf("%s.url_file: %w", field, err)
			}
			address = strings.TrimSpace(string(b))
		}
		if w.SecretFile != "" {
			if secret, err = os.ReadFile(w.SecretFile); err != nil {
				return nil, fmt.Errorf("%s.secret_file: %w", field, err)
			}
			secret = append([]byte{}, strings.TrimSpace(string(secret))...)
		}
		t, err := notify.NewWebhook(notify.WebhookOptions{URL: address, Secret: secret, Format: w.Format})
		if err != nil {
			return nil, fmt.Errorf("%s.%w", field, err)
		}
		out = append(out, notify.Hook{Name: w.Name, Transport: t, Kinds: w.Kinds, Organizations: w.Organizations})
	}
	return out, nil
}

// outbox is the store's queue as the sender asks for it.
type outbox struct{ store *sqlstore.Store }

func (o outbox) Events(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]notify.Event, error) {
	rows, err := o.store.LeaseEvents(ctx, now, lease, limit)
	out := make([]notify.Event, len(rows))
	for i, e := range rows {
		out[i] = notify.Event(e)
	}
	return out, err
}

func (o outbox) Addressed(ctx context.Context, e notify.Event, jobs []notify.Job, nobody string, now time.Time) error {
	list := make([]sqlstore.Delivery, len(jobs))
	for i, j := range jobs {
		list[i] = sqlstore.Delivery{Channel: j.Channel, Audience: j.Audience, Recipient: j.Recipient, NextAt: j.NextAt}
	}
	return o.store.Address(ctx, sqlstore.OutboxEvent(e), list, nobody, now)
}

func (o outbox) Jobs(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]notify.Job, error) {
	rows, err := o.store.LeaseDeliveries(ctx, now, lease, limit)
	out := make([]notify.Job, len(rows))
	for i, d := range rows {
		out[i] = notify.Job{ID: d.ID, Event: notify.Event(d.Event), Channel: d.Channel, Audience: d.Audience, Recipient: d.Recipient, Attempts: d.Attempts, NextAt: d.NextAt}
	}
	return out, err
}

func (o outbox) Done(ctx context.Context, ids []int64, state, problem string, now time.Time) error {
	return o.store.EndDeliveries(ctx, ids, state, problem, now)
}

func (o outbox) Again(ctx context.Context, ids []int64, problem string, next time.Time) error {
	return o.store.PutBackDeliveries(ctx, ids, problem, next)
}

func (o outbox) Add(ctx context.Context, events []notify.Event, now time.Time) error {
	list := make([]inventory.Event, len(events))
	for i, e := range events {
		list[i] = inventory.Event{Kind: e.Kind, Organization: e.Organization, Token: e.Token, Request: e.Request, Key: e.Key, Owner: e.Owner, At: e.At}
	}
	return o.store.AddEvents(ctx, list, now)
}

func (o outbox) Planned(ctx context.Context, part string) (time.Time, error) {
	return o.store.Planned(ctx, part)
}

func (o outbox) SetPlanned(ctx context.Context, parts []string, until time.Time) error {
	return o.store.SetPlanned(ctx, parts, until)
}

// calendar is what time will bring, as the planner asks for it.
type calendar struct{ *App }

func dated(rows []sqlstore.Dated, err error) ([]notify.Dated, error) {
	out := make([]notify.Dated, len(rows))
	for i, r := range rows {
		out[i] = notify.Dated(r)
	}
	return out, err
}

func (c calendar) Open(ctx context.Context) ([]notify.Dated, error) {
	return dated(c.Store.OpenRequests(ctx, c.Clock().Add(-24*time.Hour)))
}

func (c calendar) ApprovalsEnding(ctx context.Context, from, before time.Time) ([]notify.Dated, error) {
	return dated(c.Store.ApprovalsEnding(ctx, from, before))
}

func (c calendar) TokensExpiring(ctx context.Context, from, before time.Time) ([]notify.Dated, error) {
	return dated(c.Store.TokensExpiring(ctx, from, before))
}

// Findings are the organizations with something found on their tokens.
func (c calendar) Findings(ctx context.Context) (out []string, err error) {
	for cursor := ""; ; {
		rows, next, err := c.Store.Organizations(ctx, inventory.Page{Limit: 1000, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for _, o := range rows {
			found, _, err := c.Store.Findings(ctx, o.Name, hygiene.Filter{}, inventory.Page{Limit: 1})
			if err != nil {
				return nil, err
			}
			if len(found) > 0 {
				out = append(out, o.ID)
			}
		}
		if cursor = next; cursor == "" {
			return out, nil
		}
	}
}

// maxDigest is how many findings a digest lists.
const maxDigest = 30

// outboxSizes are what the metrics tell of the outbox.
func (a *App) outboxSizes() map[string]int64 {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	sizes, err := a.Store.OutboxSizes(ctx)
	if err != nil {
		a.Log.Error("count what waits to be told", "error", err)
	}
	return sizes
}
