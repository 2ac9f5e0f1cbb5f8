package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/bundles"
)

// Config is patrol's configuration file. Without one, patrol serve works: base
// bundle, SQLite, loopback. docs/configuration.md describes each key.
type Config struct {
	DataDir     string          `yaml:"data_dir"`
	ExtAuthz    ExtAuthzConfig  `yaml:"ext_authz"`
	Admin       AdminConfig     `yaml:"admin"`
	People      PeopleConfig    `yaml:"people"`
	Diagnostics ListenConfig    `yaml:"diagnostics"`
	Policy      PolicyConfig    `yaml:"policy"`
	Inventory   InventoryConfig `yaml:"inventory"`
	Sources     SourcesConfig   `yaml:"sources"`
	SCIM        SCIMConfig      `yaml:"scim"`
	Answer      AnswerConfig    `yaml:"answer"`
	Login       LoginConfig     `yaml:"login"`
	Mail        MailConfig      `yaml:"mail"`
	Webhooks    []WebhookConfig `yaml:"webhooks"`
	Log         LogConfig       `yaml:"log"`
	// OPA is OPA's own configuration: services, bundles, keys, and in
	// plugins.envoy_ext_authz_grpc the drop-in mode.
	OPA map[string]any `yaml:"opa"`
}

// ExtAuthzConfig are Envoy's listeners.
type ExtAuthzConfig struct {
	Listen   []string `yaml:"listen"`
	Mode     string   `yaml:"mode"`
	Group    string   `yaml:"group"`
	Insecure bool     `yaml:"insecure"`
	// TLS is of the TCP addresses.
	TLS TLSConfig `yaml:"tls"`
}

// TLSConfig is mutual TLS.
type TLSConfig struct {
	CertFile     string   `yaml:"cert_file"`
	KeyFile      string   `yaml:"key_file"`
	ClientCAFile string   `yaml:"client_ca_file"`
	Identities   []string `yaml:"identities"`
}

func (c *TLSConfig) options() extauthz.TLSOptions {
	return extauthz.TLSOptions{CertFile: c.CertFile, KeyFile: c.KeyFile, ClientCAFile: c.ClientCAFile, Identities: c.Identities}
}

// on says whether TLS is asked for.
func (c *TLSConfig) on() bool {
	o := c.options()
	return !o.Zero()
}

// AdminConfig says where the admin API is, and whose tokens may be an operator's.
type AdminConfig struct {
	Socket       string   `yaml:"socket"`
	Listen       string   `yaml:"listen"`
	Insecure     bool     `yaml:"insecure"`
	SystemOwners []string `yaml:"system_owners"`
	// TrustedHops are proxies before Listen that are believed in X-Forwarded-For.
	TrustedHops int `yaml:"trusted_hops"`
}

// PeopleConfig says where people reach the console's pages, and nothing else:
// login, review, and an owner's own tokens.
type PeopleConfig struct {
	Listen   string `yaml:"listen"`
	Insecure bool   `yaml:"insecure"`
}

// ListenConfig is an address.
type ListenConfig struct {
	Listen string `yaml:"listen"`
}

// PolicyConfig says where policy comes from and what it sees.
type PolicyConfig struct {
	Bundles           []string `yaml:"bundles"`
	Decisions         []string `yaml:"decisions"`
	ExposeCredential  bool     `yaml:"expose_credential"`
	CredentialHeaders []string `yaml:"credential_headers"`
	TrustedHops       int      `yaml:"trusted_hops"`
	// ContextExtensions are the keys of Envoy's that may say what a route is about.
	ContextExtensions []string `yaml:"context_extensions"`
	// Evaluator is auto, topdown or compiled.
	Evaluator string `yaml:"evaluator"`
	// CompareEvery is how many evaluations there are to one that OPA's
	// interpreter repeats.
	CompareEvery int `yaml:"compare_every"`
	// AllowNet are hosts that rules may ask.
	AllowNet []string `yaml:"allow_net"`
	// History bounds what is kept of bundles that were active.
	History HistoryConfig `yaml:"history"`
}

