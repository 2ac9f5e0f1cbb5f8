package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/extauthz"
)

// Default addresses, where nothing else is said.
const (
	defaultExtAuthz    = "127.0.0.1:9191"
	defaultAdmin       = "127.0.0.1:8283"
	defaultDiagnostics = "127.0.0.1:8282"
)

// bind takes every TCP address before any state is opened, and looks at the
// paths of sockets: a start that cannot listen changes nothing. (A Unix socket
// is opened last: it moves over that of a server before.)
func (a *App) bind() error {
	c := &a.Config
	if len(c.ExtAuthz.Listen) == 0 {
		c.ExtAuthz.Listen = []string{defaultExtAuthz}
	}
	if c.Diagnostics.Listen == "" {
		c.Diagnostics.Listen = defaultDiagnostics
	}
	if c.Admin.Socket == "" {
		c.Admin.Socket = filepath.Join(c.DataDir, "admin.sock")
	}
	a.bound = map[string][]net.Listener{}
	for _, address := range c.ExtAuthz.Listen {
		if err := a.take(address, c.ExtAuthz.Insecure || c.ExtAuthz.TLS.on()); err != nil {
			return fmt.Errorf("ext_authz: %w", err)
		}
	}
	if err := admin.CheckSocket(c.Admin.Socket); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	if err := a.bindConsole(); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	if c.People.Listen != "" {
		if err := a.take(c.People.Listen, c.People.Insecure); err != nil {
			return fmt.Errorf("people: %w", err)
		}
	}
	if c.Diagnostics.Listen != "off" {
		if err := a.take(c.Diagnostics.Listen, true); err != nil {
			return fmt.Errorf("diagnostics: %w", err)
		}
	}
	return nil
}

// bindConsole does without an address that nobody asked for when it is taken:
// decisions matter more.
func (a *App) bindConsole() error {
	c := &a.Config.Admin
	asked := c.Listen != ""
	if !asked {
		c.Listen = defaultAdmin
	}
	if c.Listen == "off" {
		return nil
	}
	err := a.take(c.Listen, c.Insecure)
	if err != nil && !asked {
		a.Log.Warn("the console is not served; give --admin another address", "error", err)
		c.Listen, err = "off", nil
	}
	return err
}

func (a *App) take(address string, insecure bool) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return extauthz.CheckSocket(path)
	}
	l, err := extauthz.Listen(address, extauthz.ListenOptions{Insecure: insecure})
	if err == nil {
		a.bound[address] = append(a.bound[address], l)
	}
	return err
}

// taken hands a listener out that bind took.
func (a *App) taken(address string) net.Listener {
	all := a.bound[address]
	if len(all) == 0 {
		return nil
	}
	a.bound[address] = all[1:]
	return all[0]
}

// release closes what was taken and not handed out.
func (a *App) release() {
	for _, all := range a.bound {
		for _, l := range all {
			l.Close()
		}
	}
	a.bound = nil
}
