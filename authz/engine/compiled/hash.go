package compiled

import "hash/maphash"

// seed is one for the process: frozen values are shared between programs.
var seed = maphash.MakeSeed()

func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0x9E3779B97F4A7C15
	return x ^ x>>29
}

// hash agrees for equal values. The parts of objects and sets are added, so
// that their order does not matter.
func hash(v Value) uint64 {
	switch v.Kind() {
	case Str:
		return maphash.String(seed, v.Str())
	case Int, Num:
		return hashNumber(v)
	case Arr:
		h := uint64(7)
		for _, e := range v.array().elems {
			h = mix(h*31 + hash(e))
		}
		return h
	case Obj:
		t := v.table()
		t.fill()
		h := uint64(11)
		for i, k := range t.keys {
			h += mix(hash(k)*31 + hash(t.vals[i]))
		}
		return h
	case Set:
		h := uint64(13)
		for _, k := range v.table().keys {
			h += mix(hash(k))
		}
		return h
	}
	return mix(v.w)
}
