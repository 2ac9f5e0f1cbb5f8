package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
)

// Upkeep is what an operator needs of the database beside the inventory.
type Upkeep interface {
	// AuditState tells how far the audit log goes, and what was signed.
	AuditState(context.Context) (*auditlog.State, error)
	// AuditEntries reads entries after a number, oldest first.
	AuditEntries(ctx context.Context, after int64, limit int) ([]auditlog.Entry, error)
	// SignAudit signs how far the log goes; nil where it is empty.
	SignAudit(context.Context) (*auditlog.Head, error)
	// Replicas are the patrols that serve from the database.
	Replicas(context.Context) ([]inventory.ReplicaRow, error)
	// Backup makes a copy of the database in one state, and returns it with
	// what puts it away.
	Backup(context.Context) (copied io.Reader, done func(), err error)
}

// auditPart is how many entries are read at once.
const auditPart = 1000

func (s *service) upkeep() {
	if s.Upkeep == nil {
		return
	}
	register(s, "get-audit-state", "GET", "/api/audit/state", "Say how far the audit log goes, and which heads were signed", func(ctx context.Context, _ *struct{}) (*body[auditlog.State], error) {
		state, err := s.Upkeep.AuditState(ctx)
		if err != nil {
			return nil, err
		}
		return &body[auditlog.State]{*state}, nil
	})
	register(s, "list-replicas", "GET", "/api/replicas", "List the patrols that serve from this inventory, as they last said", func(ctx context.Context, _ *struct{}) (*body[[]inventory.ReplicaRow], error) {
		rows, err := s.Upkeep.Replicas(ctx)
		if err != nil {
			return nil, err
		}
		return &body[[]inventory.ReplicaRow]{rows}, nil
	})
	register(s, "sign-audit", "POST", "/api/audit/heads", "Sign how far the audit log goes", func(ctx context.Context, _ *struct{}) (*body[*auditlog.Head], error) {
		head, err := s.Upkeep.SignAudit(ctx)
		if err != nil {
			return nil, err
		}
		return &body[*auditlog.Head]{head}, nil
	})
	register(s, "export-audit", "GET", "/api/audit/export", "The audit log as JSON lines, oldest first, with each entry's hash", func(ctx context.Context, in *struct {
		After int64 `query:"after" minimum:"0" doc:"Only entries after this number"`
	},
	) (*huma.StreamResponse, error) {
		first, err := s.Upkeep.AuditEntries(ctx, in.After, auditPart)
		if err != nil {
			return nil, err
		}
		return stream("application/x-ndjson", func(w io.Writer) error { return s.exportAudit(ctx, w, first) }), nil
	})
	register(s, "backup", "GET", "/api/backup", "A copy of the database in one state, gzipped; SQLite only", func(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
		copied, done, err := s.Upkeep.Backup(ctx)
		if err != nil {
			return nil, err
		}
		return stream("application/gzip", func(w io.Writer) error {
			defer done()
			_, err := io.Copy(w, copied)
			return err
		}), nil
	})
}

// stream answers with what write writes. An error breaks the connection off, so
// that nobody takes a part for the whole.
func stream(mediaType string, write func(io.Writer) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", mediaType)
		if err := write(ctx.BodyWriter()); err != nil {
			panic(http.ErrAbortHandler)
		}
	}}
}

func (s *service) exportAudit(ctx context.Context, to io.Writer, list []auditlog.Entry) (err error) {
	w := bufio.NewWriter(to)
	lines := json.NewEncoder(w)
	for len(list) > 0 {
		for _, e := range list {
			if err := lines.Encode(e); err != nil {
				return err
			}
		}
		if list, err = s.Upkeep.AuditEntries(ctx, list[len(list)-1].Seq, auditPart); err != nil {
			return err
		}
	}
	return w.Flush()
}
