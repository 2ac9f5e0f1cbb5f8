package inventory

import "fmt"

// NotFound says that nothing of a kind has a name or id.
type NotFound struct{ What, Name string }

func (e *NotFound) Error() string { return fmt.Sprintf("%s %q does not exist", e.What, e.Name) }

// Invalid says what is wrong with one member of a command. Field is in the
// API's words, for example "grants[0].entity.name".
type Invalid struct{ Field, Problem string }

func (e *Invalid) Error() string { return e.Field + ": " + e.Problem }

// Conflict says that what a command was based on has changed, or that the
// state does not admit it.
type Conflict struct {
	Problem string
	// Token and Approval are the present state, where there is one.
	Token    *TokenRow
	Approval *ApprovalRow
}

func (e *Conflict) Error() string { return e.Problem }
