package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// Replays keeps answers for requests that come again (Idempotency-Key). Ids are
// hashes, and no answer holds a secret.
type Replays interface {
	// ClaimReplay returns nil where the id was free and is now taken, or what is
	// kept under it.
	ClaimReplay(ctx context.Context, id, fingerprint string) (*inventory.Replay, error)
	FinishReplay(ctx context.Context, id string, r inventory.Replay) error
	// ForgetReplay gives an id back.
	ForgetReplay(ctx context.Context, id string) error
}

// secretive answers hold a secret, which is told once.
type secretive interface {
	// withoutSecret is the answer as it is kept for a replay.
	withoutSecret() any
}

var (
	validKey = regexp.MustCompile(`^[!-~]{1,200}$`)
	// issuedSecret is what must not be kept, whatever an answer looks like.
	issuedSecret = regexp.MustCompile(`ptl_[0-9A-Za-z]{42}`)
)

// idempotencyKey is the header as the OpenAPI document describes it.
var idempotencyKey = &huma.Param{
	Name: "Idempotency-Key", In: "header", Description: "The same request with the same key is carried out once, and answered alike for 24 hours; a secret is not repeated",
	Schema: &huma.Schema{Type: "string", Pattern: validKey.String()},
}

// idempotent answers a request that came before, with the same Idempotency-Key
// of the same caller, as it was answered then, and does nothing.
func (s *service) idempotent(ctx huma.Context, next func(huma.Context)) {
	if s.replays == nil || ctx.Method() == http.MethodGet || ctx.Method() == http.MethodHead {
		next(ctx)
		return
	}
	s.replays.settle(ctx.Context())
	key, n := header(ctx, "Idempotency-Key")
	if n == 0 {
		next(ctx)
		return
	}
	if n > 1 {
		key = "" // which one?
	}
	run, p := s.claim(ctx, key)
	if p != nil {
		s.tell(ctx, p)
		return
	}
	if run.found != nil {
		run.replay(ctx)
		return
	}
	defer run.end(s) // also where it breaks: then nothing is kept
	next(huma.WithContext(run, context.WithValue(ctx.Context(), runKey{}, run)))
	run.over = true
}

type wrapped huma.Context

// run is a request with a key under way. It stands between huma and the request.
type run struct {
	wrapped
	id          string
	fingerprint string
	found       *inventory.Replay
	body        []byte
	etag        string
	contentType string
	answer      any
	over        bool
}

type runKey struct{}

func (s *service) claim(ctx huma.Context, key string) (*run, *Problem) {
	if !validKey.MatchString(key) {
		return nil, problem(&inventory.Invalid{Field: "Idempotency-Key", Problem: "must be 1 to 200 visible characters of ASCII"})
	}
	limit, wait := ctx.Operation().MaxBodyBytes, ctx.Operation().BodyReadTimeout
	_ = ctx.SetReadDeadline(time.Now().Add(wait)) // where there is none, huma's own reading fails too
	body, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), limit+1))
	if err != nil {
		return nil, newProblem(http.StatusRequestTimeout, "request_timeout", "the request's body did not come in time")
	}
	r := &run{wrapped: ctx, body: body}
	caller := callerOf(ctx.Context())
	r.id = hashed(caller.actor.Kind, caller.actor.Name, key)
	if caller.token != nil {
		r.id = hashed("token", caller.token.ID, key)
	}
	url := ctx.URL()
	r.fingerprint = hashed(ctx.Method(), url.RequestURI(), ctx.Header("If-Match"), ctx.Header("If-None-Match"), string(body))
	r.found, err = s.replays.claim(ctx.Context(), r.id, r.fingerprint)
	switch {
	case err != nil:
		p := problem(err)
		p.cause = err
		return nil, p
	case r.found == nil:
		return r, nil
	case r.found.Fingerprint != r.fingerprint:
		return nil, newProblem(http.StatusUnprocessableEntity, "idempotency_key_reused", "this Idempotency-Key came with another request: take a new one for each",
			FieldProblem{"Idempotency-Key", "came with another request"})
	case !r.found.Done:
		return nil, newProblem(http.StatusConflict, "in_progress", "a request with this Idempotency-Key is under way, or its end is not known: see what is present, and take a new key to try again")
	}
	return r, nil
}

func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// replay answers as it was answered before.
func (r *run) replay(ctx huma.Context) {
	ctx.SetHeader("Idempotent-Replayed", "true")
	if r.found.ETag != "" {
		ctx.SetHeader("ETag", r.found.ETag)
	}
	if r.found.ContentType != "" {
		ctx.SetHeader("Content-Type", r.found.ContentType)
	}
	ctx.SetStatus(r.found.Status)
	_, _ = io.WriteString(ctx.BodyWriter(), r.found.Body) // the client is gone: nobody to tell
}

// end keeps the answer. What failed in the server may be tried again.
func (r *run) end(s *service) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Second)
	defer cancel()
	status := r.Status()
	var err error
	if !r.over || status == 0 || status >= http.StatusInternalServerError {
		err = s.replays.end(ctx, r.id, nil)
	} else {
		var body string
		if body, err = r.kept(); err == nil {
			err = s.replays.end(ctx, r.id, &inventory.Replay{Status: status, ETag: r.etag, ContentType: r.contentType, Body: body})
		}
	}
	if err != nil {
		s.Log.Error("an answer could not be kept for its Idempotency-Key; it is tried again", "request_id", requestOf(ctx).id, "error", err)
	}
}

// kept is the answer's body without secrets.
func (r *run) kept() (string, error) {
	if r.answer == nil {
		return "", nil
	}
	v := r.answer
	if with, ok := v.(secretive); ok {
		v = with.withoutSecret()
	}
	text, err := json.Marshal(v)
	return issuedSecret.ReplaceAllString(string(text), "[redacted]"), err
}

// BodyReader gives the body that was read for the fingerprint.
func (r *run) BodyReader() io.Reader { return bytes.NewReader(r.body) }

// SetHeader takes note of what a replay repeats.
func (r *run) SetHeader(name, value string) {
	switch http.CanonicalHeaderKey(name) {
	case "Etag":
		r.etag = value
	case "Content-Type":
		r.contentType = value
	}
	r.wrapped.SetHeader(name, value)
}

// AppendHeader is SetHeader for what huma appends.
func (r *run) AppendHeader(name, value string) {
	if http.CanonicalHeaderKey(name) == "Etag" {
		r.etag = value
	}
	r.wrapped.AppendHeader(name, value)
}

// remember takes note of the answer, before it is written.
func remember(ctx huma.Context, _ string, v any) (any, error) {
	if r, ok := ctx.Context().Value(runKey{}).(*run); ok {
		r.answer = v
	}
	return v, nil
}
