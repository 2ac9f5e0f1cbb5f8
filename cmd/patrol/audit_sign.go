package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/auditlog"
)

// signEvery is how often the audit's head is signed while the log grows.
const signEvery = time.Minute

// signAudit signs how far the audit log goes, and keeps the head in the data
// directory too: who can write to the database may not reach it there.
func (a *App) signAudit(ctx context.Context) (*auditlog.Head, error) {
	head, fresh, err := a.Store.SignHead(ctx, a.auditKey)
	if err != nil || !fresh {
		return head, err
	}
	line, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(a.Config.DataDir, headsFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the signed head: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("keep the signed head: %w", err)
	}
	return head, nil
}

// keepSigning signs at intervals until the App ends.
func (a *App) keepSigning(ctx context.Context) {
	defer a.wait.Done()
	ticker := time.NewTicker(signEvery)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, err := a.signAudit(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			a.Log.Error("the audit's head is not signed", "error", err)
		}
		failing = err != nil
	}
}

// upkeep is what the API asks for beside the inventory.
type upkeep struct{ *App }

func (u upkeep) AuditState(ctx context.Context) (*auditlog.State, error) {
	state, err := u.Store.AuditState(ctx)
	if err == nil {
		state.PublicKey = auditlog.PublicKey(u.auditKey)
	}
	return state, err
}

func (u upkeep) AuditEntries(ctx context.Context, after int64, limit int) ([]auditlog.Entry, error) {
	return u.Store.AuditEntries(ctx, after, limit)
}

func (u upkeep) Replicas(ctx context.Context) ([]inventory.ReplicaRow, error) {
	return u.Store.Replicas(ctx)
}

func (u upkeep) SignAudit(ctx context.Context) (*auditlog.Head, error) { return u.signAudit(ctx) }

func (u upkeep) Backup(ctx context.Context) (copied io.Reader, done func(), err error) {
	dir, err := os.MkdirTemp(u.Config.DataDir, "backup-*") // 0700
	if err != nil {
		return nil, nil, fmt.Errorf("make room for a copy: %w", err)
	}
	remove := func() { os.RemoveAll(dir) }
	path := filepath.Join(dir, databaseFile)
	if err := u.Store.Copy(ctx, path); err != nil {
		remove()
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		remove()
		return nil, nil, err
	}
	r, w := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is one
		_, err := io.Copy(z, f)
		w.CloseWithError(errors.Join(err, z.Close()))
	}()
	return r, func() {
		_ = r.Close() // only read
		<-packed
		f.Close()
		remove()
	}, nil
}
