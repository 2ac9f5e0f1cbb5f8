package routing

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patrol-authz/patrol/authz"
)

// Sources says what a request is about by up to three sources, in this order: a
// rule of the overlay, the route table, and keys of Envoy's context_extensions.
type Sources struct {
	*Router
	// Rule may be nil. It returns nil where it says nothing of a request.
	Rule func(authz.Request) (*authz.Route, error)
	// Extensions are the keys that are believed, of [ExtensionKeys].
	Extensions []string
}

// The keys of context_extensions that can be believed. None opens anything:
// what a route is about may be told by another team's configuration, whether it
// needs a token may not.
const (
	ExtensionOrganization = "organization"
	ExtensionPermission   = "permission"
	ExtensionResourceType = "resource_type"
	ExtensionResourceName = "resource_name"
)

// ExtensionKeys lists them.
var ExtensionKeys = []string{ExtensionOrganization, ExtensionPermission, ExtensionResourceType, ExtensionResourceName}

// CheckExtensions says which of the keys cannot be believed.
func CheckExtensions(keys []string) error {
	for _, k := range keys {
		if !slices.Contains(ExtensionKeys, k) {
			return fmt.Errorf("%q is none of %s", k, strings.Join(ExtensionKeys, ", "))
		}
	}
	return nil
}

// Route implements [authz.Router].
func (s *Sources) Route(r authz.Request) (*authz.Route, error) {
	route, err := s.first(r)
	if err != nil || len(s.Extensions) == 0 {
		return route, err
	}
	return s.extended(r, route), nil
}

// first is what the rule says, or else the table.
func (s *Sources) first(r authz.Request) (*authz.Route, error) {
	if s.Rule == nil {
		return s.Router.Route(r)
	}
	var t target
	if err := t.parse(r.Path()); err != nil {
		return nil, err
	}
	if err := checkHost(r.Host()); err != nil {
		return nil, err
	}
	// Only an entry of the table can admit an odd form.
	if t.encodedSlash || t.matrix {
		return s.Router.Route(r)
	}
	route, err := s.Rule(r)
	if err != nil {
		return nil, err
	}
	if route == nil {
		return s.Router.Route(r)
	}
	return route, complete(route)
}

// complete fills defaults in and checks what a rule said: a half route would be
// a hole.
func complete(r *authz.Route) error {
	if r.Access == "" {
		r.Access = authz.AccessOrganization
	}
	if r.Pattern == "" {
		r.Pattern = "data.local.routing.route"
	}
	switch r.Access {
	case authz.AccessOrganization:
		if r.Permission == "" || len(r.Organizations) == 0 {
			return errors.New("data.local.routing.route: a route of organizations names them, and a permission")
		}
	case authz.AccessAuthenticated, authz.AccessPublic, authz.AccessUnmanaged:
	default:
		return fmt.Errorf("data.local.routing.route: access %q is none of organization, authenticated, public, unmanaged", r.Access)
	}
	if slices.Contains(r.Organizations, "") {
		return errors.New("data.local.routing.route: an organization has no name")
	}
	if len(r.Organizations) > maxOrganizations {
		return errors.New("data.local.routing.route: the route names too many organizations")
	}
	return nil
}

// extended holds the extensions against a route, or makes one of them where
// there is none. A disagreement is no route, and so is refused: nobody can say
// which of the two is right.
func (s *Sources) extended(r authz.Request, route *authz.Route) *authz.Route {
	told := map[string]string{}
	for _, key := range s.Extensions {
		if v, ok := r.Extension(key); ok && v != "" {
			told[key] = v
		}
	}
	if len(told) == 0 {
		return route
	}
	if route == nil {
		return made(told)
	}
	if v, ok := told[ExtensionOrganization]; ok && (len(route.Organizations) != 1 || !strings.EqualFold(route.Organizations[0], v)) {
		return nil
	}
	if v, ok := told[ExtensionPermission]; ok && route.Permission != v {
		return nil
	}
	resource := route.Resource
	if resource == nil {
		resource = &authz.Resource{}
	}
	if v, ok := told[ExtensionResourceType]; ok && resource.Type != v {
		return nil
	}
	if v, ok := told[ExtensionResourceName]; ok && resource.Name != v {
		return nil
	}
	return route
}

func made(told map[string]string) *authz.Route {
	organization, permission := told[ExtensionOrganization], told[ExtensionPermission]
	if organization == "" || permission == "" || strings.EqualFold(organization, CallerNamespace) {
		return nil
	}
	route := &authz.Route{Pattern: "context_extensions", Access: authz.AccessOrganization, Permission: permission, Organizations: []string{organization}}
	if told[ExtensionResourceType] != "" && told[ExtensionResourceName] != "" {
		route.Resource = &authz.Resource{Type: told[ExtensionResourceType], Name: told[ExtensionResourceName]}
	}
	return route
}
