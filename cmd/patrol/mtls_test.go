package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

// authority signs certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)})
	return a
}

// sign makes a certificate; of the authority itself where it has none.
func (a *authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.Subject = big.NewInt(time.Now().UnixNano()), time.Now().Add(-2*time.Hour), pkix.Name{CommonName: "test"}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return out, key
}

// identity is a certificate for an URI or a DNS name, that ends after a time.
func (a *authority) identity(name string, ends time.Duration) (cert, key []byte) {
	a.t.Helper()
	c := &x509.Certificate{NotAfter: time.Now().Add(ends), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	if u, err := url.Parse(name); err == nil && u.Scheme != "" {
		c.URIs = []*url.URL{u}
	} else {
		c.DNSNames = []string{name}
	}
	made, secret := a.sign(c)
	der, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// client is what shows a certificate of an authority to a patrol of another.
func (a *authority) client(server *authority, name string, ends time.Duration) *tls.Config {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(server.cert)
	pair, err := tls.X509KeyPair(a.identity(name, ends))
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: "patrol.internal", Certificates: []tls.Certificate{pair}}
}

const envoyIdentity = "spiffe://example.com/ns/edge/sa/envoy"

// guarded is a patrol that lets one identity in over TCP, and anybody who can
// open its Unix socket.
func guarded(t *testing.T, more ...func(*Config)) (w *world, a *authority, files TLSConfig) {
	t.Helper()
	a, dir := newAuthority(t), t.TempDir()
	files = TLSConfig{
		CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), ClientCAFile: filepath.Join(dir, "ca.pem"),
		Identities: []string{envoyIdentity, "envoy.internal"},
	}
	files.write(t, a, a)
	w = startApp(t, func(c *Config) {
		c.ExtAuthz.Listen = append(c.ExtAuthz.Listen, "127.0.0.1:0")
		c.ExtAuthz.TLS = files
		for _, change := range more {
			change(c)
		}
	})
	return w, a, files
}

// write gives patrol a certificate of an authority, and one that clients are of.
func (c *TLSConfig) write(t *testing.T, server, clients *authority) {
	t.Helper()
	cert, key := server.identity("patrol.internal", time.Hour)
	for file, text := range map[string][]byte{c.CertFile: cert, c.KeyFile: key, c.ClientCAFile: clients.pem()} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// tcp is the address of patrol's TCP listener.
func (w *world) tcp(t *testing.T) string {
	t.Helper()
	for _, l := range w.listeners {
		if l.Addr().Network() == "tcp" {
			return l.Addr().String()
		}
	}
	t.Fatal("there is no TCP listener")
	return ""
}

// answers says whether a patrol answers over some credentials.
func answers(t *testing.T, address string, c credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = authv3.NewAuthorizationClient(conn).Check(ctx, &authv3.CheckRequest{})
	return err
}

// TestOnlyListedIdentitiesAskOverTLS: everybody else comes not as far as a request.
func TestOnlyListedIdentitiesAskOverTLS(t *testing.T) {
	w, a, _ := guarded(t)
	other := newAuthority(t)
	nobody := a.client(a, envoyIdentity, time.Hour)
	nobody.Certificates = nil
	for name, c := range map[string]struct {
		credentials credentials.TransportCredentials
		let         bool
	}{
		"by its SPIFFE id":           {credentials.NewTLS(a.client(a, envoyIdentity, time.Hour)), true},
		"by its DNS name":            {credentials.NewTLS(a.client(a, "envoy.internal", time.Hour)), true},
		"another of the authority's": {credentials.NewTLS(a.client(a, "spiffe://example.com/ns/edge/sa/other", time.Hour)), false},
		"of another authority":       {credentials.NewTLS(other.client(a, envoyIdentity, time.Hour)), false},
		"whose certificate ended":    {credentials.NewTLS(a.client(a, envoyIdentity, -time.Hour)), false},
		"without a certificate":      {credentials.NewTLS(nobody), false},
		"without TLS":                {insecure.NewCredentials(), false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := answers(t, w.tcp(t), c.credentials); (err == nil) != c.let {
				t.Errorf("answered: %v; want %v", err, c.let)
			}
		})
	}
	if got := checkWith(t, w.overSocket(t), "/api/whoami-v2", credential.Generate()); got.GetDeniedResponse() == nil {
		t.Errorf("over the Unix socket: %v", got)
	}
}

// TestCertificatesAreReadAnew for the next connection; bad ones change nothing.
func TestCertificatesAreReadAnew(t *testing.T) {
	w, before, files := guarded(t)
	after := newAuthority(t)
	was, is := credentials.NewTLS(before.client(before, envoyIdentity, time.Hour)), credentials.NewTLS(after.client(after, envoyIdentity, time.Hour))
	if err := os.WriteFile(files.CertFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := answers(t, w.tcp(t), was); err != nil {
			t.Errorf("while the certificate is bad: %v", err)
		}
	}
	files.write(t, after, after)
	if err := answers(t, w.tcp(t), is); err != nil {
		t.Errorf("with the new ones: %v", err)
	}
	if err := answers(t, w.tcp(t), was); err == nil {
		t.Error("a client of the authority before is let in")
	}
}

