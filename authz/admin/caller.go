package admin

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// caller is who asks: whom the kernel names at the other end of the socket, or
// who holds a token.
type caller struct {
	actor inventory.Actor
	// trusted: over the socket, and with no token. It may do everything: who can
	// open the socket can read the database and its key.
	trusted bool
	// request carries the token, for the pipeline.
	request authz.Request
	// token is filled in once the pipeline let it through.
	token *authz.Token
}

type callerKey struct{}

func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

// WithActor says who asks over the socket: somebody who may do everything.
func WithActor(ctx context.Context, a inventory.Actor) context.Context {
	return context.WithValue(ctx, callerKey{}, &caller{actor: a, trusted: true})
}

func actor(ctx context.Context) inventory.Actor {
	if c := callerOf(ctx); c != nil {
		return c.actor
	}
	return inventory.Actor{}
}

// called makes whoever sends a credential the holder of that token, over the
// socket too: that is less than the socket allows, never more. Whom the kernel
// did not name is nobody without one.
func called(r *http.Request) *http.Request {
	if callerOf(r.Context()) != nil && r.Header.Get("Authorization") == "" {
		return r
	}
	c := &caller{}
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
	c.request = &sent{r}
	return r
}

// sent is an HTTP request to this API as the pipeline reads it. Its body is none
// of a token decision's business.
type sent struct{ r *http.Request }

func (s *sent) Method() string { return s.r.Method }
func (s *sent) Path() string   { return s.r.URL.RequestURI() }
func (s *sent) Host() string   { return s.r.Host }
func (s *sent) Scheme() string {
	if s.r.TLS != nil {
		return "https"
	}
	return "http"
}
func (s *sent) Protocol() string { return s.r.Proto }
func (s *sent) ID() string       { return requestOf(s.r.Context()).id }

func (s *sent) Header(name string) (value string, entries int) {
	all := s.r.Header.Values(name)
	return strings.Join(all, ","), len(all)
}

func (s *sent) EachHeader(yield func(name, value string) bool) {
	for name, values := range s.r.Header {
		for _, v := range values {
			if !yield(strings.ToLower(name), v) {
				return
			}
		}
	}
}

func (*sent) Body() authz.Body                { return authz.Body{} }
func (*sent) Extension(string) (string, bool) { return "", false }
func (*sent) Destination() authz.Peer         { return authz.Peer{} }

func (s *sent) Source() authz.Peer {
	host, port, err := net.SplitHostPort(s.r.RemoteAddr)
	if err != nil {
		return authz.Peer{} // a Unix socket
	}
	n, _ := strconv.ParseUint(port, 10, 16) // the kernel's own word
	return authz.Peer{Address: host, Port: uint32(n)}
}

func (s *sent) Attributes() (map[string]any, error) {
	headers := map[string]any{}
	s.EachHeader(func(n, v string) bool { headers[n] = v; return true })
	return map[string]any{"request": map[string]any{"http": map[string]any{
		"method": s.Method(), "path": s.Path(), "host": s.Host(), "scheme": s.Scheme(), "protocol": s.Protocol(), "headers": headers,
	}}}, nil
}
