package sources

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/patrol-authz/patrol/authz"
)

// Endpoint is a server that answers for the tokens of one format (RFC 7662).
type Endpoint struct {
	// Name is the endpoint's in metrics, in the log and in the identities of its
	// tokens: another name makes other tokens of them.
	Name string
	// URL is https, or http on this machine.
	URL string
	// Format is a regular expression (RE2) of the whole token. Tokens that patrol
	// issued are never sent anywhere.
	Format string
	// ClientID and SecretFile authenticate patrol (client_secret_basic); the file
	// is read for each request.
	ClientID   string
	SecretFile string
	// CAFile holds the certificates that are trusted instead of the system's.
	CAFile string
	// Timeout bounds a request; default 2 s.
	Timeout time.Duration
	// Cache is how long an answer is used at most; default 1 min. A token that
	// ends before is not used beyond. CacheInactive is that of the answer that a
	// token is none; default 10 s.
	Cache, CacheInactive time.Duration
	// PerSecond bounds requests; default 50. What comes above is refused.
	PerSecond float64
	// CacheSize is how many answers are kept of each kind; default 10,000.
	CacheSize int
}

// The circuit opens after so many failures in a row, for so long.
const (
	tripAfter = 5
	tripFor   = 5 * time.Second
)

// endpoint asks an Endpoint.
type endpoint struct {
	Endpoint
	sources  *Sources
	format   *regexp.Regexp
	client   *http.Client
	limit    *rate.Limiter
	breaker  *gobreaker.CircuitBreaker[*answer]
	flights  singleflight.Group
	active   *lru.Cache[authz.Digest, *answer]
	inactive *lru.Cache[authz.Digest, *answer]
}

// open makes what an endpoint that was checked needs for asking.
func (e *endpoint) open() error {
	e.defaults()
	transport := &http.Transport{
		// No proxy of the environment's: tokens are sent to the endpoint alone.
		DialContext: (&net.Dialer{Timeout: e.Timeout}).DialContext, TLSHandshakeTimeout: e.Timeout, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 16, MaxConnsPerHost: 64, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
	}
	if e.CAFile != "" {
		pool, err := trusted(e.CAFile)
		if err != nil {
			return fmt.Errorf(".ca_file: %w", err)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	e.client = &http.Client{
		Transport: transport, Timeout: e.Timeout,
		// A redirect would send the token to somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	e.limit = rate.NewLimiter(rate.Limit(e.PerSecond), max(1, int(e.PerSecond)))
	e.breaker = gobreaker.NewCircuitBreaker[*answer](gobreaker.Settings{
		Name: e.Name, Timeout: tripFor, ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		OnStateChange: func(name string, _, to gobreaker.State) {
			e.sources.Log.Warn("the introspection endpoint's circuit changed", "endpoint", name, "state", to.String())
		},
	})
	var err error
	if e.active, err = lru.New[authz.Digest, *answer](e.CacheSize); err == nil {
		e.inactive, err = lru.New[authz.Digest, *answer](e.CacheSize)
	}
	return err
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

func (e *endpoint) check() error {
	u, err := url.Parse(e.URL)
	switch {
	case !validName.MatchString(e.Name):
		return fmt.Errorf(".name: %q is not 1 to 32 of a-z, 0-9 and '-'", e.Name)
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New(".url: is no URL without a user and a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !local(u.Hostname())):
		return errors.New(".url: must be https: tokens are sent there; http only to this machine")
	case e.Format == "":
		return errors.New(".format: is missing")
	case e.ClientID == "":
		return errors.New(".client_id: is missing")
	case e.SecretFile == "":
		return errors.New(".client_secret_file: is missing")
	case e.PerSecond < 0:
		return errors.New(".per_second: is below 0")
	case e.Timeout < 0 || e.Timeout > time.Minute:
		return errors.New(".timeout: is not within a minute")
	case e.Cache < 0 || e.Cache > time.Hour:
		return errors.New(".cache: is longer than an hour, in which a token that was revoked there would go on")
	case e.CacheInactive < 0 || e.CacheInactive > time.Hour:
		return errors.New(".cache_inactive: is longer than an hour")
	case e.CacheSize < 0 || e.CacheSize > 1_000_000:
		return errors.New(".cache_size: is not from 1 to 1,000,000")
	}
	if e.format, err = regexp.Compile(`\A(?:` + e.Format + `)\z`); err != nil {
		return fmt.Errorf(".format: %w", err)
	}
	if e.format.MatchString("") {
		return errors.New(".format: fits everything, or nothing at all: describe the tokens of the endpoint")
	}
	return e.checkFiles()
}

// checkFiles reads the files once, so that one that can't be read is told at
// the start.
func (e *endpoint) checkFiles() error {
	if _, err := e.secret(); err != nil {
		return fmt.Errorf(".client_secret_file: %w", err)
	}
	if e.CAFile == "" {
		return nil
	}
	if _, err := trusted(e.CAFile); err != nil {
		return fmt.Errorf(".ca_file: %w", err)
	}
	return nil
}

func (e *endpoint) defaults() {
	if e.Timeout == 0 {
		e.Timeout = 2 * time.Second
	}
	if e.Cache == 0 {
		e.Cache = time.Minute
	}
	if e.CacheInactive == 0 {
		e.CacheInactive = 10 * time.Second
	}
	if e.PerSecond == 0 {
		e.PerSecond = 50
	}
	if e.CacheSize == 0 {
		e.CacheSize = 10_000
	}
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func trusted(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New(file + " holds no certificate")
	}
	return pool, nil
}

func (e *endpoint) secret() (string, error) {
	text, err := os.ReadFile(e.SecretFile)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", errors.New(e.SecretFile + " is empty")
	}
	return secret, nil
}
