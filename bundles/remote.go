package bundles

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/download"
	"github.com/open-policy-agent/opa/v1/keys"
	"github.com/open-policy-agent/opa/v1/plugins/rest"
)

// Remote are bundles of HTTP bundle services, as OPA's configuration has them
// (https://www.openpolicyagent.org/docs/management-bundles).
type Remote struct {
	Services map[string]json.RawMessage
	Keys     map[string]*keys.Config
	Bundles  []RemoteBundle
}

// RemoteBundle is one bundle of a service.
type RemoteBundle struct {
	Name     string
	Service  string
	Resource string
	Polling  download.Config
	Signing  *bundle.VerificationConfig
}

// ParseRemote reads the sections services, bundles and keys of OPA's
// configuration, as JSON. A key that is none of OPA's is an error: OPA itself
// would ignore it.
func ParseRemote(section []byte) (*Remote, error) {
	var all struct {
		Services json.RawMessage            `json:"services"`
		Bundles  map[string]map[string]any  `json:"bundles"`
		Keys     map[string]*keys.Config    `json:"keys"`
		Plugins  map[string]json.RawMessage `json:"plugins"`
	}
	dec := json.NewDecoder(bytes.NewReader(section))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&all); err != nil {
		return nil, fmt.Errorf("opa: %w", err)
	}
	r := &Remote{Services: map[string]json.RawMessage{}, Keys: all.Keys}
	if err := r.services(all.Services); err != nil {
		return nil, err
	}
	for name, b := range all.Bundles {
		one, err := r.bundle(name, b)
		if err != nil {
			return nil, err
		}
		r.Bundles = append(r.Bundles, *one)
	}
	slices.SortFunc(r.Bundles, func(a, b RemoteBundle) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	if len(r.Bundles) == 0 {
		return nil, nil
	}
	return r, nil
}

func (r *Remote) services(section json.RawMessage) error {
	if len(section) == 0 {
		return nil
	}
	if json.Unmarshal(section, &r.Services) == nil {
		for name, s := range r.Services {
			if err := checkService(s); err != nil {
				return fmt.Errorf("opa.services.%s: %w", name, err)
			}
		}
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(section, &list); err != nil {
		return fmt.Errorf("opa.services: must be an object or a list: %w", err)
	}
	for i, s := range list {
		var named struct{ Name string }
		if err := json.Unmarshal(s, &named); err != nil || named.Name == "" {
			return fmt.Errorf("opa.services[%d].name: is missing", i)
		}
		if err := checkService(s); err != nil {
			return fmt.Errorf("opa.services[%d]: %w", i, err)
		}
		r.Services[named.Name] = s
	}
	return nil
}

// checkService looks for keys that OPA does not know, and would not look at.
func checkService(s json.RawMessage) error {
	dec := json.NewDecoder(bytes.NewReader(s))
	dec.DisallowUnknownFields()
	return dec.Decode(&rest.Config{})
}

func (r *Remote) bundle(name string, b map[string]any) (*RemoteBundle, error) {
	for key := range b {
		if !slices.Contains([]string{"service", "resource", "polling", "signing", "trigger", "persist", "size_limit_bytes"}, key) {
			return nil, fmt.Errorf("opa.bundles.%s.%s: is no key of a bundle", name, key)
		}
	}
	text, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	var c struct {
		Service  string                     `json:"service"`
		Resource string                     `json:"resource"`
		Signing  *bundle.VerificationConfig `json:"signing"`
		download.Config
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("opa.bundles.%s: %w", name, err)
	}
	if c.Service == "" && len(r.Services) == 1 {
		for only := range r.Services {
			c.Service = only
		}
	}
	if r.Services[c.Service] == nil {
		return nil, fmt.Errorf("opa.bundles.%s.service: there is no service %q", name, c.Service)
	}
	if c.Resource == "" {
		c.Resource = "/bundles/" + name
	}
	if err := c.Config.ValidateAndInjectDefaults(); err != nil {
		return nil, fmt.Errorf("opa.bundles.%s: %w", name, err)
	}
	if c.Signing != nil {
		if err := c.Signing.ValidateAndInjectDefaults(r.Keys); err != nil {
			return nil, fmt.Errorf("opa.bundles.%s.signing: %w", name, err)
		}
	}
	return &RemoteBundle{Name: name, Service: c.Service, Resource: c.Resource, Polling: c.Config, Signing: c.Signing}, nil
}

// follow polls the bundle services.
func (m *Manager) follow(ctx context.Context) error {
	if m.Remote == nil {
		return nil
	}
	for i := range m.Remote.Bundles {
		b := &m.Remote.Bundles[i]
		client, err := rest.New(m.Remote.Services[b.Service], m.Remote.Keys)
		if err != nil {
			return fmt.Errorf("opa.services.%s: %w", b.Service, err)
		}
		s := m.named(b.Name)
		d := download.New(b.Polling, client, b.Resource).WithSizeLimitBytes(maxFile).WithBundleVerificationConfig(b.Signing).WithBundlePersistence(true)
		d = d.WithCallback(func(ctx context.Context, u download.Update) error {
			m.received(ctx, s, d, u)
			return nil
		})
		d.Start(ctx)
		m.wait.Add(1)
		go func() {
			defer m.wait.Done()
			<-ctx.Done()
			d.Stop(context.Background())
		}()
	}
	return nil
}

func (m *Manager) named(name string) *source {
	for _, s := range m.overlays {
		if s.name == name && s.path == "" {
			return s
		}
	}
	return nil
}

func (m *Manager) received(ctx context.Context, s *source, d *download.Downloader, u download.Update) {
	if u.Error != nil {
		_ = m.offer(ctx, s, nil, fmt.Errorf("fetch the bundle: %w", u.Error))
		return
	}
	if u.Bundle == nil {
		return // not modified
	}
	l, err := judge(u.Bundle, "")
	if err == nil && u.Raw != nil {
		if l.raw, err = io.ReadAll(u.Raw); err != nil {
			err = fmt.Errorf("read the bundle: %w", err)
		}
	}
	if err := m.offer(ctx, s, l, err); err != nil {
		d.ClearCache() // ask again: the server may mend it under the same ETag
		return
	}
	d.SetCache(u.ETag)
}
