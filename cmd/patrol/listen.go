package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/authz/telemetry"
)

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
		if a.Config.ExtAuthz.TLS.on() && l.Addr().Network() == "tcp" {
			o := a.Config.ExtAuthz.TLS.options()
			o.Log = a.Log
			if l, err = extauthz.WithTLS(l, o); err != nil {
				return fmt.Errorf("ext_authz.tls.%w", err)
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
	return admin.Handler(a.adminOptions(logins))
}

func (a *App) adminOptions(logins admin.Logins) admin.Options {
	return admin.Options{
		Commands: &commands{a}, Queries: a.Store, Policy: policyAdmin{a}, Explainer: (*explainer)(a), Decider: (*decider)(a),
		Refusals: a.Records, Usage: a.Store, Replays: a.Store, Previews: a.Preview, Digester: a.digester, Logins: logins,
		Notifications: notifications{a}, Bundles: a.Bundles, Upkeep: upkeep{a}, Version: version, Instance: a.here, SystemOwners: a.Config.Admin.SystemOwners, Log: a.Log,
	}
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
