package authz

import "context"

// BlockingKey is the key under which the context of a request has who serves it,
// where that wants to know of waiting: an interface{ Block() }.
type BlockingKey struct{}

// Blocking tells whoever serves a request that what follows may wait for others or
// take long, so that other requests are served meanwhile.
func Blocking(ctx context.Context) {
	if served, ok := ctx.Value(BlockingKey{}).(interface{ Block() }); ok {
		served.Block()
	}
}
