package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
)

// LoginLink logs its caller in to the console, once.
type LoginLink struct {
	URL       string    `json:"url" doc:"Good once, until expires_at; whoever opens it acts as the caller"`
	ExpiresAt time.Time `json:"expires_at"`
}

// withoutSecret is what is kept for a request that comes again.
func (l LoginLink) withoutSecret() any { return LoginLink{ExpiresAt: l.ExpiresAt} }

// Logins makes links to the console.
type Logins interface {
	// Link makes one for somebody who may do everything; ok is false where no
	// console is served.
	Link(inventory.Actor) (link LoginLink, ok bool)
}

func (s *service) logins() {
	register(s, "create-login-link", "POST", "/api/login-links", "Make a link with which the caller logs in to the console; over the admin socket alone", func(ctx context.Context, _ *struct{}) (*body[LoginLink], error) {
		if !trusted(ctx) {
			// A token never becomes a session: policy changes need a person.
			return nil, newProblem(http.StatusForbidden, "forbidden", "a link to log in is made over the admin socket alone")
		}
		if s.Logins == nil {
			return nil, noConsole
		}
		link, ok := s.Logins.Link(actor(ctx))
		if !ok {
			return nil, noConsole
		}
		return &body[LoginLink]{link}, nil
	})
}

var noConsole = newProblem(http.StatusConflict, "no_console", "the console is not served: give patrol serve --admin an address, for example 127.0.0.1:8283")
