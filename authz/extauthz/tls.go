package extauthz

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// TLSOptions of a TCP listener: both ends show certificates (mutual TLS). All but
// Log are required.
type TLSOptions struct {
	// CertFile and KeyFile are patrol's own, in PEM.
	CertFile, KeyFile string
	// ClientCAFile has the authorities that certificates of clients are signed by.
	ClientCAFile string
	// Identities are the clients that may ask: URIs (SPIFFE ids among them) or DNS
	// names, each as the certificate has it among its subject alternative names.
	Identities []string
	Log        *slog.Logger
}

// Zero says whether nothing is set.
func (o *TLSOptions) Zero() bool {
	return o.CertFile == "" && o.KeyFile == "" && o.ClientCAFile == "" && len(o.Identities) == 0
}

// Check says what is wrong, with the name of the setting.
func (o *TLSOptions) Check() error {
	for name, value := range map[string]string{"cert_file": o.CertFile, "key_file": o.KeyFile, "client_ca_file": o.ClientCAFile} {
		if value == "" {
			return fmt.Errorf("%s: is missing: both ends show certificates", name)
		}
	}
	if len(o.Identities) == 0 {
		return errors.New("identities: is missing: say which clients may ask")
	}
	for i, id := range o.Identities {
		if err := checkIdentity(id); err != nil {
			return fmt.Errorf("identities[%d]: %w", i, err)
		}
	}
	_, err := o.load()
	return err
}

// load reads the files.
func (o *TLSOptions) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cert_file: read the certificate and its key: %w", err)
	}
	text, err := os.ReadFile(o.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("client_ca_file: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("client_ca_file: %s holds no certificate in PEM", o.ClientCAFile)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities, VerifyConnection: o.verify,
		SessionTicketsDisabled: true, // who is let in is looked at each time
	}, nil
}

// verify lets those in whose certificate has one of the identities.
func (o *TLSOptions) verify(s tls.ConnectionState) error {
	if slices.ContainsFunc(identitiesOf(s), func(id string) bool { return slices.Contains(o.Identities, id) }) {
		return nil
	}
	return errors.New("the client's certificate has none of the identities that may ask")
}

// identitiesOf are the subject alternative names that a client has shown: URIs
// and DNS names.
func identitiesOf(s tls.ConnectionState) []string {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	leaf := s.PeerCertificates[0]
	ids := slices.Clone(leaf.DNSNames)
	for _, u := range leaf.URIs {
		ids = append(ids, u.String())
	}
	return ids
}

func checkIdentity(id string) error {
	if id == "" || strings.ContainsAny(id, " \t*") {
		return fmt.Errorf("%q is no identity: write a URI or DNS name as the certificate has it", id)
	}
	return nil
}

// WithTLS puts TLS on a listener. The files are read anew when one has changed,
// for the next connection; where that fails the last ones that were good go on,
// and it is logged. Where the authorities of clients have changed, connections of
// those whom the new ones do not vouch for are closed.
func WithTLS(l net.Listener, o TLSOptions) (net.Listener, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &reloaded{TLSOptions: o, seen: o.marks(), ended: make(chan struct{}), shown: map[net.Conn][]*x509.Certificate{}}
	var err error
	if r.config, err = o.load(); err != nil {
		return nil, err
	}
	go r.watch()
	return &tlsListener{l, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: r.forClient}, r, sync.Once{}}, nil
}

// tlsListener's connections tell by their address who is at the other end: a call's
// peer.Peer has it.
type tlsListener struct {
	net.Listener
	config *tls.Config
	files  *reloaded
	once   sync.Once
}

type tlsConn struct {
	*tls.Conn
	files *reloaded
}

type tlsAddr struct {
	net.Addr
	conn *tls.Conn
}

// Accept shakes no hands yet: the first read or write does, within its time-out.
func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.files.open(c)
	return tlsConn{tls.Server(c, l.config), l.files}, nil
}

// Close ends looking after the files too.
func (l *tlsListener) Close() error {
	l.once.Do(func() { close(l.files.ended) })
	return l.Listener.Close()
}

// Close forgets who was at the other end.
func (c tlsConn) Close() error {
	err := c.Conn.Close()
	c.files.forget(c.NetConn())
	return err
}

