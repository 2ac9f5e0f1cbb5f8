package sources_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/sources"
)

// mapping answers as data.patrol.sources would.
type mapping struct {
	says  string
	err   error
	asked atomic.Int64
}

func (m *mapping) Ask(_ context.Context, _ string, _, out any) error {
	m.asked.Add(1)
	if m.err != nil {
		return m.err
	}
	return json.Unmarshal([]byte(m.says), out)
}

func (m *mapping) Ruleset() *authz.Ruleset { return &authz.Ruleset{Asker: m} }

const bob = `[{"id": ["corp", "bob", "ci"], "owner": "bob", "display_name": "ci", "kind": "fine-grained", "grants": [], "expires_at": 2000000000}]`

// lab has sources with a clock that can be moved.
type lab struct {
	t        *testing.T
	mapping  *mapping
	offset   atomic.Int64
	register sources.Register
	*sources.Sources
}

func newLab(t *testing.T, change func(*sources.Options)) *lab {
	t.Helper()
	l := &lab{t: t, mapping: &mapping{says: bob}}
	l.register = func(context.Context, *authz.Claimed) error { return nil }
	d, err := credential.NewDigester([]byte("a key of thirty-two bytes, or so"))
	if err != nil {
		t.Fatal(err)
	}
	o := sources.Options{
		Policy: l.mapping, Digester: d, Clock: func() time.Time { return time.Now().Add(time.Duration(l.offset.Load())) },
		Register: func(ctx context.Context, c *authz.Claimed) error { return l.register(ctx, c) },
	}
	change(&o)
	if l.Sources, err = sources.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// asking is a lab that asks a server about tokens that begin with at_.
func asking(t *testing.T, server http.HandlerFunc, change func(*sources.Endpoint)) *lab {
	t.Helper()
	s := httptest.NewServer(server)
	t.Cleanup(s.Close)
	e := sources.Endpoint{Name: "corp", URL: s.URL + "/introspect", Format: "at_[a-z0-9]+", ClientID: "pa:trol", SecretFile: file(t, "se/cret\n"), Timeout: 300 * time.Millisecond}
	if change != nil {
		change(&e)
	}
	return newLab(t, func(o *sources.Options) { o.Endpoints = []sources.Endpoint{e} })
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (l *lab) about(token string) (*authz.Claimed, error) {
	return l.Introspected(l.t.Context(), credential.NewSecret(token))
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}
}

// closedBy says whether an error is one that the client hears of as 503.
func closedBy(err error) bool {
	var r *authz.Refusal
	return errors.As(err, &r) && r.Reason == authz.ReasonInventoryUnavailable
}

// TestWhatIsNoAnswerIsNeverAToken: whatever a server does instead of answering,
// it is an error, which is told as 503, and does not hold what the server wrote.
func TestWhatIsNoAnswerIsNeverAToken(t *testing.T) {
	elsewhere := httptest.NewServer(says(`{"active":true,"sub":"bob"}`))
	t.Cleanup(elsewhere.Close)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(`{"active":true,"sub":"bob"}`))
		}
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = c.Write([]byte(text))
				_ = c.Close()
			}
		}
	}
	for name, server := range map[string]http.HandlerFunc{
		"201":                       status(201),
		"204":                       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"400":                       status(400),
		"401, as to another client": status(401),
		"403":                       status(403),
		"404":                       status(404),
		"429":                       status(429),
		"500":                       status(500),
		"503":                       status(503),
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"a redirect that keeps no body": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"nothing":                       says(""),
		"a space":                       says(" "),
		"null":                          says("null"),
		"a list":                        says(`[{"active":true}]`),
		"a text":                        says(`"active"`),
		"true":                          says("true"),
		"no JSON":                       says("active=true"),
		"half of it":                    says(`{"active":true,"sub":"bo`),
		"two of them":                   says(`{"active":true}{"active":true}`),
		"without active":                says(`{"sub":"bob"}`),
		"active as a text":              says(`{"active":"true","sub":"bob"}`),
		"active as a number":            says(`{"active":1,"sub":"bob"}`),
		"active as null":                says(`{"active":null,"sub":"bob"}`),
		"an end that is none":           says(`{"active":true,"sub":"bob","exp":"never"}`),
		"an end before all time":        says(`{"active":true,"sub":"bob","exp":-1}`),
		"an end beyond all time":        says(`{"active":true,"sub":"bob","exp":1e300}`),
		"more than is read":             says(`{"active":true,"sub":"bob","x":"` + strings.Repeat("x", 70_000) + `"}`),
		"more than is read, of nothing": says(`{"active":true,"sub":"bob"}` + strings.Repeat(" ", 20_000)),
		"nested beyond measure":         says(`{"active":true,"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`),
		"another type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(`{"active":true,"sub":"bob"}`))
		},
		"a signed answer (RFC 9701)": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/token-introspection+jwt")
			_, _ = w.Write([]byte("eyJ"))
		},
		"no type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = w.Write([]byte(`{"active":true,"sub":"bob"}`))
		},
		"no HTTP":             raw("at_secretsecret\r\n\r\n"),
		"a broken length":     raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"active\":true}"),
		"a broken chunk":      raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{\"active\":true}"),
		"headers without end": raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)),
		"silence":             func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() },
		"a body that never ends": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else nobody sees that the client is gone
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := asking(t, server, nil)
			token, err := l.about("at_secretsecret")
			if token != nil || !closedBy(err) {
				t.Fatalf("it is %+v, %v", token, err)
			}
			if strings.Contains(err.Error(), "secretsecret") || strings.Contains(err.Error(), "se/cret") {
				t.Errorf("the error tells %s", err)
			}
			if l.mapping.asked.Load() != 0 {
				t.Error("the mapping was asked")
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		l := asking(t, says(""), func(e *sources.Endpoint) { e.URL = "http://127.0.0.1:1/" })
		if token, err := l.about("at_secretsecret"); token != nil || !closedBy(err) {
			t.Fatalf("it is %+v, %v", token, err)
		}
	})
}

