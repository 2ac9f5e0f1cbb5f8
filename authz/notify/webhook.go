package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Formats of a webhook's body.
const (
	// Facts is patrol's own body: type, timestamp, and data about the event.
	Facts = "facts"
	// Slack is the body of Slack's incoming webhooks, which others take too.
	Slack = "slack"
)

// WebhookOptions say where events are posted. URL is required.
type WebhookOptions struct {
	// URL is https, or http on a loopback address.
	URL string
	// Secret signs the body as Standard Webhooks do: base64 after "whsec_", or
	// the bytes themselves. Nil: not signed.
	Secret []byte
	Format string // facts (default) or slack
	// Timeout of one post; default 10 s.
	Timeout time.Duration
}

// WebhookTransport posts events, signed. It is safe for concurrent use.
type WebhookTransport struct {
	options WebhookOptions
	http    *http.Client
}

// NewWebhook checks the options; it does not connect.
func NewWebhook(o WebhookOptions) (*WebhookTransport, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		return nil, errors.New("url: is no address of a webhook") // never repeated: Slack's hold a secret
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errors.New("url: must be https, or http on a loopback address")
	}
	if o.Format == "" {
		o.Format = Facts
	}
	if o.Format != Facts && o.Format != Slack {
		return nil, fmt.Errorf("format: %q is neither facts nor slack", o.Format)
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if rest, ok := bytes.CutPrefix(o.Secret, []byte("whsec_")); ok {
		if o.Secret, err = base64.StdEncoding.DecodeString(string(rest)); err != nil {
			return nil, errors.New("secret: what follows whsec_ is not base64")
		}
	}
	if o.Secret != nil && len(o.Secret) == 0 {
		return nil, errors.New("secret: is empty")
	}
	return &WebhookTransport{options: o, http: &http.Client{
		Timeout: o.Timeout,
		// The address is the operator's; a redirect would be somebody else's.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// webhookBody is the body of format facts.
type webhookBody struct {
	Type         string         `json:"type"`
	Timestamp    time.Time      `json:"timestamp"`
	Organization string         `json:"organization,omitempty"`
	Text         string         `json:"text"`
	Token        *webhookToken  `json:"token,omitempty"`
	Findings     []webhookFound `json:"findings,omitempty"`
	// Of what is told about a dated change of policy.
	Policy *webhookPolicy `json:"policy,omitempty"`
	Owner  string         `json:"owner,omitempty"`
	Tokens []webhookToken `json:"tokens,omitempty"`
	More   int            `json:"more,omitempty"`
	Stops  *webhookStops  `json:"stops,omitempty"`
}

type webhookPolicy struct {
	TokenPolicy     string     `json:"token_policy"`
	NextTokenPolicy string     `json:"next_token_policy,omitempty"` // none: no change is dated
	EnforceAt       *time.Time `json:"enforce_at,omitempty"`
	URL             string     `json:"url,omitempty"`
}

type webhookStops struct {
	Tokens int `json:"tokens"`
	Owners int `json:"owners"`
	Used   int `json:"used"` // of the tokens, in the last Days
	Days   int `json:"days"`
}

type webhookToken struct {
	ID      string   `json:"id"`
	Name    string   `json:"display_name"`
	Last4   string   `json:"last4,omitempty"`
	Kind    string   `json:"kind"`
	Owner   string   `json:"owner"`
	Grants  []string `json:"grants,omitempty"`
	Purpose string   `json:"purpose,omitempty"`
	Status  string   `json:"status,omitempty"`
	Request string   `json:"request,omitempty"`
	Comment string   `json:"comment,omitempty"`
	Why     string   `json:"why,omitempty"` // it stops
	URL     string   `json:"url,omitempty"`
	// What the review rules say of an open request.
	Recommendation *webhookRecommendation `json:"recommendation,omitempty"`
}

type webhookRecommendation struct {
	Action  string          `json:"action"` // approve, deny, escalate
	Reasons []webhookReason `json:"reasons"`
}

type webhookReason struct {
	Rule   string `json:"rule"`
	Action string `json:"action"`
	Why    string `json:"why"`
}

type webhookFound struct {
	Title    string `json:"title"`
	Severity string `json:"severity"`
	Token    string `json:"token"`
}

func (w *WebhookTransport) body(m *Message) ([]byte, error) {
	if w.options.Format == Slack {
		text := m.Subject
		if link := m.View.about(); link != "" {
			text += "\n" + link
		}
		return json.Marshal(map[string]any{"text": slackEscape(text)})
	}
	v := m.View
	b := webhookBody{Type: m.Event.Kind, Timestamp: m.Event.Created.UTC(), Organization: v.Organization.Name, Text: m.Subject}
	if aboutPolicy[v.Kind] {
		b.policy(m)
	} else if v.Token.ID != "" {
		t := webhookTokenOf(&v.Token)
		t.Request = m.Event.Request
		if pendingOnly[v.Kind] { // of what is decided it says nothing any more
			t.Recommendation = recommendationOf(v.Token.Recommendation)
		}
		b.Token = &t
	}
	for _, f := range v.Findings {
		b.Findings = append(b.Findings, webhookFound{f.Title, f.Severity, f.Token.ID})
	}
	return json.Marshal(b)
}

func webhookTokenOf(t *Token) webhookToken {
	return webhookToken{
		ID: t.ID, Name: t.Name, Last4: t.Last4, Kind: t.Kind, Owner: t.Owner, Grants: t.Grants, Purpose: t.Purpose, Status: t.Status,
		Comment: t.Comment, Why: t.Why, URL: t.Link,
	}
}

func recommendationOf(r *Recommendation) *webhookRecommendation {
	if r == nil {
		return nil
	}
	out := &webhookRecommendation{Action: r.Action, Reasons: []webhookReason{}}
	for _, one := range r.Reasons {
		out.Reasons = append(out.Reasons, webhookReason(one))
	}
	return out
}

// policy tells of a dated change: what it is, and what it stops, of whom.
func (b *webhookBody) policy(m *Message) {
	v := &m.View
	b.Policy = &webhookPolicy{TokenPolicy: v.Organization.TokenPolicy, NextTokenPolicy: v.Organization.NextTokenPolicy, URL: v.Policy}
	if at := v.Organization.EnforceAt.UTC(); v.Organization.NextTokenPolicy != "" {
		b.Policy.EnforceAt = &at
	}
	b.Owner, b.More = m.Event.Owner, v.More
	for i := range v.Tokens {
		b.Tokens = append(b.Tokens, webhookTokenOf(&v.Tokens[i]))
	}
	if s := v.Stops; s != nil {
		b.Stops = &webhookStops{s.Tokens, s.Owners, s.Used, s.Days}
	}
}

// slackEscape keeps names from becoming mentions or links
// (https://api.slack.com/reference/surfaces/formatting#escaping).
func slackEscape(s string) string {
	var b bytes.Buffer
	for _, r := range s {
		switch r {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Send posts one event. 410 Gone, and other answers that say the request is
// wrong, are [*Permanent]; 408, 429 and 5yz are tried again.
func (w *WebhookTransport) Send(ctx context.Context, m *Message) error {
	body, err := w.body(m)
	if err != nil {
		return &Permanent{err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.options.URL, bytes.NewReader(body))
	if err != nil {
		return &Permanent{errors.New("the webhook's address is wrong")}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "patrol")
	w.sign(req.Header, "msg_"+m.ID[:min(32, len(m.ID))], m.Date, body)
	resp, err := w.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, which may hold a secret
		}
		return fmt.Errorf("post to the webhook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	switch s := resp.StatusCode; {
	case s >= 200 && s < 300:
		return nil
	case s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s >= 500:
		return fmt.Errorf("the webhook answered %s", resp.Status)
	}
	return &Permanent{fmt.Errorf("the webhook answered %s", resp.Status)}
}

// sign adds the headers of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
func (w *WebhookTransport) sign(h http.Header, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	if len(w.options.Secret) == 0 {
		return
	}
	mac := hmac.New(sha256.New, w.options.Secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
