package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/decide"
	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/sources"
)

// SourcesConfig says which tokens that are made elsewhere are taken.
type SourcesConfig struct {
	JWT           JWTConfig             `yaml:"jwt"`
	Introspection []IntrospectionConfig `yaml:"introspection"`
	// NewPerSecond bounds how many records of such tokens are made.
	NewPerSecond float64 `yaml:"new_per_second"`
}

// JWTConfig says whose verified claims are taken, and from which Envoys.
type JWTConfig struct {
	Peers   []string       `yaml:"peers"`
	Issuers []IssuerConfig `yaml:"issuers"`
}

// IssuerConfig is an issuer of JWTs, as a provider of Envoy's jwt_authn has it.
type IssuerConfig struct {
	Issuer  string `yaml:"issuer"`
	Payload string `yaml:"payload"`
}

// IntrospectionConfig is an endpoint of RFC 7662.
type IntrospectionConfig struct {
	Name             string   `yaml:"name"`
	URL              string   `yaml:"url"`
	Format           string   `yaml:"format"`
	ClientID         string   `yaml:"client_id"`
	ClientSecretFile string   `yaml:"client_secret_file"`
	CAFile           string   `yaml:"ca_file"`
	Timeout          duration `yaml:"timeout"`
	Cache            duration `yaml:"cache"`
	CacheInactive    duration `yaml:"cache_inactive"`
	PerSecond        float64  `yaml:"per_second"`
	CacheSize        int      `yaml:"cache_size"`
}

// any says whether there is a source.
func (c *SourcesConfig) any() bool { return len(c.JWT.Issuers)+len(c.Introspection) > 0 }

// trust is whose word on verified claims counts; checked before.
func (c *SourcesConfig) trust() extauthz.Trust {
	t, err := extauthz.ParseTrust(c.JWT.Peers)
	if err != nil || len(c.JWT.Issuers) == 0 {
		return extauthz.Trust{} // nobody
	}
	return t
}

// options are the sources' own, without what the App gives.
func (c *SourcesConfig) options() sources.Options {
	o := sources.Options{NewPerSecond: c.NewPerSecond}
	for _, i := range c.JWT.Issuers {
		o.Issuers = append(o.Issuers, sources.Issuer(i))
	}
	for _, e := range c.Introspection {
		o.Endpoints = append(o.Endpoints, sources.Endpoint{
			Name: e.Name, URL: e.URL, Format: e.Format, ClientID: e.ClientID, SecretFile: e.ClientSecretFile, CAFile: e.CAFile,
			Timeout: time.Duration(e.Timeout), Cache: time.Duration(e.Cache), CacheInactive: time.Duration(e.CacheInactive), PerSecond: e.PerSecond,
			CacheSize: e.CacheSize,
		})
	}
	return o
}

func (c *SourcesConfig) check() error {
	if _, err := extauthz.ParseTrust(c.JWT.Peers); err != nil {
		return fmt.Errorf("sources.jwt.peers%w", err)
	}
	switch {
	case len(c.JWT.Issuers) > 0 && len(c.JWT.Peers) == 0:
		return errors.New("sources.jwt.peers: is missing: say which Envoys may tell that they verified a token, for example [unix]")
	case len(c.JWT.Peers) > 0 && len(c.JWT.Issuers) == 0:
		return errors.New("sources.jwt.issuers: is missing: say whose tokens are taken")
	case c.NewPerSecond < 0 || c.NewPerSecond > 10_000:
		return errors.New("sources.new_per_second: is not from 0 to 10,000")
	}
	if err := sources.Check(c.options()); err != nil {
		return fmt.Errorf("sources.%w", err)
	}
	return nil
}

// openSources makes the sources of tokens that are configured.
func (a *App) openSources() (err error) {
	if !a.Config.Sources.any() {
		return nil
	}
	o := a.Config.Sources.options()
	o.Policy, o.Digester, o.Register, o.Clock, o.Log = a.Bundles, a.digester, a.seeToken, a.Clock, a.Log
	if a.Sources, err = sources.New(o); err != nil {
		return fmt.Errorf("sources.%w", err)
	}
	return a.Metrics.Registry.Register(a.Sources)
}

// tokenSources are the sources as the pipeline asks them; nil where there are none.
func (a *App) tokenSources() decide.Sources {
	if a.Sources == nil {
		return nil
	}
	return a.Sources
}

// seeToken makes or widens the record of a token of elsewhere.
func (a *App) seeToken(ctx context.Context, c *authz.Claimed) error {
	_, err := (&commands{a}).Do(ctx, inventory.Actor{Kind: "system", Name: "patrol"}, inventory.SeeToken{
		Source: c.Source, Digest: c.Digest, Owner: c.Owner, DisplayName: c.DisplayName, Kind: c.Kind, Grants: c.Grants,
	})
	var invalid *inventory.Invalid
	var forbidden *inventory.Forbidden
	if errors.As(err, &invalid) || errors.As(err, &forbidden) {
		return fmt.Errorf("%w: %w", sources.ErrRefused, err)
	}
	return err
}

// checkIdentities holds peers by their certificates against those that may ask.
func (c *Config) checkIdentities() error {
	for i, peer := range c.Sources.JWT.Peers {
		if id, ok := strings.CutPrefix(peer, "tls:"); ok && !slices.Contains(c.ExtAuthz.TLS.Identities, id) {
			return fmt.Errorf("sources.jwt.peers[%d]: %q is none of ext_authz.tls.identities", i, id)
		}
	}
	return nil
}
