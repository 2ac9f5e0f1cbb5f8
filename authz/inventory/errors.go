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

func (l InvalidList) Error() string {
	told := make([]string, len(l))
	for i, e := range l {
		told[i] = e.Error()
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
}

func (e *Conflict) Error() string { return e.Problem }

// Stale says that what a command was to change is no longer at the version that
// it was based on.
type Stale struct {
	What           string // organization, token
	Given, Present int64
}

func (e *Stale) Error() string {
	return fmt.Sprintf("the %s has changed: version %d was read, %d is present; read it again", e.What, e.Given, e.Present)
}
