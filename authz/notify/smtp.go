package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/wneessen/go-mail"
)

// TLS of an SMTP connection.
const (
	// StartTLS asks for TLS after connecting and goes no further without it.
	StartTLS = "starttls"
	// ImplicitTLS speaks TLS from the first byte (port 465, RFC 8314).
	ImplicitTLS = "tls"
	// NoTLS sends in the clear, for a relay on the same machine.
	NoTLS = "none"
)

// SMTPOptions say how mail is handed over. Host and From are required.
type SMTPOptions struct {
	Host string
	Port int    // default 587, 465 with TLS "tls", 25 with "none"
	TLS  string // starttls (default), tls or none
	// CAFile holds the certificates to trust instead of the system's.
	CAFile string
	// Username and PasswordFile sign in, where the server asks for it.
	Username     string
	PasswordFile string
	// From is the sender, "patrol <patrol@example.com>"; ReplyTo may be empty.
	From, ReplyTo string
	// Timeout of one mail; default 30 s.
	Timeout time.Duration
}

// SMTP hands mail over to a server. It is safe for concurrent use.
type SMTP struct {
	options SMTPOptions
	client  []mail.Option
}

// NewSMTP checks the options; it does not connect.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	s := &SMTP{options: o, client: []mail.Option{mail.WithTimeout(o.Timeout), mail.WithoutNoop()}}
	if _, err := compose(&Message{To: "nobody@example.com", ID: "0@example.com"}, o.From, o.ReplyTo); err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	config := &tls.Config{ServerName: o.Host, MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("mail.smtp.ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mail.smtp.ca_file: %s holds no certificate", o.CAFile)
		}
	}
	port := o.Port
	switch o.TLS {
	case "", StartTLS:
		s.client = append(s.client, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithTLSConfig(config))
		port = orPort(port, 587)
	case ImplicitTLS:
		s.client = append(s.client, mail.WithSSL(), mail.WithTLSConfig(config))
		port = orPort(port, 465)
	case NoTLS:
		s.client = append(s.client, mail.WithTLSPolicy(mail.NoTLS))
		port = orPort(port, 25)
	default:
		return nil, fmt.Errorf("mail.smtp.tls: %q is none of starttls, tls, none", o.TLS)
	}
	s.client = append(s.client, mail.WithPort(port))
	if o.Username != "" {
		s.client = append(s.client, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(o.Username))
		if o.PasswordFile == "" {
			return nil, errors.New("mail.smtp.password_file: is missing, and mail.smtp.username is given")
		}
	}
	_, err := mail.NewClient(o.Host, s.client...)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return s, nil
}

func orPort(port, usual int) int {
	if port == 0 {
		return usual
	}
	return port
}

// Send hands one mail over. A server's refusal of the recipient or the message
// (5yz, RFC 5321) is [*Permanent].
func (s *SMTP) Send(ctx context.Context, m *Message) error {
	msg, err := compose(m, s.options.From, s.options.ReplyTo)
	if err != nil {
		return &Permanent{err}
	}
	client, err := mail.NewClient(s.options.Host, s.client...)
	if err != nil {
		return err
	}
	if s.options.Username != "" {
		// Read each time: a password that was changed needs no restart.
		password, err := os.ReadFile(s.options.PasswordFile)
		if err != nil {
			return fmt.Errorf("mail.smtp.password_file: %w", err)
		}
		client.SetPassword(trimLine(password))
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		err = fmt.Errorf("hand a mail over to %s: %w", client.ServerAddr(), err)
		var sent *mail.SendError
		if errors.As(err, &sent) && !sent.IsTemp() && sent.ErrorCode() >= 500 {
			return &Permanent{err}
		}
		return err
	}
	return nil
}

func trimLine(b []byte) string {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return string(b)
}

// compose writes a message in the form of RFC 5322, text and HTML.
func compose(m *Message, from, replyTo string) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := msg.From(from); err != nil {
		return nil, err
	}
	if replyTo != "" {
		if err := msg.ReplyTo(replyTo); err != nil {
			return nil, err
		}
	}
	if err := msg.To(m.To); err != nil {
		return nil, err
	}
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.ID)
	msg.SetDateWithValue(m.Date)
	if m.Thread != "" {
		ref := "<" + m.Thread + ">"
		msg.SetGenHeader(mail.HeaderReferences, ref)
		msg.SetGenHeader(mail.HeaderInReplyTo, ref)
	}
	if m.List != "" {
		msg.SetGenHeader("List-Id", "<"+m.List+">")
	}
	// No answering machine should answer (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	return msg, nil
}
