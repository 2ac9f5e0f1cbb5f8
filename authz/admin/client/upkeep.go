package client

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
)

// AuditState tells how far the audit log goes, and which heads were signed.
func (c *Client) AuditState(ctx context.Context) (*auditlog.State, error) {
	return send[auditlog.State](ctx, c, http.MethodGet, "/api/audit/state", nil)
}

// SignAudit has the server sign how far the audit log goes; nil where it is empty.
func (c *Client) SignAudit(ctx context.Context) (*auditlog.Head, error) {
	head, err := send[*auditlog.Head](ctx, c, http.MethodPost, "/api/audit/heads", nil)
	if err != nil {
		return nil, err
	}
	return *head, nil
}

// ExportAudit hands on the entries after a number, oldest first.
func (c *Client) ExportAudit(ctx context.Context, after int64, f func(auditlog.Entry) error) error {
	body, err := c.open(ctx, "/api/audit/export?after="+strconv.FormatInt(after, 10))
	if err != nil {
		return err
	}
	defer body.Close()
	return auditlog.Read(body, f)
}

// Backup writes a copy of the server's database, gzipped. What arrived is
// checked: a part is an error.
func (c *Client) Backup(ctx context.Context, to io.Writer) error {
	body, err := c.open(ctx, "/api/backup")
	if err != nil {
		return err
	}
	defer body.Close()
	whole := io.TeeReader(body, to)
	z, err := gzip.NewReader(whole)
	if err == nil {
		_, err = io.Copy(io.Discard, z)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, whole)
	}
	if err != nil {
		return fmt.Errorf("the backup broke off: %w", err)
	}
	return nil
}

// open asks for something that is too long to keep.
func (c *Client) open(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	c.sign(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp.Body, nil
}
