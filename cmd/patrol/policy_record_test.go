package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/authz/admin/client"
)

// TestFollowingDecisions: of an organization alone, by so many at a time, and no
// longer than the server runs, which waits for nobody that follows.
func TestFollowingDecisions(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	api := w.api(t)
	type end struct {
		missed int64
		err    error
	}
	lines, ends := make(chan []byte, 100), make(chan end, 20)
	follow := func(organization string, most int) {
		missed, err := api.Follow(context.Background(), organization, time.Hour, most, nil, func(line []byte) error {
			lines <- append([]byte(nil), line...)
			return nil
		})
		ends <- end{missed, err}
	}
	// Who asked is told of what was decided after the answer began: ask until it is.
	go follow("open-lab", 1)
	var told *decisionRecord
	for told == nil {
		w.ask(t, "GET", "/api/models/acme/model", w.secrets["bob_fine"].Reveal(), "elsewhere")
		w.ask(t, "GET", "/api/models/open-lab/model", w.secrets["bob_read"].Reveal(), "here")
		select {
		case line := <-lines:
			r, err := readRecord(line)
			if err != nil {
				t.Fatal(err)
			}
			told = r
		case <-time.After(50 * time.Millisecond):
		}
	}
	if told.RequestID != "here" || !told.Allowed || told.Organization != "open-lab" {
		t.Errorf("%+v", told)
	}
	if e := <-ends; e.err != nil {
		t.Errorf("one was asked for: %v", e.err)
	}
	for range 9 {
		go follow("", 0)
	}
	var said *client.Error
	if e := <-ends; !errors.As(e.err, &said) || said.Status != http.StatusServiceUnavailable || said.Code != "too_many" {
		t.Errorf("the ninth that follows: %v", e.err)
	}
	if _, err := api.Follow(t.Context(), "nowhere", time.Hour, 0, nil, nil); !errors.As(err, &said) || said.Status != http.StatusNotFound {
		t.Errorf("an organization that there is not: %v", err)
	}
	started := time.Now()
	w.stopped = true
	w.Close()
	if took := time.Since(started); took > 4*time.Second {
		t.Errorf("the server took %v to stop", took)
	}
	for range 8 {
		if e := <-ends; e.err != nil {
			t.Errorf("a server that stops: %v", e.err)
		}
	}
}
