package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"time"
)

// Message is a message as it goes out.
type Message struct {
	// ID is the Message-ID without angle brackets (RFC 5322, section 3.6.4). It
	// depends on what is told to whom alone: a repeated message has the same.
	ID string
	// Thread is the Message-ID to which all messages on one request refer; ""
	// where there is none.
	Thread string
	// List names the stream of messages (List-Id, RFC 2919).
	List    string
	To      string
	Subject string
	Text    string
	HTML    string
	Date    time.Time
	// Event and View are for channels that carry facts rather than text.
	Event Event
	View  View
}

// Transport carries messages. An error that is a [*Permanent] is not tried again.
type Transport interface {
	Send(ctx context.Context, m *Message) error
}

// Permanent is a failure that another attempt would only repeat.
type Permanent struct{ Err error }

func (p *Permanent) Error() string { return p.Err.Error() }

// Unwrap gives the cause.
func (p *Permanent) Unwrap() error { return p.Err }

func permanent(err error) bool {
	var p *Permanent
	return errors.As(err, &p)
}

// messageID is stable over attempts.
func messageID(domain string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16]) + "@" + domain
}

// threadID is the same for all messages on one approval request.
func threadID(domain, request string) string {
	if request == "" {
		return ""
	}
	return "request-" + request + "@" + domain
}

// domainOf is the part of message ids behind the @: the public URL's host, or
// the sender's domain.
func domainOf(publicURL, from string) string {
	if u, err := url.Parse(publicURL); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	if _, domain, ok := strings.Cut(strings.TrimSuffix(from, ">"), "@"); ok && domain != "" {
		return domain
	}
	return "patrol.invalid"
}