func (c tlsConn) RemoteAddr() net.Addr { return tlsAddr{c.Conn.RemoteAddr(), c.Conn} }

// reloaded is a configuration that follows its files.
type reloaded struct {
	TLSOptions
	mu     sync.Mutex
	config *tls.Config
	seen   [3]mark
	failed [3]mark // told once
	ended  chan struct{}

	// shown are the certificates that the other ends of open connections have shown,
	// the connection below TLS being the key; nil until they have.
	showing sync.Mutex
	shown   map[net.Conn][]*x509.Certificate
}

// lookEvery is how often the files are looked at while nobody connects.
const lookEvery = time.Second

func (r *reloaded) watch() {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.ended:
			return
		case <-ticker.C:
			r.present()
		}
	}
}

// forClient is the configuration of one connection, which takes note of who is at
// the other end.
func (r *reloaded) forClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c := r.present().Clone()
	authorities := c.ClientCAs
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if err := r.verify(s); err != nil {
			return err
		}
		r.note(hello.Conn, s.PeerCertificates)
		// What changed while hands were shaken has closed those that were noted then.
		if now := r.present().ClientCAs; !now.Equal(authorities) && !vouched(now, s.PeerCertificates) {
			r.forget(hello.Conn)
			return errors.New("the authorities of clients have changed, and the new ones do not vouch for this one")
		}
		return nil
	}
	return c, nil
}

func (r *reloaded) open(c net.Conn) {
	r.showing.Lock()
	defer r.showing.Unlock()
	r.shown[c] = nil
}

// note takes note of who is at the other end of a connection, unless it was closed
// while hands were shaken: nobody would forget it.
func (r *reloaded) note(c net.Conn, certificates []*x509.Certificate) {
	r.showing.Lock()
	defer r.showing.Unlock()
	if _, open := r.shown[c]; open {
		r.shown[c] = certificates
	}
}

func (r *reloaded) forget(c net.Conn) {
	r.showing.Lock()
	defer r.showing.Unlock()
	delete(r.shown, c)
}

// closeOthers closes connections of those whom the authorities do not vouch for.
func (r *reloaded) closeOthers(authorities *x509.CertPool) {
	r.showing.Lock()
	defer r.showing.Unlock()
	for c, certificates := range r.shown {
		if certificates == nil || vouched(authorities, certificates) {
			continue // hands are being shaken, or it may stay
		}
		delete(r.shown, c)
		_ = c.Close() // it may be closed already
		r.Log.Warn("a connection of ext_authz is closed: the new authorities of clients do not vouch for its other end", "peer", c.RemoteAddr().String())
	}
}

// vouched says whether authorities vouch for who has shown some certificates. When
// those end is no matter here: a connection outlives its certificates.
func vouched(authorities *x509.CertPool, shown []*x509.Certificate) bool {
	if len(shown) == 0 {
		return false
	}
	at := time.Now()
	for _, c := range shown {
		if c.NotAfter.Before(at) {
			at = c.NotAfter
		}
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{Roots: authorities, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil
}

// mark tells one state of a file from another.
type mark struct {
	size int64
	at   time.Time
}

func (o *TLSOptions) marks() (all [3]mark) {
	for i, file := range []string{o.CertFile, o.KeyFile, o.ClientCAFile} {
		if info, err := os.Stat(file); err == nil { // what is not there is told by load
			all[i] = mark{info.Size(), info.ModTime()}
		}
	}
	return all
}

func (r *reloaded) present() *tls.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.marks()
	if now == r.seen {
		return r.config
	}
	// A certificate and its key are two files: between them they do not match, and
	// the next connection looks again.
	next, err := r.load()
	if err != nil {
		if r.failed == now {
			return r.config
		}
		r.failed = now
		r.Log.Warn("the certificates of ext_authz have changed and cannot be read; the ones before go on", "error", err)
		return r.config
	}
	others := !next.ClientCAs.Equal(r.config.ClientCAs)
	r.config, r.seen = next, now
	r.Log.Info("the certificates of ext_authz are read anew")
	if others {
		r.closeOthers(next.ClientCAs)
	}
	return r.config
}
