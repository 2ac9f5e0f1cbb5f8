// Package client speaks the administrative API for the commands: a [Client]
// has a method for each operation. Errors are [*Error] (what the server said),
// [*Unreachable], or about the answer itself.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/patrol-authz/patrol/authz/credential"
)

// Client speaks to one server.
type Client struct {
	server string
	base   string
	token  credential.Secret
	http   *http.Client
}

// WithToken makes calls as the holder of a token. It refuses to send one in the
// clear beyond this machine.
func (c *Client) WithToken(token credential.Secret) (*Client, error) {
	if u, err := url.Parse(c.base); err != nil || u.Scheme == "http" && !strings.HasPrefix(c.server, "unix:") && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("a token would go to %s in the clear: use https, or an address of this machine", c.server)
	}
	with := *c
	with.token = token
	return &with, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// New returns a client of "unix:PATH" or "http://HOST:PORT".
func New(server string) (*Client, error) {
	c := &Client{server: server, base: strings.TrimRight(server, "/"), http: &http.Client{
		// An API that is asked for something elsewhere is not this one, and a
		// token is for this one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if path, ok := strings.CutPrefix(server, "unix:"); ok {
		c.base = "http://patrol"
		c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}}
	} else if u, err := url.Parse(server); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the server %q is neither unix:PATH nor an http URL", server)
	}
	return c, nil
}

// Error is a problem that the server answered with (RFC 9457).
type Error struct {
	Status    int             `json:"status"`
	Detail    string          `json:"detail"`
	Code      string          `json:"code"`
	RequestID string          `json:"request_id"`
	Fields    []Field         `json:"errors"`
	Present   json.RawMessage `json:"present"`
}

// Field is what is wrong with one field of a request.
type Field struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is the detail; what failed in the server names its request too.
func (e *Error) Error() string {
	if e.Status >= http.StatusInternalServerError && e.RequestID != "" {
		return e.Detail + " (request " + e.RequestID + ")"
	}
	return e.Detail
}

// Unreachable says that no server answers.
type Unreachable struct {
	Server string
	Err    error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("no patrol server answers at %s: start `patrol serve` or set --server / PATROL_SERVER (%v)", e.Server, e.Err)
}

// Unwrap gives the cause.
func (e *Unreachable) Unwrap() error { return e.Err }

// Do sends in (nil: nothing) and decodes the answer into out (nil: ignored).
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	_, err := c.do(ctx, method, path, nil, in, out)
	return err
}

// jsonText is what is sent as it stands.
type jsonText []byte

// tarball is what is sent as it stands, and is no JSON.
type tarball []byte

func (c *Client) do(ctx context.Context, method, path string, header http.Header, in, out any) (next string, err error) {
	got, err := c.exchange(ctx, method, path, header, in, out)
	return nextPage(got.Get("Link")), err
}

// exchange is Do with headers, those of the answer too.
func (c *Client) exchange(ctx context.Context, method, path string, header http.Header, in, out any) (http.Header, error) {
	var body io.Reader
	kind := "application/json"
	switch in := in.(type) {
	case nil:
		kind = ""
	case jsonText:
		body = bytes.NewReader(in)
	case tarball:
		body, kind = bytes.NewReader(in), "application/gzip"
	default:
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	c.sign(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return nil, refusal(resp)
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return resp.Header, nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", c.server, err)
	}
	return resp.Header, nil
}

// sign makes a request its token's, where the client has one.
func (c *Client) sign(req *http.Request) {
	if c.token != (credential.Secret{}) {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
}

// unreachable tells a server that does not answer from a caller who gave up.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask %s: %w", c.server, ctx.Err())
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &Unreachable{c.server, err}
}

func refusal(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if json.Unmarshal(b, e) != nil || e.Detail == "" {
		e.Detail = "the server answered " + resp.Status + "; is it a patrol?"
	}
	return e
}

// nextPage is the path of the page that follows, by a Link (RFC 8288), or "".
func nextPage(link string) string {
	target, ok := strings.CutSuffix(link, `>; rel="next"`)
	if !ok {
		return ""
	}
	return strings.TrimPrefix(target, "<")
}

// pageSize is how many rows are asked for at once, at most.
const pageSize = 1000

// List reads the pages of a listing, up to a number of rows (0: all).
func List[T any](ctx context.Context, c *Client, path string, query url.Values, most int) ([]T, error) {
	size := pageSize
	if most > 0 {
		size = min(size, most)
	}
	first := url.Values{"limit": {strconv.Itoa(size)}}
	for k, v := range query {
		first[k] = v
	}
	out := []T{}
	for next := path + "?" + first.Encode(); next != ""; {
		var rows []T
		var err error
		if next, err = c.do(ctx, http.MethodGet, next, nil, nil, &rows); err != nil {
			return nil, err
		}
		out = append(out, rows...)
		if most > 0 && len(out) >= most {
			return out[:most], nil
		}
	}
	return out, nil
}

// send asks for something and decodes the answer.
func send[T any](ctx context.Context, c *Client, method, path string, in any) (*T, error) {
	var out T
	if err := c.Do(ctx, method, path, in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
