package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// fullDisk stands between the API and its store: while it is full, endings of
// requests with a key do not fit, and where commands do not either, nothing does.
type fullDisk struct {
	admin.Replays
	admin.Commands
	full, commandsToo atomic.Bool
}

var noRoom = &inventory.Full{Database: "the test's", Err: io.ErrShortWrite}

func (d *fullDisk) FinishReplay(ctx context.Context, id string, r inventory.Replay) error {
	if d.full.Load() {
		return noRoom
	}
	return d.Replays.FinishReplay(ctx, id, r)
}

func (d *fullDisk) ForgetReplay(ctx context.Context, id string) error {
	if d.full.Load() {
		return noRoom
	}
	return d.Replays.ForgetReplay(ctx, id)
}

func (d *fullDisk) Do(ctx context.Context, a inventory.Actor, c inventory.Command) (inventory.Result, error) {
	if d.full.Load() && d.commandsToo.Load() {
		return inventory.Result{}, noRoom
	}
	return d.Commands.Do(ctx, a, c)
}

// TestAKeyIsGoodAgainAfterAFullDisk: neither is what was not carried out taken for
// being under way, nor is what was carried out done twice.
func TestAKeyIsGoodAgainAfterAFullDisk(t *testing.T) {
	w := startApp(t, func(*Config) {})
	d := &fullDisk{Replays: w.Store, Commands: &commands{w.App}}
	serve := func() *httptest.Server {
		o := w.adminOptions(nil)
		o.Replays, o.Commands = d, d
		api := admin.Handler(o)
		s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			api.ServeHTTP(rw, r.WithContext(admin.WithActor(r.Context(), inventory.Actor{Kind: "socket", Name: "uid:0"})))
		}))
		t.Cleanup(s.Close)
		return s
	}
	here, elsewhere := serve(), serve()
	create := func(s *httptest.Server, key, name string) (status int, replayed bool, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/api/organizations", strings.NewReader(`{"name":"`+name+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Idempotent-Replayed") != "", string(text)
	}
	want := func(s *httptest.Server, key, name string, status int, replayed bool) {
		t.Helper()
		if got, again, body := create(s, key, name); got != status || again != replayed {
			t.Errorf("%s with the key %s: %d, replayed %v; want %d, %v: %s", name, key, got, again, status, replayed, body)
		}
	}
	// Nothing was done: the key is good again, also for who did not hear of it.
	d.full.Store(true)
	d.commandsToo.Store(true)
	for range 2 {
		want(here, "a", "acme", 507, false)
	}
	want(here, "a", "other", 422, false) // it came with another request still
	want(elsewhere, "a", "acme", 409, false)
	d.full.Store(false)
	want(here, "b", "globex", 200, false) // any change settles what is left
	want(elsewhere, "a", "acme", 200, false)
	want(here, "a", "acme", 200, true)
	// It was done, and the answer does not fit: it is not done twice.
	d.commandsToo.Store(false)
	d.full.Store(true)
	want(here, "c", "initech", 200, false)
	want(here, "c", "initech", 200, true)
	want(here, "c", "other", 422, false)
	d.full.Store(false)
	want(here, "c", "initech", 200, true)
	want(elsewhere, "c", "initech", 200, true)
}
