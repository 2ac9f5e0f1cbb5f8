package snapshot

import (
	"time"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/inventory"
)

// tokenRow is a token. It holds no pointer.
type tokenRow struct {
	digest           authz.Digest
	created, expires int64 // milliseconds; 0: none
	text             text  // id, last four, display name
	owner            uint32
	grants, global   uint32
	accesses         uint32 // how many rows of access are about it
	kind, source     uint8  // words
	flags            uint8
}

func (r *tokenRow) texts() *text { return &r.text }

// Parts of a token's text.
const (
	tokenID = iota
	tokenLast4
	tokenName
)

// Flags of a token.
const (
	tokenDisabled = 1 << iota
	// tokenGone: deleted, or never read; kept for what was decided on it.
	tokenGone
)

// accessRow is what is stored between a token and an organization: what was
// decided, and the latest approval request. There is none where neither is.
type accessRow struct {
	expires, changed, opened   int64
	text                       text // comment, request id
	token, organization        uint32
	approved, effective, asked uint32 // grants
	state, requestState, flags uint8  // words, and flags
	round                      uint32 // of the request
}

func (r *accessRow) texts() *text { return &r.text }

// Parts of the text of an access.
const (
	accessComment = iota
	accessRequest
)

// Flags of an access.
const (
	accessSuspended = 1 << iota
	accessRequested // there is a request
)

// organizationRow stays when the organization goes, since rows of access are
// about it.
type organizationRow struct {
	id      string
	org     *authz.Organization
	aliases []string // names that it had before
}

// memberRow is a user's membership in an organization.
type memberRow struct {
	organization, user uint32
	// present is the membership; its role is empty when the user has left.
	present authz.Membership
	// admin is the whole history where the user is an administrator now:
	// nobody else's is ever asked for.
	admin []*inventory.Period
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
