// Package snapshot holds the inventory in memory, as the decision path reads
// it: an immutable [Snapshot] that a [Follower] keeps fresh from the change log.
// A change copies a small shard of a map, never the whole, and publishes it by
// one pointer.
package snapshot
