package admin

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

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
	// Errors name each field that is wrong.
	Errors []FieldProblem `json:"errors,omitempty"`
	// Present is the state that a change would have met, on a conflict.
	Present any `json:"present,omitempty"`
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
// huma.NewError is a global of the process; it is set once.
func installErrors() {
	once.Do(func() {
		huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
			p := newProblem(status, strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_"), message)
			if status == http.StatusUnprocessableEntity {
				p.Code = "invalid"
			}
			var told []string
			for _, err := range errs {
				f := FieldProblem{Message: err.Error()}
				var d huma.ErrorDetailer
				if errors.As(err, &d) {
					f.Field, f.Message = strings.TrimPrefix(d.ErrorDetail().Location, "body."), d.ErrorDetail().Message
				}
				p.Errors = append(p.Errors, f)
				told = append(told, strings.TrimPrefix(f.Field+": "+f.Message, ": "))
			}
			if len(told) > 0 {
				p.Detail = strings.Join(told, "; ")
				p.Message = p.Detail
			}
			return p
		}
	})
}

// problem translates the inventory's errors.
func problem(err error) error {
	var (
		missing  *inventory.NotFound
		invalid  *inventory.Invalid
		conflict *inventory.Conflict
		ours     *Problem
	)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &missing):
		return newProblem(http.StatusNotFound, "not_found", missing.Error())
	case errors.As(err, &invalid):
		return newProblem(http.StatusUnprocessableEntity, "invalid", invalid.Error(), FieldProblem{invalid.Field, invalid.Problem})
	case errors.As(err, &conflict):
		p := newProblem(http.StatusConflict, "conflict", conflict.Error())
		if conflict.Token != nil {
			p.Present = conflict.Token
		}
		return p
	}
	return newProblem(http.StatusInternalServerError, "internal", err.Error())
}