// TestAConnectionEndsWithTheAuthorityThatVouchedForIt: who is connected already is
// looked at again when the authorities of clients change.
func TestAConnectionEndsWithTheAuthorityThatVouchedForIt(t *testing.T) {
	w, before, files := guarded(t)
	after := newAuthority(t)
	check := func(conn *grpc.ClientConn) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := authv3.NewAuthorizationClient(conn).Check(ctx, &authv3.CheckRequest{})
		return err
	}
	var dialed atomic.Int64
	conn, err := grpc.NewClient("passthrough:///"+w.tcp(t), grpc.WithTransportCredentials(credentials.NewTLS(before.client(before, envoyIdentity, time.Hour))),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			dialed.Add(1)
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := check(conn); err != nil {
		t.Fatal(err)
	}
	// Another authority beside it, and another certificate of patrol's own: it stays.
	both := append(before.pem(), after.pem()...)
	if err := os.WriteFile(files.ClientCAFile, both, 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond) // patrol looks each second
	if err := check(conn); err != nil || dialed.Load() != 1 {
		t.Fatalf("while its authority is there: %v, dialed %d times", err, dialed.Load())
	}
	// Its authority is taken away: nobody connects, and yet it is closed.
	if err := os.WriteFile(files.ClientCAFile, after.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); conn.GetState() == connectivity.Ready; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection stays though nobody vouches for its other end")
		}
	}
	if err := check(conn); err == nil {
		t.Error("who nobody vouches for is answered")
	}
	if err := answers(t, w.tcp(t), credentials.NewTLS(after.client(before, envoyIdentity, time.Hour))); err != nil {
		t.Errorf("who the new authority vouches for: %v", err)
	}
}

// envoyOver is a real Envoy that asks over TLS by the example as it stands, but for
// the places of files.
func (a *authority) envoyOver(c envoy.Config, files TLSConfig) *envoy.Process {
	a.t.Helper()
	dir := a.t.TempDir()
	cert, key := a.identity(envoyIdentity, time.Hour)
	for name, text := range map[string][]byte{"envoy.pem": cert, "envoy.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	socket := strings.NewReplacer("/etc/envoy/tls/ca.pem", files.ClientCAFile, "/etc/envoy/tls/", dir+"/").Replace(configuration(a.t, "mtls.yaml"))
	const place = "    common_lb_config: {healthy_panic_threshold: {value: 0}}\n"
	return envoytest.Start(a.t, c, place, place+indented(socket, 4))
}

func TestEnvoyAsksOverTLS(t *testing.T) {
	w, a, files := guarded(t)
	p := a.envoyOver(envoy.Config{File: envoy.Strict, Patrol: w.tcp(t)}, files)
	status, header, body := ask(t, http.MethodGet, "http://"+p.Address+"/api/whoami-v2", nil, map[string]string{"Authorization": "Bearer ptl_unknown"})
	if status != http.StatusUnauthorized || header.Get("X-Error-Code") != "token_unknown" {
		t.Errorf("behind Envoy: %d %v %s", status, header, body)
	}
}

// TestTheWordOfAnIdentityCounts on verified claims, where it is listed; another
// that may ask is not believed.
func TestTheWordOfAnIdentityCounts(t *testing.T) {
	for peer, counts := range map[string]bool{"tls:" + envoyIdentity: true, "tls:envoy.internal": false} {
		t.Run(peer, func(t *testing.T) {
			w, a, files := guarded(t, func(c *Config) {
				c.Sources.JWT = JWTConfig{Peers: []string{peer}, Issuers: []IssuerConfig{{Issuer: issuer, Payload: "corp"}}}
			})
			w.people(t)
			l := newLogin(t, issuer)
			p := a.envoyOver(envoy.Config{File: envoy.Strict, Patrol: w.tcp(t), JWT: &envoy.JWT{Issuer: issuer, Keys: l.keys()}}, files)
			status, code, _ := asks(t, p, bearer(l.token(nil)))
			if believed := code != "credential_missing"; believed != counts || status == http.StatusServiceUnavailable {
				t.Errorf("%d %s; want it believed: %v", status, code, counts)
			}
			if n := len(w.foreign(t)); n > 0 != counts {
				t.Errorf("%d records were made", n)
			}
		})
	}
}

// TestTheSectionTLSIsChecked: each wrong one is told with its key.
func TestTheSectionTLSIsChecked(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	good := TLSConfig{CertFile: filepath.Join(dir, "c"), KeyFile: filepath.Join(dir, "k"), ClientCAFile: filepath.Join(dir, "ca"), Identities: []string{"envoy.internal"}}
	good.write(t, a, a)
	path := filepath.Join(dir, "patrol.yaml")
	try := func(c TLSConfig) error {
		text := "ext_authz:\n  listen: [\"0.0.0.0:9191\"]\n  tls:\n"
		for key, value := range map[string]string{"cert_file": c.CertFile, "key_file": c.KeyFile, "client_ca_file": c.ClientCAFile} {
			if value != "" {
				text += "    " + key + ": " + value + "\n"
			}
		}
		if len(c.Identities) > 0 {
			text += "    identities: [\"" + strings.Join(c.Identities, "\", \"") + "\"]\n"
		}
		write(t, path, text)
		_, err := loadConfig(path)
		return err
	}
	if err := try(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*TLSConfig){
		"ext_authz.tls.key_file: is missing":       func(c *TLSConfig) { c.KeyFile = "" },
		"ext_authz.tls.client_ca_file: is missing": func(c *TLSConfig) { c.ClientCAFile = "" },
		"ext_authz.tls.identities: is missing":     func(c *TLSConfig) { c.Identities = nil },
		"ext_authz.tls.identities[1]: ":            func(c *TLSConfig) { c.Identities = []string{"a", "*"} },
		"ext_authz.tls.cert_file: read":            func(c *TLSConfig) { c.CertFile = good.ClientCAFile },
		"ext_authz.tls.client_ca_file: ":           func(c *TLSConfig) { c.ClientCAFile = good.KeyFile },
	} {
		c := good
		change(&c)
		if err := try(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
