package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/preview"
)

// Preview says whom a change of an organization's policy would break, with up to
// a number of tokens that have an outcome (0: all of them).
func (c *Client) Preview(ctx context.Context, organization string, change admin.PolicyPreview, outcome string, most int) (*preview.Preview, error) {
	size := pageSize
	if most > 0 {
		size = min(size, most)
	}
	query := url.Values{"limit": {strconv.Itoa(size)}}
	if outcome != "" {
		query.Set("outcome", outcome)
	}
	var whole *preview.Preview
	for next := organizationPath(organization) + "/settings/token-policy/preview?" + query.Encode(); next != ""; {
		var page preview.Preview
		var err error
		if next, err = c.do(ctx, http.MethodPost, next, nil, change, &page); err != nil {
			return nil, err
		}
		if whole == nil {
			whole = &page
		} else {
			whole.Tokens = append(whole.Tokens, page.Tokens...)
		}
		whole.Next = page.Next
		if most > 0 && len(whole.Tokens) >= most {
			whole.Tokens = whole.Tokens[:most]
			break
		}
	}
	return whole, nil
}
