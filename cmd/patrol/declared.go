package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// declared is a file of patrol apply: the organizations as they should be. What
// it does not mention is left as it is.
type declared struct {
	Organizations []declaredOrganization `yaml:"organizations" json:"organizations"`
}

// declaredOrganization is an organization as it should be. Empty members are
// left as they are; for a new organization they take the server's defaults.
type declaredOrganization struct {
	Name        string `yaml:"name" json:"name"`
	TokenPolicy string `yaml:"token_policy,omitempty" json:"token_policy,omitempty"`
	// NextTokenPolicy takes over at EnforceAt (RFC 3339).
	NextTokenPolicy string `yaml:"next_token_policy,omitempty" json:"next_token_policy,omitempty"`
	EnforceAt       string `yaml:"enforce_at,omitempty" json:"enforce_at,omitempty"`
	Enforcement     string `yaml:"enforcement,omitempty" json:"enforcement,omitempty"`
	ManagedBy       string `yaml:"managed_by,omitempty" json:"managed_by,omitempty"`
	// Settings hold the thresholds.
	Settings map[string]any   `yaml:"settings,omitempty" json:"settings,omitempty"`
	Members  []declaredMember `yaml:"members,omitempty" json:"members,omitempty"`

	enforceAt time.Time
}

// declaredMember is a member as it should be.
type declaredMember struct {
	User  string `yaml:"user" json:"user"`
	Role  string `yaml:"role" json:"role"`
	Type  string `yaml:"type,omitempty" json:"type,omitempty"`
	Email string `yaml:"email,omitempty" json:"email,omitempty"`
	// Confirmed is false where the address is not known to be the member's: else
	// what the file says counts.
	Confirmed *bool `yaml:"confirmed,omitempty" json:"confirmed,omitempty"`
	// Responsible answer for a service account.
	Responsible *[]string `yaml:"responsible,omitempty" json:"responsible,omitempty"`
}

// listed is the same as a line of member sync.
func (m *declaredMember) listed() *listedMember {
	return &listedMember{User: m.User, Role: m.Role, Type: m.Type, Email: m.Email, Confirmed: m.Confirmed, Responsible: m.Responsible}
}

// readDeclared reads a file strictly; what is wrong is named with line and key.
func readDeclared(name string, text []byte, now time.Time) (*declared, error) {
	d := &declared{}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(d); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", name, decodeError(err))
	}
	if len(d.Organizations) == 0 {
		return nil, fmt.Errorf("%s: organizations: are missing", name)
	}
	seen := map[string]int{}
	for i := range d.Organizations {
		o := &d.Organizations[i]
		at := fmt.Sprintf("organizations[%d]", i)
		o.Name = inventory.Fold(o.Name)
		if err := o.check(at, now); err != nil {
			return nil, fmt.Errorf("%s: %w", name, located(text, err))
		}
		if first, twice := seen[o.Name]; twice {
			return nil, fmt.Errorf("%s: %w", name, located(text, fmt.Errorf("%s.name: %s is organizations[%d] already", at, o.Name, first)))
		}
		seen[o.Name] = i
	}
	return d, nil
}

func (o *declaredOrganization) check(at string, now time.Time) error {
	if o.Name == "" {
		return fmt.Errorf("%s.name: is missing", at)
	}
	switch o.Enforcement {
	case "", authz.Enforce, authz.Observe:
	default:
		return fmt.Errorf("%s.enforcement: %q is neither enforce nor observe", at, o.Enforcement)
	}
	switch {
	case o.NextTokenPolicy == "" && o.EnforceAt == "":
	case o.NextTokenPolicy == "":
		return fmt.Errorf("%s.enforce_at: needs a next_token_policy to enforce then", at)
	case o.EnforceAt == "":
		return fmt.Errorf("%s.next_token_policy: needs an enforce_at", at)
	default:
		t, err := time.Parse(time.RFC3339, o.EnforceAt)
		if err != nil {
			return fmt.Errorf("%s.enforce_at: %q is no time: write 2026-12-31T12:00:00Z", at, o.EnforceAt)
		}
		if o.enforceAt = t.UTC(); !o.enforceAt.After(now) {
			// It came meanwhile.
			o.TokenPolicy, o.NextTokenPolicy, o.enforceAt = o.NextTokenPolicy, "", time.Time{}
		}
	}
	settings, _ := asJSON(o.Settings).(map[string]any)
	var invalid *inventory.Invalid
	if err := inventory.CheckSettings(settings); errors.As(err, &invalid) {
		return fmt.Errorf("%s.%s: %s", at, invalid.Field, invalid.Problem)
	}
	seen := map[string]bool{}
	for i := range o.Members {
		m := &o.Members[i]
		m.User = inventory.Fold(m.User)
		in := fmt.Sprintf("%s.members[%d]", at, i)
		switch {
		case m.User == "":
			return fmt.Errorf("%s.user: is missing", in)
		case seen[m.User]:
			return fmt.Errorf("%s.user: %s is there twice", in, m.User)
		case m.Role == "":
			return fmt.Errorf("%s.role: is missing", in)
		case !inventory.ValidRole(m.Role):
			return fmt.Errorf("%s.role: %q is none of admin, reviewer, write, contributor, read, no_access", in, m.Role)
		case m.Type != "" && m.Type != "user" && m.Type != "service_account":
			return fmt.Errorf("%s.type: %q is neither user nor service_account", in, m.Type)
		}
		seen[m.User] = true
	}
	return nil
}

// checkPolicies checks the names of policies against those of the server.
func (d *declared) checkPolicies(policies []authz.TokenPolicy) error {
	known := map[string]bool{}
	var names []string
	for _, p := range policies {
		known[p.Name] = true
		names = append(names, p.Name)
	}
	for i, o := range d.Organizations {
		for key, policy := range map[string]string{"token_policy": o.TokenPolicy, "next_token_policy": o.NextTokenPolicy} {
			if policy != "" && !known[policy] {
				return fmt.Errorf("organizations[%d].%s: %q is no token policy of the active bundle; there are %s", i, key, policy, strings.Join(names, ", "))
			}
		}
	}
	return nil
}

// keepAdministrators checks that each organization that has an administrator who is a
// person keeps one.
func (d *declared) keepAdministrators(have map[string]present, prune bool) error {
	for i, o := range d.Organizations {
		if o.Members == nil {
			continue
		}
		roles := map[string]string{}
		for _, m := range o.Members {
			roles[m.User] = m.Role
		}
		if err := keepsAdministrator(o.Name, roles, have[o.Name].members, prune); err != nil {
			return fmt.Errorf("organizations[%d].members: %w", i, err)
		}
	}
	return nil
}
