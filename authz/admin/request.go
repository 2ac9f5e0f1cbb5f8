package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
)

// requestKey finds a request in its context.
type requestKey struct{}

// request is what handlers know of the HTTP request that they answer.
type request struct {
	id  string
	url *url.URL
}

func requestOf(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

var validRequestID = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// identified gives each request an id, its own X-Request-Id where that is
// decent, and tells as problems too what no operation serves and what broke.
func identified(mux *http.ServeMux, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !validRequestID.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set("X-Request-Id", id)
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, request{id, r.URL}))
		out := &begun{ResponseWriter: w}
		w = out
		defer func() {
			broke := recover()
			if broke == nil {
				return
			}
			if err, ok := broke.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(broke) // the server's own way to end a connection
			}
			log.Error("the admin API broke", "path", r.URL.Path, "request_id", id, "panic", broke, "stack", string(debug.Stack()))
			if out.begun {
				panic(http.ErrAbortHandler) // half an answer is no answer
			}
			writeProblem(w, r.Context(), newProblem(http.StatusInternalServerError, "internal", "the server made a mistake; its log says which, under the request's id"))
		}()
		if h, pattern := mux.Handler(r); pattern == "" {
			unserved(h, w, r)
			return
		}
		r.Header.Set("X-Request-Id", id) // for the token decision
		mux.ServeHTTP(w, called(r))
	})
}

// begun remembers whether an answer was begun.
type begun struct {
	http.ResponseWriter
	begun bool
}

func (b *begun) WriteHeader(status int) {
	b.begun = true
	b.ResponseWriter.WriteHeader(status)
}

func (b *begun) Write(p []byte) (int, error) {
	b.begun = true
	return b.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController set deadlines.
func (b *begun) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// unserved answers a request that no operation serves: 404, or 405 with Allow.
func unserved(h http.Handler, w http.ResponseWriter, r *http.Request) {
	seen := &statusOnly{header: http.Header{}}
	h.ServeHTTP(seen, r)
	p := newProblem(http.StatusNotFound, "not_found", "nothing is at "+r.URL.Path)
	if seen.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", seen.header.Get("Allow"))
		p = newProblem(http.StatusMethodNotAllowed, "method_not_allowed", r.URL.Path+" takes "+seen.header.Get("Allow"))
	}
	writeProblem(w, r.Context(), p)
}

func writeProblem(w http.ResponseWriter, ctx context.Context, p *Problem) {
	p.RequestID = requestOf(ctx).id
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone: nobody to tell
}

// statusOnly takes an answer's status and headers and drops its body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }

// withRequestID writes the request's id into problems.
func withRequestID(ctx huma.Context, _ string, v any) (any, error) {
	if p, ok := v.(*Problem); ok {
		p.RequestID = requestOf(ctx.Context()).id
	}
	return v, nil
}
