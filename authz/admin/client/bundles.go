package client

import (
	"context"
	"net/http"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
)

// BundleHistory lists the versions of bundles that were active, with the tag of
// what it shows.
func (c *Client) BundleHistory(ctx context.Context) (list []authz.BundleVersion, tag string, err error) {
	header, err := c.exchange(ctx, http.MethodGet, "/api/bundles/history", nil, nil, &list)
	return list, header.Get("ETag"), err
}

// RollBackBundle makes an earlier version active, where tag is not "" only while the
// history is what the tag is of.
func (c *Client) RollBackBundle(ctx context.Context, r admin.BundleRollback, dry bool, tag string) (*authz.BundleChange, error) {
	return c.actOnBundle(ctx, "/api/bundles/rollback", r, dry, tag)
}

// ReleaseBundle ends a hold: what the source has counts again.
func (c *Client) ReleaseBundle(ctx context.Context, name string, dry bool, tag string) (*authz.BundleChange, error) {
	return c.actOnBundle(ctx, "/api/bundles/release", admin.BundleName{Bundle: name}, dry, tag)
}

func (c *Client) actOnBundle(ctx context.Context, path string, in any, dry bool, tag string) (*authz.BundleChange, error) {
	if dry {
		path += "?dry_run=true"
	}
	var out authz.BundleChange
	if _, err := c.exchange(ctx, http.MethodPost, path, ifTag(tag), in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// ifTag makes a change depend on an ETag; "" does not.
func ifTag(tag string) http.Header {
	header := http.Header{}
	if tag != "" {
		header.Set("If-Match", tag)
	}
	return header
}
