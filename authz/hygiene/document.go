package hygiene

import "time"

// Document is what the rules see: of a token at an organization, or, without a
// token, of an organization. Absent facts are absent keys. Its JSON form is the
// schema of package data.patrol.hygiene.
type Document struct {
	Now           time.Time      `json:"now"` // whole seconds
	Organization  *Organization  `json:"organization,omitempty"`
	Token         *Token         `json:"token,omitempty"`
	Membership    *Membership    `json:"membership,omitempty"`
	Authorization *Authorization `json:"authorization,omitempty"`
	Usage         *Usage         `json:"usage,omitempty"`
}

// Organization is the organization of a document.
type Organization struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Type        string `json:"type"`
	TokenPolicy string `json:"token_policy"`
	Enforcement string `json:"enforcement"`
}

// Token is the token of a document.
type Token struct {
	ID          string    `json:"id"`
	DisplayName string    `json:"display_name"`
	Kind        string    `json:"kind"`
	Source      string    `json:"source"`
	Purpose     string    `json:"purpose,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	// RotatedAt is when the secret was last changed, ReusedAt when the one
	// before was last used though it was not accepted any more.
	RotatedAt time.Time `json:"rotated_at,omitzero"`
	ReusedAt  time.Time `json:"reused_at,omitzero"`
	Disabled  bool      `json:"disabled"`
	Owner     Owner     `json:"owner"`
	// Grants are those on the organization and what lies in it.
	Grants []Grant `json:"grants,omitempty"`
}

// Owner is to whom the token belongs.
type Owner struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Responsible are those who answer for it in the organization, where it is a
	// service account.
	Responsible []string `json:"responsible,omitempty"`
}

// Grant is what a token may on an entity.
type Grant struct {
	Entity      Entity   `json:"entity"`
	Permissions []string `json:"permissions"`
}

// Entity is what a grant is on.
type Entity struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// Membership is the owner's in the organization.
type Membership struct {
	Role  string    `json:"role"`
	Since time.Time `json:"since,omitzero"`
}

// Authorization is what was decided.
type Authorization struct {
	State     string    `json:"state"`
	Suspended bool      `json:"suspended"`
	ChangedAt time.Time `json:"changed_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Usage is how the token was used at the organization, as far as it is kept.
type Usage struct {
	// Since is from when on usage is known at all.
	Since      time.Time `json:"since"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"` // the last request that was allowed
	Allowed    []Allowed `json:"allowed"`
	Refused    []Refused `json:"refused"`
	Networks   []Network `json:"networks"`
}

// Allowed are the requests on one resource for one permission that were
// allowed. Resource is "*" for those that were too many to keep apart.
type Allowed struct {
	ResourceType string    `json:"resource_type"`
	Resource     string    `json:"resource"`
	Permission   string    `json:"permission"`
	Count        int64     `json:"count"`
	LastAt       time.Time `json:"last_at"`
}

// Refused are the requests of one day that were refused for one reason.
type Refused struct {
	Reason string    `json:"reason"`
	Count  int64     `json:"count"`
	LastAt time.Time `json:"last_at"`
}

// Network is where requests came from.
type Network struct {
	Network string    `json:"network"`
	LastAt  time.Time `json:"last_at"`
}
