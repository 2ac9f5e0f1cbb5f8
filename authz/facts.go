package authz

import "time"

// Facts is all that a decision on one organization depends on, beside the
// policy. Absent facts are nil or empty, and become absent keys of the input,
// never null. A request on several organizations is decided on one Facts each.
type Facts struct {
	Request Request
	// Now is the one clock reading of the request, UTC, whole seconds.
	Now        time.Time
	Client     Client
	Credential CredentialFacts
	Route      *Route
	// Token is nil when no credential was sent or no token is known by it.
	Token *Token
	// Organization is nil when the route names none or it is unknown.
	Organization  *Organization
	Membership    *Membership
	Authorization *Authorization
	// Current is what the token grants on this organization and on what lies in
	// it. Nil for an unscoped token.
	Current *GrantSet
	// Effective is what the token may use on this organization: the grants on
	// it, and where an approval was given, the pairwise intersection by entity
	// of those with the approved ones. Nil for an unscoped token.
	Effective *GrantSet
}

// Client is the network end that the request came from.
type Client struct {
	Address string // by the configured number of trusted hops
	Network string // /24 of IPv4, /48 of IPv6
}

// Credential states and schemes.
const (
	CredentialPresent = "present"
	CredentialMissing = "missing"
	SchemeBearer      = "bearer"
	SchemeBasic       = "basic"
)

// CredentialFacts say that a credential was sent, never what it was.
type CredentialFacts struct {
	State  string // present, missing
	Scheme string // bearer, basic
	// Disabled: the credential's token is known and was disabled everywhere. It
	// is answered as an unknown one, and unlike that never waived.
	Disabled bool
}

// Accesses of a route.
const (
	AccessOrganization  = "organization"
	AccessAuthenticated = "authenticated"
	AccessPublic        = "public"
	AccessUnmanaged     = "unmanaged"
)

// Route says which organizations, resource and permission a request is about.
type Route struct {
	// Pattern is the route table's entry that matched.
	Pattern    string
	Access     string
	Permission string
	// Organizations are names, in the order in which they are decided.
	Organizations []string
	Resource      *Resource
}

// Resource is what a request touches.
type Resource struct {
	Type       string
	ID         string
	Name       string // with its namespace: "acme/model"
	Visibility string // public, private or empty
}