// HistoryConfig bounds the history of each bundle.
type HistoryConfig struct {
	Versions int `yaml:"versions"`
	MiB      int `yaml:"mib"`
}

// InventoryConfig says where tokens are kept.
type InventoryConfig struct {
	// Database is sqlite (a file in the data directory) or the URL of a
	// PostgreSQL database, without a password.
	Database             string   `yaml:"database"`
	DatabasePasswordFile string   `yaml:"database_password_file"`
	MaxStaleness         duration `yaml:"max_staleness"`
	DigestKeyFile        string   `yaml:"digest_key_file"`
	// AuditKeyFile signs the heads of the audit log.
	AuditKeyFile string `yaml:"audit_key_file"`
}

// AnswerConfig says what clients are told.
type AnswerConfig struct {
	PublicURL   string `yaml:"public_url"`
	Realm       string `yaml:"realm"`
	HubWarnings *bool  `yaml:"hub_warnings"`
}

// LogConfig says what is logged, and how.
type LogConfig struct {
	Level   string `yaml:"level"`
	Format  string `yaml:"format"`
	Denials int    `yaml:"denials_per_second"`
}

// duration is a time span as Go writes it: 60s, 5m.
type duration time.Duration

// UnmarshalYAML reads "60s".
func (d *duration) UnmarshalYAML(n ast.Node) error {
	text := strings.Trim(strings.TrimSpace(n.String()), `"'`)
	parsed, err := time.ParseDuration(text)
	if err != nil || parsed <= 0 {
		at := n.GetToken().Position
		return fmt.Errorf("[%d:%d] %s: %q is no time span: write for example 60s", at.Line, at.Column, strings.TrimPrefix(n.GetPath(), "$."), text)
	}
	*d = duration(parsed)
	return nil
}

// loadConfig reads a file strictly: an unknown key is an error with its line.
func loadConfig(path string) (*Config, error) {
	c := &Config{}
	if path == "" {
		return c, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	expanded, missing := expand(string(text))
	if err := unsetError(missing); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	text = []byte(expanded)
	dec := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", path, decodeError(err))
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, located(text, err))
	}
	base := filepath.Dir(path)
	for i, p := range c.Policy.Bundles {
		if !filepath.IsAbs(p) {
			c.Policy.Bundles[i] = filepath.Join(base, p)
		}
	}
	return c, nil
}

// postgres is the URL of the inventory's database; empty for SQLite.
func (c *InventoryConfig) postgres() string {
	if c.Database == "sqlite" {
		return ""
	}
	return c.Database
}

func (c *ExtAuthzConfig) socketMode() (fs.FileMode, error) {
	if c.Mode == "" {
		return 0, nil
	}
	mode, err := strconv.ParseUint(c.Mode, 8, 9)
	if err != nil {
		return 0, fmt.Errorf("ext_authz.mode: %q is no mode: write it in octal and in quotes, \"0660\"", c.Mode)
	}
	return fs.FileMode(mode), nil
}

// remote are the bundle services of the section opa.
func (c *Config) remote() (*bundles.Remote, error) {
	if len(c.OPA) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(c.OPA)
	if err != nil {
		return nil, fmt.Errorf("opa: %w", err)
	}
	return bundles.ParseRemote(b)
}

// dropIn is the section opa.plugins.envoy_ext_authz_grpc, as JSON; nil where
// there is none.
func (c *Config) dropIn() ([]byte, error) {
	plugins, _ := c.OPA["plugins"].(map[string]any)
	for name := range plugins {
		if name != "envoy_ext_authz_grpc" {
			return nil, fmt.Errorf("opa.plugins.%s: there is no such plugin", name)
		}
	}
	section, ok := plugins["envoy_ext_authz_grpc"]
	if !ok {
		return nil, nil
	}
	return json.Marshal(section)
}
