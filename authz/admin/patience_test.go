package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestOnlyTheReadingOfABodyIsBounded: work that takes longer than the bound is
// not ended by it, with a body or without.
func TestOnlyTheReadingOfABodyIsBounded(t *testing.T) {
	const bound = 300 * time.Millisecond
	handler := patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, "slow", http.StatusRequestTimeout)
			return
		}
		select {
		case <-r.Context().Done():
			t.Errorf("%s: the work was ended", r.Method)
		case <-time.After(3 * bound):
		}
	}), func(string) time.Duration { return bound })
	server := httptest.NewServer(handler)
	defer server.Close()
	for method, body := range map[string]io.Reader{"GET": nil, "POST": strings.NewReader("x"), "PUT": io.MultiReader(strings.NewReader("of unknown length"))} {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v", method, resp, err)
		}
		resp.Body.Close()
	}
	never, hold := io.Pipe()
	defer hold.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, never)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(r); err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("a body that never comes: %d", resp.StatusCode)
		}
	}
}

// TestAnImportMayTakeLongest, and a form of a page the least.
func TestAnImportMayTakeLongest(t *testing.T) {
	for path, want := range map[string]time.Duration{
		"/api/tokens/import": 30 * time.Minute, "/api/tokens": 30 * time.Second, "/scim/v2/acme/Users": 30 * time.Second, "/organizations/acme/policy": 10 * time.Second,
	} {
		if got := patience(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
