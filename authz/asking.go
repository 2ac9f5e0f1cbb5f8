package authz

import (
	"context"
	"errors"
)

// ErrNotAsked is why somebody else was not asked about a token: [WithoutAsking].
var ErrNotAsked = errors.New("nobody is asked about a token for this")

type withoutAskingKey struct{}

// WithoutAsking is a context in which nobody else is asked about a token: what is
// remembered counts, and else the answer is [ErrNotAsked]. What is decided only to
// be compared takes nothing from the requests that wait, nor tells a third party
// of their tokens.
func WithoutAsking(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutAskingKey{}, true)
}

// MayAsk says whether somebody else may be asked about a token.
func MayAsk(ctx context.Context) bool { return ctx.Value(withoutAskingKey{}) == nil }
