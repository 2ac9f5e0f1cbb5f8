package sources

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
)

// maxAnswer is the longest answer that is read, in bytes.
const maxAnswer = 16 << 10

// answer is what an endpoint said of a token.
type answer struct {
	active bool
	claims map[string]any
	until  time.Time // when it is asked again
}

// errLimited says that there were too many requests to ask about this one.
var errLimited = errors.New("more tokens are to be asked about than the endpoint's per_second")

// Introspected asks the endpoint of a token's format who the token is: nil where
// no endpoint is for such tokens, or it is none. Where that can't be said, it is
// an error.
func (s *Sources) Introspected(ctx context.Context, secret credential.Secret) (*authz.Claimed, error) {
	for _, e := range s.endpoints {
		raw := secret.Reveal()
		if strings.HasPrefix(raw, credential.Prefix) || !e.format.MatchString(raw) {
			continue
		}
		a, err := e.ask(ctx, secret)
		if err != nil {
			return nil, unavailable(fmt.Errorf("introspection by %s: %w", e.Name, err))
		}
		if !a.active {
			return nil, nil
		}
		return s.mapped(ctx, authz.SourceIntrospection, e.Name, a.claims)
	}
	return nil, nil
}

// ask answers from what is remembered, or asks; many who ask about one token at
// once are one request. A request goes on though who asked gives up: the next
// one finds its answer.
func (e *endpoint) ask(ctx context.Context, secret credential.Secret) (*answer, error) {
	digest := e.sources.Digester.Secret(secret)
	if a := e.remembered(digest); a != nil {
		e.sources.metrics.asked(e.Name, "remembered")
		return a, nil
	}
	if !authz.MayAsk(ctx) {
		return nil, authz.ErrNotAsked
	}
	authz.Blocking(ctx)
	flight := e.flights.DoChan(string(digest[:]), func() (any, error) {
		if a := e.remembered(digest); a != nil {
			return a, nil
		}
		a, err := e.request(secret)
		if err == nil {
			e.remember(digest, a)
		}
		return a, err
	})
	select {
	case r := <-flight:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*answer), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *endpoint) remembered(digest authz.Digest) *answer {
	now := e.sources.Clock()
	a, known := e.active.Get(digest)
	if !known {
		a, known = e.inactive.Get(digest)
	}
	if known && now.Before(a.until) {
		return a
	}
	return nil
}

// remember keeps what tokens are and what are none apart, so that a flood of
// the latter does not drive out the former.
func (e *endpoint) remember(digest authz.Digest, a *answer) {
	if a.active {
		e.inactive.Remove(digest)
		e.active.Add(digest, a)
		return
	}
	e.active.Remove(digest)
	e.inactive.Add(digest, a)
}

// request asks the endpoint, within the limits.
func (e *endpoint) request(secret credential.Secret) (*answer, error) {
	if !e.limit.Allow() {
		e.sources.metrics.asked(e.Name, "limited")
		return nil, errLimited
	}
	a, err := e.breaker.Execute(func() (*answer, error) {
		started := time.Now()
		defer func() { e.sources.metrics.seconds.WithLabelValues(e.Name).Observe(time.Since(started).Seconds()) }()
		return e.post(secret)
	})
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		e.sources.metrics.asked(e.Name, "open")
	case err != nil:
		e.sources.metrics.asked(e.Name, "failed")
	case a.active:
		e.sources.metrics.asked(e.Name, "active")
	default:
		e.sources.metrics.asked(e.Name, "inactive")
	}
	return a, err
}

// post is the request of RFC 7662, section 2.1. Its errors hold neither the
// token nor anything that the endpoint wrote.
func (e *endpoint) post(secret credential.Secret) (*answer, error) {
	ours, err := e.secret()
	if err != nil {
		return nil, errors.New("the client's secret can't be read") // the path is known from the configuration
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.Timeout)
	defer cancel()
	form := url.Values{"token": {secret.Reveal()}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("the request can't be made")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.SetBasicAuth(url.QueryEscape(e.ClientID), url.QueryEscape(ours)) // RFC 6749, section 2.3.1
	response, err := e.client.Do(r)
	if err != nil {
		return nil, broken(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %d", response.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, errors.New("its answer is no JSON")
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, errors.New("its answer broke off")
	case len(text) > maxAnswer:
		return nil, fmt.Errorf("its answer is longer than %d bytes", maxAnswer)
	}
	return e.read(text)
}

// broken says why there is no answer. What the endpoint wrote is not told: it
// might be the token.
func broken(err error) error {
	var dialed *net.OpError
	var certificate *tls.CertificateVerificationError
	var late net.Error
	switch {
	case errors.As(err, &certificate):
		return fmt.Errorf("no answer: %w", certificate)
	case errors.As(err, &dialed) && dialed.Op == "dial":
		return fmt.Errorf("no answer: %w", dialed)
	case errors.As(err, &late) && late.Timeout():
		return errors.New("no answer in time")
	}
	return errors.New("the connection broke, or what came is no HTTP")
}

// read reads an answer: an object whose active is true or false.
func (e *endpoint) read(text []byte) (*answer, error) {
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil || claims == nil {
		return nil, errors.New("its answer is no JSON object")
	}
	active, ok := claims["active"].(bool)
	if !ok {
		return nil, errors.New("its answer does not say whether the token is active")
	}
	now := e.sources.Clock()
	if !active {
		return &answer{until: now.Add(e.CacheInactive)}, nil
	}
	a := &answer{active: true, claims: claims, until: now.Add(e.Cache)}
	switch end := claims["exp"].(type) {
	case nil:
	case float64:
		if math.IsNaN(end) || end < 1 || end > 1<<40 {
			return nil, errors.New("its answer's exp is no time")
		}
		if ends := time.Unix(int64(end), 0); ends.Before(a.until) {
			a.until = ends
		}
	default:
		return nil, errors.New("its answer's exp is no number")
	}
	return a, nil
}
