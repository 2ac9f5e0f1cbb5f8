package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

var errNoActor = errors.New("the request carries no actor")

// Problem is an error as the API tells it: RFC 9457, with what the clients of
// other hubs look for beside it.
type Problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Code    string `json:"code"`
	Message string `json:"error"`
	// RequestID is the answer's X-Request-Id, to find it in logs.
	RequestID string `json:"request_id,omitempty"`
	// Errors name each field that is wrong.
	Errors []FieldProblem `json:"errors,omitempty"`
	// Changed are the differences to what was reviewed, on a conflict.
	Changed []inventory.Difference `json:"changed,omitempty"`
	// Present is the state that a change would have met, on a conflict.
	Present any `json:"present,omitempty"`

	headers map[string]string // of the answer
	cause   error             // for the log
}

// with adds a header to the answer.
func (p *Problem) with(name, value string) *Problem {
	if p.headers == nil {
		p.headers = map[string]string{}
	}
	p.headers[name] = value
	return p
}

// FieldProblem says what is wrong with one field.
type FieldProblem struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, code, detail string, fields ...FieldProblem) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: code, Message: detail, Errors: fields}
}

var once sync.Once

// installErrors makes huma's own errors (validation) problems of this API.
// huma.NewError is a global of the process and meant to be replaced (see its
// documentation); it is replaced once, before the first operation is registered.
func installErrors() {
	once.Do(func() { huma.NewError = invalidRequest })
}

func invalidRequest(status int, message string, errs ...error) huma.StatusError {
	p := newProblem(status, strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_"), message)
	if status == http.StatusUnprocessableEntity {
		p.Code = "invalid"
	}
	var told []string
	for _, err := range errs {
		f := fieldProblem(err)
		p.Errors = append(p.Errors, f)
		if len(told) < maxTold {
			told = append(told, strings.TrimPrefix(f.Field+": "+f.Message, ": "))
		}
	}
	if more := len(errs) - len(told); more > 0 {
		told = append(told, fmt.Sprintf("and %d more", more))
	}
	if len(told) > 0 {
		p.Detail = strings.Join(told, "; ")
		p.Message = p.Detail
	}
	return p
}

// maxTold is how many problems of fields the detail repeats.
const maxTold = 10

// fieldProblem names a field as the request had it. The value that was given
// is never repeated: it may be a secret.
func fieldProblem(err error) FieldProblem {
	f := FieldProblem{Message: err.Error()}
	var d huma.ErrorDetailer
	if errors.As(err, &d) {
		f.Field, f.Message = d.ErrorDetail().Location, d.ErrorDetail().Message
		for _, part := range []string{"body.", "query.", "path.", "header."} {
			f.Field = strings.TrimPrefix(f.Field, part)
		}
		if missing, ok := strings.CutPrefix(f.Message, "expected required property "); ok {
			if name, ok := strings.CutSuffix(missing, " to be present"); ok {
				f.Field, f.Message = strings.TrimPrefix(f.Field+"."+name, "body."), "is missing"
			}
		}
	}
	return f
}

// problem translates the inventory's errors.
func problem(err error) *Problem {
	var (
		missing   *inventory.NotFound
		invalid   *inventory.Invalid
		several   inventory.InvalidList
		conflict  *inventory.Conflict
		forbidden *inventory.Forbidden
		stale     *inventory.Stale
		bundle    *authz.BundleError
		ours      *Problem
	)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &bundle):
		return bundleProblem(bundle)
	case errors.As(err, &missing):
		return newProblem(http.StatusNotFound, "not_found", missing.Error())
	case errors.As(err, &several):
		p := newProblem(http.StatusUnprocessableEntity, "invalid", several.Error())
		for _, e := range several {
			p.Errors = append(p.Errors, FieldProblem{e.Field, e.Problem})
		}
		return p
	case errors.As(err, &invalid):
		return newProblem(http.StatusUnprocessableEntity, "invalid", invalid.Error(), FieldProblem{invalid.Field, invalid.Problem})
	case errors.As(err, &conflict):
		p := newProblem(http.StatusConflict, "conflict", conflict.Error())
		p.Changed = conflict.Differences
		if conflict.Token != nil {
			p.Present = conflict.Token
		}
		return p
	case errors.As(err, &forbidden):
		return newProblem(http.StatusForbidden, "forbidden", forbidden.Error())
	case errors.As(err, &stale):
		header := "If-Match"
		if stale.Given == 0 {
			header = "If-None-Match"
		}
		return newProblem(http.StatusPreconditionFailed, "precondition_failed", stale.Error(), FieldProblem{header, stale.Error()})
	}
	var full *inventory.Full
	if errors.As(err, &full) {
		p := newProblem(http.StatusInsufficientStorage, "no_space", "the disk of patrol's database is full: nothing was changed; make room there, and try again")
		p.cause = full
		return p
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return newProblem(http.StatusServiceUnavailable, "interrupted", "the request was given up before it was done; read what is present before you try again")
	}
	// What broke is for the log: it may name files, or hold what was asked.
	return newProblem(http.StatusInternalServerError, "internal", "the server failed; its log says why, under the request's id")
}
