package inventory

import (
	"fmt"
	"strings"
)

// NotFound says that nothing of a kind has a name or id.
type NotFound struct{ What, Name string }

func (e *NotFound) Error() string { return fmt.Sprintf("%s %q does not exist", e.What, e.Name) }

// Invalid says what is wrong with one member of a command. Field is in the
// API's words, for example "grants[0].entity.name".
type Invalid struct{ Field, Problem string }

func (e *Invalid) Error() string { return e.Field + ": " + e.Problem }

// InvalidList is several problems of one command.
type InvalidList []*Invalid

// Error tells the first few of them.
func (l InvalidList) Error() string {
	const few = 10
	told := make([]string, min(len(l), few))
	for i := range told {
		told[i] = l[i].Error()
	}
	if more := len(l) - few; more > 0 {
		told = append(told, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(told, "; ")
}

// Unwrap gives each problem to errors.As.
func (l InvalidList) Unwrap() []error {
	all := make([]error, len(l))
	for i, e := range l {
		all[i] = e
	}
	return all
}

// Conflict says that what a command was based on has changed, or that the
// state does not admit it.
type Conflict struct {
	Problem string
	// Token and Approval are the present state, where there is one.
	Token    *TokenRow
	Approval *ApprovalRow
	// Differences are what changed since the version that was reviewed.
	Differences []Difference
}

// Difference is one thing that changed. Grants are told permission by
// permission, as "repo.write on organization acme": one that was added has
// nothing reviewed, one that was taken away has nothing present.
type Difference struct {
	Field    string `json:"field"` // grants, kind, expires_at, state
	Reviewed string `json:"reviewed,omitempty"`
	Present  string `json:"present,omitempty"`
}

// String tells it in a sentence.
func (d Difference) String() string {
	switch {
	case d.Reviewed == "":
		return d.Field + ": " + d.Present + " was added"
	case d.Present == "":
		return d.Field + ": " + d.Reviewed + " was taken away"
	}
	return d.Field + ": " + d.Reviewed + " became " + d.Present
}

// Forbidden says that this actor may not do this, though another might.
type Forbidden struct{ Problem string }

func (e *Forbidden) Error() string { return e.Problem }

func (e *Conflict) Error() string { return e.Problem }

// Stale says that what a command was to change is no longer at the version that
// it was based on.
type Stale struct {
	What string // organization, member, token
	// Given and Present are versions; 0 is that of a member who is not there.
	Given, Present int64
}

func (e *Stale) Error() string {
	switch {
	case e.Given == 0:
		return fmt.Sprintf("the %s is there already, at version %d; read it", e.What, e.Present)
	case e.Present == 0 && e.Given == AnyVersion:
		return fmt.Sprintf("there is no such %s", e.What)
	case e.Present == 0:
		return fmt.Sprintf("the %s is gone: version %d was read", e.What, e.Given)
	}
	return fmt.Sprintf("the %s has changed: version %d was read, %d is present; read it again", e.What, e.Given, e.Present)
}

// Full says that there is no room on the database's disk. Nothing was changed.
type Full struct {
	// Database is the server or file, without a password.
	Database string
	Err      error
}

func (e *Full) Error() string {
	return fmt.Sprintf("the disk of the database %s is full: %v", e.Database, e.Err)
}

// Unwrap is what the database said.
func (e *Full) Unwrap() error { return e.Err }
