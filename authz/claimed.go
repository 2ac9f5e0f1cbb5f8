package authz

import "time"

// Sources of tokens.
const (
	SourceIssued        = "issued"
	SourceImported      = "imported"
	SourceJWT           = "jwt"           // claims that the proxy verified
	SourceIntrospection = "introspection" // RFC 7662
)

// Foreign says whether tokens of a source are made elsewhere: patrol knows them
// by an identity that lasts, and not by their secret.
func Foreign(source string) bool { return source == SourceJWT || source == SourceIntrospection }

// Claimed is a token of another source as that source describes it at one
// request. What patrol decided on it hangs on its identity.
type Claimed struct {
	// Digest is the keyed digest of the token's identity, which lasts beyond a
	// single secret (by default issuer, subject and client).
	Digest      Digest
	Source      string
	Owner       string // a user's name
	DisplayName string
	Kind        string
	// Grants name what they are about; their ids are not filled in.
	Grants    []Grant
	IssuedAt  time.Time // zero: not told
	ExpiresAt time.Time // zero: not told
}

// Vouched is a Request of which the proxy says more than the client could.
type Vouched interface {
	// Metadata is what a filter of the proxy noted about the request before it
	// came here (dynamic metadata), as plain JSON values. It is nil where there
	// is none, and where the connection's other end is none whose word counts.
	Metadata(filter string) (map[string]any, error)
}
