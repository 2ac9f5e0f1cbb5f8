package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/patrol-authz/patrol/authz/dropin"
	"github.com/patrol-authz/patrol/authz/engine"
	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/inventory/sqlstore"
	"github.com/patrol-authz/patrol/authz/notify"
	"github.com/patrol-authz/patrol/authz/routing"
)

// check says what is wrong, before anything is opened or made. Its error
// begins with the key.
func (c *Config) check() error {
	for _, check := range []func() error{
		c.ExtAuthz.check, c.Admin.check, c.Policy.check, c.Inventory.check, c.Answer.check, c.checkPeople, c.checkDiagnostics, c.Log.check, c.checkLogin, c.checkNotify, c.checkOPA,
		c.Sources.check, c.checkIdentities, c.SCIM.check,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *ExtAuthzConfig) check() error {
	if _, err := c.socketMode(); err != nil {
		return err
	}
	if err := extauthz.CheckGroup(c.Group); err != nil {
		return fmt.Errorf("ext_authz.group: %w", err)
	}
	for i, address := range c.Listen {
		if err := extauthz.CheckAddress(address, c.Insecure || c.TLS.on()); err != nil {
			return fmt.Errorf("ext_authz.listen[%d]: %w", i, err)
		}
	}
	if c.TLS.on() {
		o := c.TLS.options()
		if err := o.Check(); err != nil {
			return fmt.Errorf("ext_authz.tls.%w", err)
		}
	}
	return nil
}

func (c *AdminConfig) check() error {
	for i, name := range c.SystemOwners {
		if inventory.Fold(name) != name || name == "" {
			return fmt.Errorf("admin.system_owners[%d]: %q is no user's name: write it in lower case", i, name)
		}
	}
	if err := checkHops("admin", c.TrustedHops); err != nil {
		return err
	}
	return checkTCP("admin.listen", c.Listen, c.Insecure)
}

func checkHops(section string, hops int) error {
	if hops < 0 || hops > 10 {
		return fmt.Errorf("%s.trusted_hops: %d is not from 0 to 10", section, hops)
	}
	return nil
}

// checkTCP checks an address that may be left out, or be off.
func checkTCP(key, address string, insecure bool) error {
	switch {
	case address == "" || address == "off":
		return nil
	case strings.HasPrefix(address, "unix:"):
		return fmt.Errorf("%s: %q is no host:port", key, address)
	}
	if err := extauthz.CheckAddress(address, insecure); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// Hosts as they are written, and paths of rules.
var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	rulePath = regexp.MustCompile(`^[^\s/]+(/[^\s/]+)*$`)
)

func (c *PolicyConfig) check() error {
	if err := routing.CheckExtensions(c.ContextExtensions); err != nil {
		return fmt.Errorf("policy.context_extensions: %w", err)
	}
	for i, name := range c.CredentialHeaders {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("policy.credential_headers[%d]: %q is no name of a header", i, name)
		}
	}
	for i, path := range c.Bundles {
		if strings.TrimSpace(path) == "" {
			return fmt.Errorf("policy.bundles[%d]: is empty: write a folder or a tarball, or leave the entry out", i)
		}
	}
	for i, path := range c.Decisions {
		if !rulePath.MatchString(path) {
			return fmt.Errorf("policy.decisions[%d]: %q is no path of a rule: write for example patrol/authz/decision", i, path)
		}
	}
	for i, host := range c.AllowNet {
		if !hostName.MatchString(host) && net.ParseIP(host) == nil {
			return fmt.Errorf("policy.allow_net[%d]: %q is no name of a host: write it without scheme, port and path", i, host)
		}
	}
	if err := checkHops("policy", c.TrustedHops); err != nil {
		return err
	}
	if !slices.Contains([]string{"", engine.ModeAuto, engine.ModeTopdown, engine.ModeCompiled}, c.Evaluator) {
		return fmt.Errorf("policy.evaluator: %q is none of auto, topdown, compiled", c.Evaluator)
	}
	if c.CompareEvery < 0 {
		return fmt.Errorf("policy.compare_every: %d is below 0", c.CompareEvery)
	}
	if n := c.History.Versions; n < 0 || n > 1000 {
		return fmt.Errorf("policy.history.versions: %d is not from 1 to 1000", n)
	}
	if n := c.History.MiB; n < 0 || n > 1<<20 {
		return fmt.Errorf("policy.history.mib: %d is not from 1 to 1048576", n)
	}
	return nil
}

func (c *AnswerConfig) check() error {
	if strings.ContainsFunc(c.Realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return fmt.Errorf("answer.realm: %q has more than ASCII without quotes and backslashes (RFC 9110, section 5.6.4)", c.Realm)
	}
	if c.PublicURL == "" {
		return nil
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("answer.public_url: %q is no address: write for example https://patrol.example.com", c.PublicURL)
	}
	return nil
}

func (c *LogConfig) check() error {
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, c.Level) {
		return fmt.Errorf("log.level: %q is none of debug, info, warn, error", c.Level)
	}
	if !slices.Contains([]string{"", "text", "json"}, c.Format) {
		return fmt.Errorf("log.format: %q is neither text nor json", c.Format)
	}
	if c.Denials < 0 {
		return fmt.Errorf("log.denials_per_second: %d is below 0", c.Denials)
	}
	return nil
}

func (c *Config) checkPeople() error {
	if c.People.Listen != "" && c.Answer.PublicURL == "" {
		return errors.New("people.listen: needs answer.public_url, under which people reach it")
	}
	return checkTCP("people.listen", c.People.Listen, c.People.Insecure)
}

func (c *Config) checkDiagnostics() error {
	return checkTCP("diagnostics.listen", c.Diagnostics.Listen, true)
}

func (c *Config) checkLogin() error {
	_, err := c.provider()
	return err
}

func (c *Config) checkNotify() error {
	if _, err := notify.LoadTemplates(c.Mail.Templates); err != nil {
		return fmt.Errorf("mail.templates: %w", err)
	}
	if c.Mail.PerMinute < 0 {
		return fmt.Errorf("mail.per_minute: %d is below 0", c.Mail.PerMinute)
	}
	if err := c.Mail.checkDays(); err != nil {
		return err
	}
	if _, err := c.mailTransport(); err != nil {
		return err
	}
	_, err := c.hooks()
	return err
}

// checkOPA looks at what OPA itself would ignore in its section, too.
func (c *Config) checkOPA() error {
	section, err := c.dropIn()
	if err != nil {
		return err
	}
	if section != nil {
		if _, err := dropin.ParseConfig(section); err != nil {
			return fmt.Errorf("opa.%w", err)
		}
	}
	_, err = c.remote()
	return err
}

func (c *InventoryConfig) check() error {
	if c.postgres() == "" {
		if c.DatabasePasswordFile != "" {
			return errors.New("inventory.database_password_file: belongs to a database that is a URL")
		}
		return nil
	}
	if _, err := sqlstore.ParsePostgres(c.postgres()); err != nil {
		return fmt.Errorf("inventory.database: %w", err)
	}
	return nil
}
