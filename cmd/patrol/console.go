package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/console"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
)

// LoginConfig says how people log in to the console, beside patrol login.
type LoginConfig struct {
	Issuer           string        `yaml:"issuer"`
	ClientID         string        `yaml:"client_id"`
	ClientSecretFile string        `yaml:"client_secret_file"`
	Scopes           []string      `yaml:"scopes"`
	UserClaim        string        `yaml:"user_claim"`
	GroupsClaim      string        `yaml:"groups_claim"`
	Groups           []GroupConfig `yaml:"groups"`
	SessionFor       duration      `yaml:"session_for"`
}

// GroupConfig gives a group of the login provider's a role in an organization.
type GroupConfig struct {
	Group        string `yaml:"group"`
	Organization string `yaml:"organization"`
	Role         string `yaml:"role"`
}

// newConsole makes the pages.
func (a *App) newConsole() (*console.Console, error) {
	provider, err := a.Config.provider()
	if err != nil {
		return nil, err
	}
	return console.New(console.Options{
		Commands: &commands{a}, Queries: a.Store, Reports: a.Store, Secret: a.newSecret, Policy: consolePolicy{a}, Previews: a.Preview, Standings: a.Preview, Refusals: a.Records,
		Sessions: sessions{a.Store}, Judge: consoleJudge{a}, Links: addressLinks{a},
		PublicURL: a.Config.Answer.PublicURL, Provider: provider, SessionFor: time.Duration(a.Config.Login.SessionFor), Version: version,
		Clock: a.Clock, Log: a.Log,
	})
}

// newSecret makes a secret for a token that its owner rotates.
func (a *App) newSecret() console.NewSecret {
	secret := credential.Generate()
	return console.NewSecret{Digest: a.digester.Secret(secret), Last4: secret.Last4(), Shown: secret.Reveal()}
}

// provider logs people in; nil where none is configured.
func (c *Config) provider() (*console.Provider, error) {
	l := c.Login
	if l.Issuer == "" {
		return nil, nil
	}
	if c.Answer.PublicURL == "" {
		return nil, errors.New("login.issuer: needs answer.public_url, to which the provider sends people back")
	}
	secret := ""
	if l.ClientSecretFile != "" {
		b, err := os.ReadFile(l.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("login.client_secret_file: %w", err)
		}
		secret = strings.TrimSpace(string(b))
	}
	groups := make([]console.GroupRole, len(l.Groups))
	for i, g := range l.Groups {
		groups[i] = console.GroupRole(g)
	}
	p, err := console.NewProvider(console.ProviderOptions{
		Issuer: l.Issuer, ClientID: l.ClientID, ClientSecret: secret, Scopes: l.Scopes, UserClaim: l.UserClaim, GroupsClaim: l.GroupsClaim,
		RedirectURL: strings.TrimRight(c.Answer.PublicURL, "/") + "/login/callback", Groups: groups, SystemOwners: c.Admin.SystemOwners,
	})
	if err != nil {
		return nil, fmt.Errorf("login.%w", err)
	}
	return p, nil
}

// withConsole serves the API below /api/, and the pages elsewhere.
func withConsole(api http.Handler, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			api.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// loginLinks are the links of patrol login.
type loginLinks struct {
	app   *App
	pages *console.Console
}

func (l loginLinks) Link(who inventory.Actor) (admin.LoginLink, bool) {
	address := l.app.Config.Admin.Listen
	if address == "off" || address == "" {
		return admin.LoginLink{}, false
	}
	if host, port, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsUnspecified() {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	code, until := l.pages.LoginCode(console.Caller{Name: who.Name, Operator: true})
	return admin.LoginLink{URL: "http://" + address + "/login/link?code=" + code, ExpiresAt: until}, true
}

// sessions are the store's as the console asks for them.
type sessions struct{ store *sqlstore.Store }

func (s sessions) Put(ctx context.Context, one console.Session, now time.Time) error {
	caller, err := json.Marshal(one.Caller)
	if err != nil {
		return err
	}
	return s.store.PutSession(ctx, sqlstore.Session{Hash: one.Hash, Caller: string(caller), Created: one.Created, Expires: one.Expires}, now)
}

func (s sessions) Session(ctx context.Context, hash string) (*console.Session, error) {
	row, err := s.store.Session(ctx, hash)
	if err != nil || row == nil {
		return nil, err
	}
	out := &console.Session{Hash: row.Hash, Created: row.Created, Expires: row.Expires}
	return out, json.Unmarshal([]byte(row.Caller), &out.Caller)
}

func (s sessions) End(ctx context.Context, hash string) error { return s.store.EndSession(ctx, hash) }

// consoleJudge asks data.patrol.console.
type consoleJudge struct{ *App }

func (j consoleJudge) May(ctx context.Context, caller *console.Caller, organization string) (map[string]bool, error) {
	return j.ask(ctx, "patrol/console/may", map[string]any{
		"caller":       map[string]any{"name": caller.Name, "operator": caller.Operator, "role": caller.Roles[organization]},
		"organization": organization,
	})
}

func (j consoleJudge) MayOwn(ctx context.Context, caller *console.Caller, t console.OwnedToken) (map[string]bool, error) {
	return j.ask(ctx, "patrol/console/own", map[string]any{
		"caller":       map[string]any{"name": caller.Name, "operator": caller.Operator, "member": t.Member},
		"organization": t.Organization,
		"token":        map[string]any{"owner": t.Owner, "responsible": append([]string{}, t.Responsible...)},
	})
}

func (j consoleJudge) ask(ctx context.Context, entry string, asked map[string]any) (map[string]bool, error) {
	r := j.Bundles.Ruleset()
	if r == nil || r.Asker == nil {
		return nil, errors.New("no policy bundle is active")
	}
	var may []string
	if err := r.Asker.Ask(ctx, entry, asked, &may); err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(may))
	for _, action := range may {
		out[action] = true
	}
	return out, nil
}

// consolePolicy is the active policy as the console shows it.
type consolePolicy struct{ *App }

func (p consolePolicy) Ruleset() *authz.Ruleset { return p.Bundles.Ruleset() }

func (p consolePolicy) Sources() []console.BundleSource {
	var out []console.BundleSource
	for _, s := range p.Bundles.Status() {
		held := ""
		if s.Held != nil {
			held = heldNote(s.Held)
		}
		out = append(out, console.BundleSource{
			Held: held, Name: s.Name, Source: s.Source, Root: s.Root, Revision: s.Revision, Evaluator: s.Evaluator, Error: s.Error,
			LastSuccess: s.LastSuccess, LastAttempt: s.LastAttempt, LastGood: s.LastGood, ReplacedBy: s.ReplacedBy, Warnings: s.Warnings,
		})
	}
	return out
}
