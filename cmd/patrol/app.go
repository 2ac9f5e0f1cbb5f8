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
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/decide"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/authz/hygiene"
	"github.com/patrol-authz/patrol/authz/input"
	"github.com/patrol-authz/patrol/authz/input/protodoc"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/snapshot"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/notify"
	"github.com/patrol-authz/patrol/authz/preview"
	"github.com/patrol-authz/patrol/authz/record"
	"github.com/patrol-authz/patrol/authz/sources"
	"github.com/patrol-authz/patrol/authz/telemetry"
	uses "github.com/patrol-authz/patrol/authz/usage"
	"github.com/patrol-authz/patrol/bundles"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// App is a running patrol: every part, wired. End-to-end tests use it too.
type App struct {
	Config Config
	Log    *slog.Logger
	Clock  func() time.Time

	Bundles  *bundles.Manager
	Store    *sqlstore.Store
	Follower *snapshot.Follower
	Pipeline *decide.Pipeline
	Metrics  *telemetry.Metrics
	Watch    *engine.Watch
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
	reuses      *reuses
	stop        context.CancelFunc
	auditKey    ed25519.PrivateKey
	bound       map[string][]net.Listener // taken at the start, by address
	lock        *os.File
	memory      *memory // of the process; nil where that is not patrol's own
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
	if a.digester, err = credential.NewDigester(key); err != nil {
		return err
	}
	remote, err := a.Config.remote()
	if err != nil {
		return err
	}
	p := a.Config.Policy
	a.Watch = a.watchEvaluator()
	o := gateOptions(p, a.Watch)
	o.Paths, o.Remote, o.StateDir, o.Log, o.Clock, o.AllowNet = p.Bundles, remote, dir, a.Log, a.Clock, p.AllowNet
	if section, err := a.Config.dropIn(); err != nil {
		return err
	} else if section != nil {
		o.Paths = nil // they are the drop-in policy's
	}
	o.PoliciesInUse = func(ctx context.Context) ([]string, error) { return a.Store.PoliciesInUse(ctx) }
	o.Observe = func(e bundles.Event) {
		if a.Metrics != nil {
			active := make([]telemetry.Bundle, len(e.Active))
			for i, b := range e.Active {
				active[i] = telemetry.Bundle(b)
			}
			a.Metrics.Activated(e.Name, e.Err, active)
		}
		if e.Err == nil && a.Hygiene != nil {
			a.Hygiene.Again() // other rules may find something else
		}
	}
	a.Bundles = bundles.New(o)
	a.Metrics = telemetry.New(telemetry.Options{
		Version: version, Inventory: (*inventoryMetrics)(a), Clock: a.Clock,
		OpeningFailures: func() int64 { return a.Pipeline.OpeningFailures() }, Outbox: a.outboxSizes, Evaluator: a.evaluatorName,
	})
	if err := a.openStore(ctx, dir); err != nil {
		return err
	}
	if err := a.Bundles.Start(ctx); err != nil {
		return err
	}
	a.Follower, err = snapshot.Start(ctx, snapshot.Options{
		Feed: a.Store, FreezeOrganization: input.FreezeOrganization, FreezeGrants: input.FreezeGrants, Clock: a.Clock, Log: a.Log,
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

// watchEvaluator compares the compiled policy with OPA's interpreter while it
// serves. Metrics are there before the first bundle is.
func (a *App) watchEvaluator() *engine.Watch {
	return engine.NewWatch(engine.WatchOptions{
		Every: a.Config.Policy.CompareEvery, Log: a.Log,
		Fallback:   func(cause string) { a.Metrics.EvaluatorFallback(cause) },
		Compared:   func() { a.Metrics.EvaluatorCompared() },
		Difference: func() { a.Metrics.EvaluatorDiffered() },
	})
}

// evaluatorName is what evaluates at the moment, "" while nothing does.
func (a *App) evaluatorName() string {
	if r := a.Bundles.Ruleset(); r != nil {
		return r.Evaluator.Name()
	}
	return ""
}

// dropIn is the responder of opa-envoy-plugin's mode, where it is configured.
func (a *App) dropIn(ctx, background context.Context) (extauthz.Responder, error) {
	section, err := a.Config.dropIn()
	if err != nil || section == nil {
		return nil, err
	}
	d, err := newDropIn(ctx, section, a.Config.Policy.Bundles, a.Log)
	if err != nil {
		return nil, err
	}
	a.wait.Add(1)
	go func() {
		defer a.wait.Done()
		d.follow(background)
	}()
	return d, nil
}

func (a *App) decisions(responder extauthz.Responder) {
	a.reuses = newReuses(func(ctx context.Context, c inventory.Command) error {
		_, err := (&commands{a}).Do(ctx, inventory.Actor{Kind: "system", Name: "patrol"}, c)
		return err
	}, a.Log, a.Clock)
	a.Pipeline = decide.New(decide.Options{
		Sources: a.tokenSources(), Policy: a.Bundles, Inventory: follower{a.Follower}, Digester: a.digester, Opener: &commands{a},
		Recorder:     telemetry.Recorders{a.Metrics, a.Usage, a.Records, a.reuses, &telemetry.DenialLog{Log: a.Log, PerSecond: a.Config.Log.Denials, Clock: a.Clock}},
		Credentials:  credential.Parser{Headers: a.Config.Policy.CredentialHeaders},
		MaxStaleness: time.Duration(a.Config.Inventory.MaxStaleness), TrustedHops: a.Config.Policy.TrustedHops, Clock: a.Clock,
	})
	a.Preview = a.previewer()
	a.Server = extauthz.New(extauthz.Options{
		Decider: a.Pipeline, Responder: responder, Answer: a.answerOptions(), Trust: a.Config.Sources.trust(), Log: a.Log,
		Attributes: func(c *authv3.AttributeContext) (map[string]any, error) { return protodoc.Of(c) },
	})
}

func (a *App) answerOptions() answer.Options {
	return answer.Options{
		PublicURL: a.Config.Answer.PublicURL, Realm: a.Config.Answer.Realm, CredentialHeaders: a.Config.Policy.CredentialHeaders,
		HubWarnings: a.Config.Answer.HubWarnings == nil || *a.Config.Answer.HubWarnings,
	}
}

func (a *App) listen() error {
	mode, err := a.Config.ExtAuthz.socketMode()
	if err != nil {
		return err
	}
	for _, address := range a.Config.ExtAuthz.Listen {
		l := a.taken(address)
		if l == nil {
			if l, err = extauthz.Listen(address, extauthz.ListenOptions{Mode: mode, Group: a.Config.ExtAuthz.Group}); err != nil {
				return fmt.Errorf("ext_authz: %w", err)
			}
		}
		a.listeners = append(a.listeners, l)
	}
	if err := a.listenAdmin(); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	a.listenDiagnostics()
	for _, s := range a.admin {
		a.serve("admin", s.Serve)
	}
	for _, l := range a.listeners {
		a.serve("ext_authz", func() error { return a.Server.Serve(l) })
	}
	a.Log.Info("serving", "ext_authz", a.Config.ExtAuthz.Listen, "admin", a.Config.Admin.Socket, "admin_tcp", a.Config.Admin.Listen, "diagnostics", a.Config.Diagnostics.Listen, "ready", a.Ready() == nil)
	return nil
}

// listenAdmin opens the admin socket and, where it is configured, the address
// at which tokens administer.
func (a *App) listenAdmin() error {
	c := &a.Config.Admin
	pages, err := a.newConsole()
	if err != nil {
		return err
	}
	api := a.adminHandler(loginLinks{a, pages})
	socket, err := admin.Listen(c.Socket, api)
	if err != nil {
		return err
	}
	a.admin = append(a.admin, socket)
	if l := a.taken(a.Config.Admin.Listen); l != nil {
		c.Listen = l.Addr().String()
		handler, err := a.withSCIM(withConsole(api, pages))
		if err != nil {
			return err
		}
		a.admin = append(a.admin, admin.NewServer(l, handler))
	}
	if l := a.taken(a.Config.People.Listen); l != nil {
		a.Config.People.Listen = l.Addr().String()
		a.admin = append(a.admin, admin.NewServer(l, pages))
	}
	return nil
}

func (a *App) adminHandler(logins admin.Logins) http.Handler {
	return admin.Handler(admin.Options{
		Commands: &commands{a}, Queries: a.Store, Policy: policyAdmin{a}, Explainer: (*explainer)(a), Decider: (*decider)(a),
		Refusals: a.Records, Usage: a.Store, Replays: a.Store, Previews: a.Preview, Digester: a.digester, Logins: logins,
		Notifications: notifications{a}, Upkeep: upkeep{a}, Version: version, SystemOwners: a.Config.Admin.SystemOwners, Log: a.Log,
	})
}

func (a *App) listenDiagnostics() {
	l := a.taken(a.Config.Diagnostics.Listen)
	if l == nil {
		return
	}
	a.Config.Diagnostics.Listen = l.Addr().String()
	a.diagnostics = &http.Server{Handler: telemetry.Diagnostics(a.Metrics.Registry, a.Ready), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	a.serve("diagnostics", func() error {
		if err := a.diagnostics.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}

func (a *App) serve(what string, f func() error) {
	a.wait.Add(1)
	go func() {
		defer a.wait.Done()
		if err := f(); err != nil {
			a.failed <- fmt.Errorf("%s: %w", what, err)
		}
	}()
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
	for _, s := range a.admin {
		_ = s.Stop(within)
	}
	if a.diagnostics != nil {
		_ = a.diagnostics.Shutdown(within)
	}
	a.wait.Wait()
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
