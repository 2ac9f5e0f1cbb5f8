package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/decide"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/snapshot"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/notify"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/record"
	"github.com/patrol-authz/patrol/authz/shadow"
	"github.com/patrol-authz/patrol/authz/sources"
	"github.com/patrol-authz/patrol/authz/telemetry"
	uses "github.com/patrol-authz/patrol/authz/usage"
	"github.com/patrol-authz/patrol/bundles"
)

// App is a running patrol: every part, wired. End-to-end tests use it too.
type App struct {
	Config Config
	Log    *slog.Logger
	// LogLinesLost counts the lines that the log could not write; may be nil.
	LogLinesLost func() int64
	Clock        func() time.Time
	// Polling is how often the change log is looked at; 0: the follower's default.
	Polling time.Duration

	Bundles  *bundles.Manager
	Store    *sqlstore.Store
	Follower *snapshot.Follower
	Pipeline *decide.Pipeline
	Metrics  *telemetry.Metrics
	Watch    *engine.Watch
	Shadow   *shadow.Comparer
	Records  *record.Recorder
	Usage    *uses.Gatherer
	Hygiene  *hygiene.Job
	Server   *extauthz.Server
	Sources  *sources.Sources // nil where none is configured
	Notify   *notify.Sender
	Preview  *preview.Previewer

	admin       []*admin.Server
	diagnostics *http.Server
	listeners   []net.Listener
	wait        sync.WaitGroup
	failed      chan error
	digester    *credential.Digester
	addresses   credential.AddressCodes
	reuses      *reuses
	stop        context.CancelFunc
	auditKey    ed25519.PrivateKey
	bound       map[string][]net.Listener // taken at the start, by address
	lock        *os.File
	here        inventory.ReplicaRow // as the others know this patrol
	memory      *memory              // of the process; nil where that is not patrol's own
	// hinted is the follower that the database's hints go to, once there is one.
	hinted atomic.Pointer[snapshot.Follower]
}

// Start opens the state and the listeners, and serves. Close ends it.
func (a *App) Start(ctx context.Context) (err error) {
	if a.Clock == nil {
		a.Clock = time.Now
	}
	a.failed = make(chan error, 8)
	background, stop := context.WithCancel(context.Background())
	a.stop = stop
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	a.here = thisReplica(a.Clock())
	if err := a.bind(); err != nil {
		return err
	}
	if err := a.openState(ctx); err != nil {
		return err
	}
	responder, err := a.dropIn(ctx, background)
	if err != nil {
		return err
	}
	if err := a.openRecorders(); err != nil {
		return err
	}
	if err := a.openSources(); err != nil {
		return err
	}
	a.decisions(responder)
	if err := a.startNotify(background); err != nil {
		return err
	}
	if err := a.listen(); err != nil {
		return err
	}
	a.wait.Add(2)
	go a.tend(background)
	go a.keepSigning(background)
	a.wait.Go(func() { a.reuses.run(background) })
	a.wait.Go(func() { a.sayHere(background) })
	return nil
}

func (a *App) openState(ctx context.Context) error {
	dir := a.Config.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	keyFile, database := a.Config.digestKeyFile(), filepath.Join(dir, databaseFile)
	if !there(keyFile) && there(database) {
		return fmt.Errorf("the digest key %s is not there, and no token in the database %s can be found without it: put it back", keyFile, database)
	}
	key, err := credential.LoadOrCreateKey(keyFile)
	if err != nil {
		return err
	}
	a.addresses = credential.NewAddressCodes(key)
	if a.digester, err = credential.NewDigester(key); err != nil {
		return err
	}
	if err := a.makeBundles(); err != nil {
		return err
	}
	a.Metrics = telemetry.New(telemetry.Options{
		Version: version, Inventory: (*inventoryMetrics)(a), Clock: a.Clock,
		OpeningFailures: func() int64 { return a.Pipeline.OpeningFailures() }, Outbox: a.outboxSizes, Evaluator: a.evaluatorName,
		LogLinesLost: a.LogLinesLost,
	})
	if err := a.openStore(ctx, dir); err != nil {
		return err
	}
	if err := a.Bundles.Start(ctx); err != nil {
		return err
	}
	a.Follower, err = snapshot.Start(ctx, snapshot.Options{
		Feed: a.Store, Settle: a.Store.Settle, FreezeOrganization: input.FreezeOrganization, FreezeGrants: input.FreezeGrants, Interval: a.Polling, Clock: a.Clock, Log: a.Log,
	})
	if err != nil {
		return err
	}
	a.hinted.Store(a.Follower)
	return nil
}

// there says whether a file exists, or might.
func there(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Failed tells of a listener that stopped by itself.
func (a *App) Failed() <-chan error { return a.failed }

// Ready says why requests cannot be decided, or nil. A bundle that was refused
// while another serves does not make the server unready.
func (a *App) Ready() error {
	if a.Bundles.Ruleset() == nil {
		return errors.New("no policy bundle is active: see patrol bundle status")
	}
	limit := time.Duration(a.Config.Inventory.MaxStaleness)
	if limit == 0 {
		limit = time.Minute
	}
	if age := a.Clock().Sub(a.Follower.Snapshot().AsOf()); age > limit {
		return fmt.Errorf("the inventory was last read %s ago", age.Round(time.Second))
	}
	return nil
}

// tend tells Envoy's health checks whether requests can be decided, and looks
// after the memory.
func (a *App) tend(ctx context.Context) {
	defer a.wait.Done()
	a.Server.SetReady(a.Ready() == nil)
	a.memory.settle()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	started := time.After(10 * time.Second)
	for {
		select {
		case <-ctx.Done():
			return
		case <-started: // the last parts of it are done
			a.memory.settle()
		case <-ticker.C:
		}
		a.Server.SetReady(a.Ready() == nil)
		a.memory.pace()
	}
}

// Close ends everything in turn: no new requests, those under way, then state.
func (a *App) Close() {
	a.stop()
	a.release()
	within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if a.Server != nil {
		a.Server.Stop(5 * time.Second)
	}
	for _, l := range a.listeners {
		l.Close()
	}
	if a.Records != nil {
		a.Records.EndFollowing()
	}
	for _, s := range a.admin {
		_ = s.Stop(within)
	}
	if a.diagnostics != nil {
		_ = a.diagnostics.Shutdown(within)
	}
	a.wait.Wait()
	if a.Shadow != nil {
		a.Shadow.Close()
	}
	if a.Pipeline != nil {
		a.Pipeline.Close()
	}
	if a.Sources != nil {
		a.Sources.Close()
	}
	a.closeRecorders(within)
	if a.Follower != nil {
		a.Follower.Close()
	}
	if a.Bundles != nil {
		a.Bundles.Close()
	}
	if a.Watch != nil {
		_ = a.Watch.Close()
	}
	if a.Store != nil {
		if _, err := a.signAudit(within); err != nil {
			a.Log.Error("the audit's head is not signed", "error", err)
		}
		if err := a.Store.Close(); err != nil {
			a.Log.Error("close the database", "error", err)
		}
	}
	if a.lock != nil {
		a.lock.Close()
	}
}
