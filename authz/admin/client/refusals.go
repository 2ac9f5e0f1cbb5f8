package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/record"
)

// Refusal says why a request was refused, by its id: one on an organization, or
// any where that is "".
func (c *Client) Refusal(ctx context.Context, organization, requestID string) (*record.Refusal, error) {
	path := "/api/refusals/"
	if organization != "" {
		path = organizationPath(organization) + "/settings/refusals/"
	}
	return send[record.Refusal](ctx, c, http.MethodGet, path+url.PathEscape(requestID), nil)
}

// KeptRefusals hands on the refusals that the server keeps, the oldest first, as lines
// of JSON: of an organization, by its name, or all where that is "".
func (c *Client) KeptRefusals(ctx context.Context, organization string, f func(line []byte) error) error {
	_, err := c.lines(ctx, "/api/refusals", url.Values{"organization": {organization}}, nil, f)
	return err
}

// Follow calls began, which may be nil, when the server follows, and hands on the
// decisions that it makes from then on, as lines of
// JSON, and says how many came too fast to be told. Where the context ends, so does
// it, without an error.
func (c *Client) Follow(ctx context.Context, organization string, span time.Duration, most int, began func(), f func(line []byte) error) (missed int64, err error) {
	query := url.Values{"organization": {organization}, "seconds": {strconv.Itoa(int((span + time.Second - 1) / time.Second))}}
	if most > 0 {
		query.Set("limit", strconv.Itoa(most))
	}
	end, err := c.lines(ctx, "/api/decisions", query, began, f)
	switch {
	case ctx.Err() != nil:
		return 0, nil //nolint:nilerr // who asked has enough
	case err == nil && end == nil:
		err = errors.New("the server's answer broke off")
	case err == nil:
		missed = end.Missed
	}
	return missed, err
}

// lines hands on the lines of an answer, but for the one that ends it.
func (c *Client) lines(ctx context.Context, path string, query url.Values, began func(), f func(line []byte) error) (end *admin.Followed, err error) {
	maps.DeleteFunc(query, func(_ string, values []string) bool { return values[0] == "" })
	body, err := c.open(ctx, path+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if began != nil {
		began()
	}
	in := bufio.NewScanner(body)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var last admin.Followed
		if err := json.Unmarshal(in.Bytes(), &last); err != nil {
			return nil, fmt.Errorf("read the answer of %s: %w", c.server, err)
		}
		if last.End {
			return &last, nil
		}
		if err := f(in.Bytes()); err != nil {
			return nil, err
		}
	}
	return nil, in.Err()
}
