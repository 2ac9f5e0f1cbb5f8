package decide

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// newID makes a UUIDv7 (RFC 9562): milliseconds, then 74 random bits. They only
// have to be another's nowhere; math/rand/v2's generator, which is seeded by the
// system and is a cryptographic one, is enough and takes no lock.
func newID(now time.Time) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16|rand.Uint64()&0xffff) //nolint:gosec // No secret.
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())                                   //nolint:gosec // No secret.
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
