package authz

import (
	"context"
	"slices"
)

// Ruleset is one activated bundle (the base and its overlay together) with all
// that the rooms need of it. It is immutable; activation swaps a pointer.
type Ruleset struct {
	// Name and Revision of what is active, for example "base" and "1+local.7".
	Name     string
	Revision string
	// Roots maps each root (patrol, local) to its own revision.
	Roots     map[string]string
	Evaluator Evaluator
	Router    Router
	Catalogue Catalogue
	// Policies are the token policies that organizations may choose.
	Policies []TokenPolicy
	// Findings are what the hygiene rules may find, by name.
	Findings []FindingKind
	// Settings are the settings of an organization that rules read by name; with
	// [AnySetting] where they may read others too.
	Settings []string
	// ReviewRules are the names of the review rules; nil: they are not known.
	ReviewRules []string
	// Permissions are those that some role gives, any other grants nothing; nil:
	// they are not known.
	Permissions []string
	// Asker answers the bundle's other entries.
	Asker Asker
}

// Asker evaluates an entry of the active bundle that is no token decision, such
// as "patrol/admin/decision", on an input of its own: a value that
// encoding/json can write. The result is plain JSON values, read into out. An
// entry that is undefined, or not there, is an error. It is safe for concurrent
// use.
type Asker interface {
	Ask(ctx context.Context, entry string, input, out any) error
}

// HasPolicy says whether an organization may choose a token policy.
func (r *Ruleset) HasPolicy(name string) bool {
	if r == nil {
		return false
	}
	for i := range r.Policies {
		if r.Policies[i].Name == name {
			return true
		}
	}
	return false
}

// AnySetting stands among [Ruleset.Settings] where rules may read any, as by a name that
// is computed.
const AnySetting = "*"

// ReadsSetting says whether a rule reads a setting of an organization, or may.
func (r *Ruleset) ReadsSetting(name string) bool {
	return r != nil && (slices.Contains(r.Settings, name) || slices.Contains(r.Settings, AnySetting))
}

// UnknownPermissions are those of some grants that no role gives.
func (r *Ruleset) UnknownPermissions(grants []Grant) (unknown []string) {
	if r == nil || r.Permissions == nil {
		return nil
	}
	for _, g := range grants {
		for _, p := range g.Permissions {
			if !slices.Contains(r.Permissions, p) && !slices.Contains(unknown, p) {
				unknown = append(unknown, p)
			}
		}
	}
	return unknown
}

// TokenPolicy describes a token policy: the METADATA of its package.
type TokenPolicy struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`
	// Unscoped and FineGrained are the two cells of the policy table.
	Unscoped    string `json:"unscoped"`
	FineGrained string `json:"fine_grained"`
	// RequiresApproval: tokens need an administrator's approval.
	RequiresApproval bool `json:"requires_approval"`
	// Root is patrol or local.
	Root string `json:"root"`
}

// FindingKind describes a finding: the METADATA of its package, and its words
// and severity in data.
type FindingKind struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Severity    string `json:"severity"` // low, medium or high
	Off         bool   `json:"off"`      // the data says that it is not looked for
	Root        string `json:"root"`     // patrol or local
}

// Router says what a request is about.
type Router interface {
	// Route returns the route of a request, nil when none matches, or an error
	// that is a [*Refusal] when the request is malformed (see
	// [ReasonRequestMalformed]).
	Route(r Request) (*Route, error)
}

// Refusal is a request that is refused before Rego is asked.
type Refusal struct {
	Reason string // one of [BuiltinReasons]
	Detail string // what is wrong, safe to show: never a credential
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Detail }
