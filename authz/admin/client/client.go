// Package client speaks the administrative API for the commands.
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
	"regexp"
	"strings"
)

// Client speaks to one server.
type Client struct {
	server string
	base   string
	http   *http.Client
}

// New returns a client of "unix:PATH" or "http://HOST:PORT".
func New(server string) (*Client, error) {
	c := &Client{server: server, base: strings.TrimRight(server, "/"), http: &http.Client{}}
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

// Error is a problem that the server answered with.
type Error struct {
	Status  int             `json:"status"`
	Detail  string          `json:"detail"`
	Code    string          `json:"code"`
	Present json.RawMessage `json:"present"`
}

func (e *Error) Error() string { return e.Detail }

// Unreachable says that no server answers.
type Unreachable struct {
	Server string
	Err    error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("no patrol server answers at %s: start one with \"patrol serve\", or name yours with --server or PATROL_SERVER (%v)", e.Server, e.Err)
}

// Unwrap gives the cause.
func (e *Unreachable) Unwrap() error { return e.Err }

// Do sends in (nil: nothing) and decodes the answer into out (nil: ignored).
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	_, err := c.do(ctx, method, path, in, out)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) (next string, err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return "", err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return "", err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return "", &Unreachable{c.server, err}
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		e := &Error{Status: resp.StatusCode}
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if json.Unmarshal(b, e) != nil || e.Detail == "" {
			e.Detail = fmt.Sprintf("the server answered %s", resp.Status)
		}
		return "", e
	}
	if m := nextLink.FindStringSubmatch(resp.Header.Get("Link")); m != nil {
		next = m[1]
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return next, nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return "", fmt.Errorf("read the server's answer: %w", err)
	}
	return next, nil
}

var nextLink = regexp.MustCompile(`<\?cursor=([^>]*)>; rel="next"`)

// List reads all pages of a listing, up to a number of rows (0: all).
func List[T any](ctx context.Context, c *Client, path string, query url.Values, most int) ([]T, error) {
	out := []T{}
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "1000")
	for {
		var rows []T
		next, err := c.do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &rows)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
		if most > 0 && len(out) >= most {
			return out[:most], nil
		}
		if next == "" {
			return out, nil
		}
		query.Set("cursor", next)
	}
}
