package notify_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/patrol-authz/patrol/authz/notify"
)

// server is a real SMTP server that keeps what it takes.
type server struct {
	mu     sync.Mutex
	mails  []string
	refuse error // of a recipient
}

func (s *server) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }

type session struct {
	server *server
	signed bool
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "patrol" || password != "correct horse" {
			return smtp.ErrAuthFailed
		}
		s.signed = true
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.signed {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *session) Rcpt(string, *smtp.RcptOptions) error { return s.server.refuse }

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, string(b))
	return err
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// serve starts the server with a certificate of its own, and returns how to
// reach it.
func serve(t *testing.T, s *server, how string) notify.SMTPOptions {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca, password := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	for name, content := range map[string][]byte{ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), password: []byte("correct horse\n")} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	srv := smtp.NewServer(s)
	srv.Domain, srv.ErrorLog = "localhost", quiet{}
	switch how {
	case notify.StartTLS:
		srv.TLSConfig = config
	case notify.ImplicitTLS:
		l = tls.NewListener(l, config)
	case notify.NoTLS:
		srv.AllowInsecureAuth = true
	}
	go srv.Serve(l) //nolint:errcheck // ends with the test
	t.Cleanup(func() { srv.Close() })
	return notify.SMTPOptions{Host: "localhost", Port: port, TLS: how, CAFile: ca, Username: "patrol", PasswordFile: password, From: "patrol <patrol@example.com>"}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

var sample = &notify.Message{
	ID: "1@patrol.example.com", Thread: "request-1@patrol.example.com", List: "acme.tokens.patrol.example.com", To: "alice@example.com",
	Subject: "Ünïcode\r\nBcc: everybody@example.com", Text: "plain ☂", HTML: "<p>html ☂</p>", Date: start,
}

func TestMailArrivesAtARealServer(t *testing.T) {
	for _, how := range []string{notify.StartTLS, notify.ImplicitTLS} {
		t.Run(how, func(t *testing.T) {
			s := &server{}
			sender, err := notify.NewSMTP(serve(t, s, how))
			if err != nil {
				t.Fatal(err)
			}
			if err := sender.Send(t.Context(), sample); err != nil {
				t.Fatal(err)
			}
			if len(s.mails) != 1 {
				t.Fatalf("%d mails arrived", len(s.mails))
			}
			checkSample(t, s.mails[0])
		})
	}
}

func checkSample(t *testing.T, raw string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"From": `"patrol" <patrol@example.com>`, "To": "<alice@example.com>", "Message-Id": "<1@patrol.example.com>",
		"References": "<request-1@patrol.example.com>", "In-Reply-To": "<request-1@patrol.example.com>",
		"List-Id": "<acme.tokens.patrol.example.com>", "Auto-Submitted": "auto-generated", "Bcc": "",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, "Ünïcode") {
		t.Errorf("the subject is %q, %v", subject, err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []string{"plain ☂", "<p>html ☂</p>"} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil || strings.TrimSpace(string(b)) != want {
			t.Errorf("a part is %q, %v; want %q", b, err, want)
		}
	}
}

func TestMailThatIsNotTaken(t *testing.T) {
	cases := map[string]struct {
		change    func(*server, *notify.SMTPOptions)
		permanent bool
		says      string
	}{
		"no such recipient":     {func(s *server, _ *notify.SMTPOptions) { s.refuse = &smtp.SMTPError{Code: 550, Message: "no such user"} }, true, "no such user"},
		"mailbox is full":       {func(s *server, _ *notify.SMTPOptions) { s.refuse = &smtp.SMTPError{Code: 452, Message: "mailbox full"} }, false, "mailbox full"},
		"a certificate unknown": {func(_ *server, o *notify.SMTPOptions) { o.CAFile = "" }, false, "certificate"},
		"no TLS to be had":      {func(_ *server, o *notify.SMTPOptions) { o.TLS = notify.NoTLS }, false, ""},
		"nobody listens":        {func(_ *server, o *notify.SMTPOptions) { o.Port = 1 }, false, "refused"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := &server{}
			o := serve(t, s, notify.StartTLS)
			c.change(s, &o)
			sender, err := notify.NewSMTP(o)
			if err != nil {
				t.Fatal(err)
			}
			err = sender.Send(t.Context(), sample)
			var permanent *notify.Permanent
			if err == nil || errors.As(err, &permanent) != c.permanent || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v (permanent %t), want permanent %t and %q", err, errors.As(err, &permanent), c.permanent, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "correct horse") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestMailThatHidesFromAServerWithoutTLS(t *testing.T) {
	s := &server{}
	o := serve(t, s, notify.NoTLS)
	o.TLS = notify.StartTLS
	sender, err := notify.NewSMTP(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(t.Context(), sample); err == nil || len(s.mails) != 0 {
		t.Errorf("sent in the clear: %v, %d mails", err, len(s.mails))
	}
}

func TestMailIntoAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	f := &notify.Folder{Path: dir, From: "patrol <patrol@example.com>"}
	for range 2 {
		if err := f.Send(t.Context(), sample); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the folder holds %q, %v; a repeated mail replaces itself", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	checkSample(t, string(b))
}

func TestMailOptionsThatAreWrong(t *testing.T) {
	for field, o := range map[string]notify.SMTPOptions{
		"mail.from":               {Host: "localhost", From: "nobody"},
		"mail.smtp.tls":           {Host: "localhost", From: "a@example.com", TLS: "maybe"},
		"mail.smtp.ca_file":       {Host: "localhost", From: "a@example.com", CAFile: "/nowhere"},
		"mail.smtp.password_file": {Host: "localhost", From: "a@example.com", Username: "u"},
	} {
		if _, err := notify.NewSMTP(o); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("the error is %v, want it to name %s", err, field)
		}
	}
}
