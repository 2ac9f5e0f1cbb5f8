package admin

import (
	"net/http"
	"strings"
	"time"
)

// patience is how long the body of a request may take: who sends slowly must
// not hold connections for ever. An import may be of any size.
func patience(path string) time.Duration {
	switch {
	case strings.HasSuffix(path, "/import"):
		return 30 * time.Minute
	case strings.HasPrefix(path, "/api/"), strings.HasPrefix(path, "/scim/"):
		return 30 * time.Second
	}
	return 10 * time.Second // forms of pages
}

// patient bounds the reading of bodies, and nothing else. The server takes the
// deadline away when a body has been read. Where there is none it reads on
// already, to notice when the client goes: a deadline would end the work there.
func patient(h http.Handler, patience func(path string) time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			// Where a deadline cannot be had it is not a server's connection.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience(r.URL.Path)))
		}
		h.ServeHTTP(w, r)
	})
}
