package snapshot

import "hash/maphash"

const shardCount = 1024

// shards is an immutable map that is cheap to change: a change copies one of
// its many parts.
type shards[K comparable, V any] struct {
	seed  maphash.Seed
	parts []map[K]V
	size  int
}

func newShards[K comparable, V any]() shards[K, V] {
	return shards[K, V]{seed: maphash.MakeSeed(), parts: make([]map[K]V, shardCount)}
}

func (s *shards[K, V]) get(k K) V {
	return s.parts[maphash.Comparable(s.seed, k)%shardCount][k]
}

// edit is a change under way: it copies each part once.
type edit[K comparable, V any] struct {
	next   shards[K, V]
	copied [shardCount]bool
	fresh  bool // all parts are the edit's own
}

func (s *shards[K, V]) edit(fresh bool) *edit[K, V] {
	e := &edit[K, V]{next: *s, fresh: fresh}
	e.next.parts = append([]map[K]V(nil), s.parts...)
	return e
}

func (e *edit[K, V]) part(k K) map[K]V {
	i := maphash.Comparable(e.next.seed, k) % shardCount
	if e.next.parts[i] == nil {
		e.next.parts[i] = map[K]V{}
		e.copied[i] = true
	}
	if !e.fresh && !e.copied[i] {
		part := make(map[K]V, len(e.next.parts[i])+1)
		for k, v := range e.next.parts[i] {
			part[k] = v
		}
		e.next.parts[i], e.copied[i] = part, true
	}
	return e.next.parts[i]
}

func (e *edit[K, V]) get(k K) V { return e.next.get(k) }

func (e *edit[K, V]) put(k K, v V) {
	part := e.part(k)
	before := len(part)
	part[k] = v
	e.next.size += len(part) - before
}

func (e *edit[K, V]) drop(k K) {
	part := e.part(k)
	before := len(part)
	delete(part, k)
	e.next.size += len(part) - before
}
