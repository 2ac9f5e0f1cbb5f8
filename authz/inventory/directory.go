package inventory

import "time"

// Kinds of what a directory provisions (RFC 7643).
const (
	KindUser  = "User"
	KindGroup = "Group"
)

// Provisioned is a user or a group as an organization's directory keeps it here
// (SCIM 2.0). What the organization makes of it is a membership, which is changed
// by commands as any other.
type Provisioned struct {
	Kind string // User, Group
	ID   string
	// Name is the userName or the displayName, folded: it is there once.
	Name       string
	ExternalID string
	// Subject is the user's name in the inventory; empty for a group.
	Subject string
	// Attributes are the rest, as the directory gave them.
	Attributes         map[string]any
	Version            int64
	CreatedAt, Changed time.Time
}

// Directory is what an organization's directory keeps here, within one
// transaction. What is not there is nil.
type Directory interface {
	ByID(kind, id string) (*Provisioned, error)
	ByName(kind, name string) (*Provisioned, error)
	BySubject(user string) (*Provisioned, error)
	ByExternal(kind, id string) ([]*Provisioned, error)
	// Page lists by id.
	Page(kind string, skip, size int) ([]*Provisioned, error)
	Count(kind string) (int, error)
	Put(*Provisioned) error
	// Delete removes a user or a group, and who is in it or where it is in.
	Delete(kind, id string) error
	Members(group string) ([]*Provisioned, error)
	GroupsOf(user string) ([]*Provisioned, error)
	Join(group, user string) error
	Leave(group, user string) error
}
