package record

import (
	"hash/maphash"
	"sync"
	"time"
)

// limit says which refusals are kept: so many a second of one source, and of
// all. Sources share buckets by their hash, so that it does not grow with them.
type limit struct {
	perSource, perSecond int
	seed                 maphash.Seed

	mu      sync.Mutex
	second  int64
	all     int
	sources [1024]uint16
}

// fresh is a limit of the same height that nothing counts to yet.
func (l *limit) fresh() *limit {
	return &limit{perSource: l.perSource, perSecond: l.perSecond, seed: l.seed}
}

func (l *limit) allow(source string, now time.Time) bool {
	at := maphash.String(l.seed, source) % uint64(len(l.sources))
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := now.Unix(); s != l.second {
		l.second, l.all = s, 0
		clear(l.sources[:])
	}
	if l.all >= l.perSecond || int(l.sources[at]) >= l.perSource {
		return false
	}
	l.all++
	l.sources[at]++
	return true
}