func TestAnInactiveTokenIsNone(t *testing.T) {
	asked := 0
	l := asking(t, func(w http.ResponseWriter, r *http.Request) { asked++; says(`{"active":false}`)(w, r) }, nil)
	for range 3 {
		if token, err := l.about("at_1"); token != nil || err != nil {
			t.Fatalf("%+v %v", token, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	l.offset.Store(int64(11 * time.Second))
	if _, err := l.about("at_1"); err != nil || asked != 2 {
		t.Errorf("after the time that it is remembered: asked %d times, %v", asked, err)
	}
}

func TestAnAnswerIsRememberedForItsTimeAndNotBeyondTheTokensEnd(t *testing.T) {
	for name, c := range map[string]struct {
		says  string
		after time.Duration
		asked int
	}{
		"within its time":           {`{"active":true}`, 59 * time.Second, 1},
		"after it":                  {`{"active":true}`, 61 * time.Second, 2},
		"before the token's end":    {fmt.Sprintf(`{"active":true,"exp":%d}`, time.Now().Unix()+30), 20 * time.Second, 1},
		"after the token's end":     {fmt.Sprintf(`{"active":true,"exp":%d}`, time.Now().Unix()+30), 31 * time.Second, 2},
		"an end that is far beyond": {`{"active":true,"exp":2000000000}`, 61 * time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			l := asking(t, func(w http.ResponseWriter, r *http.Request) { asked++; says(c.says)(w, r) }, nil)
			for range 2 {
				if token, err := l.about("at_1"); err != nil || token == nil {
					t.Fatalf("%+v %v", token, err)
				}
				l.offset.Store(int64(c.after))
			}
			if asked != c.asked {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

func TestTheRequestIsThatOfTheRFC(t *testing.T) {
	l := asking(t, func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if r.Method != "POST" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.FormValue("token") != "at_1" || r.URL.RawQuery != "" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		if id != "pa%3Atrol" || secret != "se%2Fcret" {
			t.Errorf("the client is %s, its secret %s", id, secret)
		}
		says(`{"active":true,"sub":"bob"}`)(w, r)
	}, nil)
	token, err := l.about("at_1")
	if err != nil || token.Owner != "bob" || token.Source != "introspection" || token.ExpiresAt.Unix() != 2_000_000_000 || token.Digest == (authz.Digest{}) {
		t.Errorf("%+v %v", token, err)
	}
}

// TestOnlyTokensOfTheFormatAreSent, and never one that patrol issued.
func TestOnlyTokensOfTheFormatAreSent(t *testing.T) {
	l := asking(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent: %s", r.FormValue("token")) }, func(e *sources.Endpoint) { e.Format = "at_[0-9]{3}|ptl_.*" })
	for _, token := range []string{"x", "at_", "at_12", "at_1234", "xat_123", "at_123\n", "AT_123", credential.Generate().Reveal()} {
		if got, err := l.about(token); got != nil || err != nil {
			t.Errorf("%q: %+v %v", token, got, err)
		}
	}
}

func TestManyWhoAskAtOnceAreOneRequest(t *testing.T) {
	var asked atomic.Int64
	release := make(chan struct{})
	l := asking(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-release
		says(`{"active":true,"sub":"bob"}`)(w, r)
	}, func(e *sources.Endpoint) { e.Timeout = 10 * time.Second })
	// One who gives up does not stop the request for the others.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Introspected(gone, credential.NewSecret("at_1")); !closedBy(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up gets %v", err)
	}
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if token, err := l.about("at_1"); err != nil || token == nil {
				t.Errorf("%+v %v", token, err)
			}
		})
	}
	close(release)
	wait.Wait()
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

func TestAFloodIsBoundAndAnswersThatAreRememberedGoOn(t *testing.T) {
	var asked atomic.Int64
	l := asking(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.FormValue("token") == "at_good" {
			says(`{"active":true,"sub":"bob"}`)(w, r)
			return
		}
		says(`{"active":false}`)(w, r)
	}, func(e *sources.Endpoint) { e.PerSecond, e.CacheSize = 20, 10 })
	if token, err := l.about("at_good"); err != nil || token == nil {
		t.Fatalf("%+v %v", token, err)
	}
	limited := 0
	for i := range 300 {
		if token, err := l.about("at_" + strings.Repeat("x", i+1)); token != nil {
			t.Fatal("a token of the flood passed")
		} else if closedBy(err) {
			limited++
		}
	}
	if limited < 200 || asked.Load() > 100 {
		t.Errorf("of a flood of 300, %d were asked about, %d refused", asked.Load(), limited)
	}
	before := asked.Load()
	if token, err := l.about("at_good"); err != nil || token == nil || asked.Load() != before {
		t.Errorf("the flood drove a token out: %+v %v", token, err)
	}
}

func TestAServerThatFailsIsLeftAlone(t *testing.T) {
	var asked atomic.Int64
	var broken atomic.Bool
	broken.Store(true)
	l := asking(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		says(`{"active":true,"sub":"bob"}`)(w, r)
	}, nil)
	for i := range 30 {
		if token, err := l.about("at_" + strings.Repeat("x", i+1)); token != nil || !closedBy(err) {
			t.Fatalf("%+v %v", token, err)
		}
	}
	if asked.Load() != 5 {
		t.Errorf("asked %d times", asked.Load())
	}
	broken.Store(false)
	for range 200 { // it is tried again after 5 s
		if token, err := l.about("at_1"); err == nil && token != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("it is never asked again")
}
