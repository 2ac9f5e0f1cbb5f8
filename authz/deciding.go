package authz

import "context"

// Deciding is a request whose facts are known, or which is refused already. It is
// evaluated and then told, once each. Neither panics.
type Deciding interface {
	// Evaluate asks the policy, where that has to be asked.
	Evaluate(ctx context.Context)
	// Outcome is what came of it, never nil; it is recorded.
	Outcome() *Outcome
}
