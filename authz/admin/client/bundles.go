package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

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

// ShadowBundle is the bundle that is evaluated beside the active one, with its tag.
func (c *Client) ShadowBundle(ctx context.Context) (*authz.Shadow, string, error) {
	var out authz.Shadow
	header, err := c.exchange(ctx, http.MethodGet, "/api/bundles/shadow", nil, nil, &out)
	if err != nil {
		return nil, "", err
	}
	return &out, header.Get("ETag"), nil
}

// SetShadowBundle has a packed bundle evaluated beside the active one, in the place of
// the named one ("" where there is one alone), where tag is not "" only while the
// shadow that is there is what the tag is of.
func (c *Client) SetShadowBundle(ctx context.Context, packed []byte, name string, sample float64, dry bool, tag string) (*authz.Shadow, error) {
	query := url.Values{"sample": {strconv.FormatFloat(sample, 'g', -1, 64)}}
	if name != "" {
		query.Set("bundle", name)
	}
	if dry {
		query.Set("dry_run", "true")
	}
	var out authz.Shadow
	if _, err := c.exchange(ctx, http.MethodPut, "/api/bundles/shadow?"+query.Encode(), ifTag(tag), tarball(packed), &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// EndShadowBundle ends the shadow that the tag is of.
func (c *Client) EndShadowBundle(ctx context.Context, tag string) error {
	_, err := c.exchange(ctx, http.MethodDelete, "/api/bundles/shadow", ifTag(tag), nil, nil)
	return err
}

// PromoteShadowBundle makes the shadow active, where tag is not "" only while it is
// what the tag is of.
func (c *Client) PromoteShadowBundle(ctx context.Context, p admin.BundlePromotion, dry bool, tag string) (*authz.BundleChange, error) {
	return c.actOnBundle(ctx, "/api/bundles/promote", p, dry, tag)
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
